/* Runs a fuzz target over the files of the given folders, without a fuzzer: for gcc, for debuggers, for every change.
 */
#include "fuzz.h"

#include "base/strbuf.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int replay_file(int folder, const char *name)
{
    OWNED_STRBUF struct strbuf input = STRBUF_EMPTY;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t count;

    if (fd < 0)
        return -1;
    while ((count = read(fd, strbuf_room(&input, 65536), 65536)) > 0)
        strbuf_wrote(&input, (size_t)count);
    close(fd);
    if (count < 0)
        return -1;
    /* a copy of exactly this size: the sanitizer sees reading past the end */
    unsigned char *exact = mem_grow(NULL, input.length);
    for (size_t i = 0; i < input.length; i++)
        exact[i] = (unsigned char)input.bytes[i];
    LLVMFuzzerTestOneInput(exact, input.length);
    mem_free(exact);
    return 0;
}

int main(int count, char **arguments)
{
    unsigned replayed = 0;

    for (int i = 1; i < count; i++) {
        DIR *folder = opendir(arguments[i]);
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            if (entry->d_name[0] == '.')
                continue;
            if (replay_file(dirfd(folder), entry->d_name) < 0) {
                perror(entry->d_name);
                return 1;
            }
            replayed++;
        }
        if (folder)
            closedir(folder);
    }
    printf("%u inputs replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
