/* Any bytes as a kubeconfig: it is refused with words that name the configuration's side, or it gives a server with a
 * scheme and no slash at its end. A second file behind it changes nothing that the first one says.
 *
 * A file that a kubeconfig names is looked for below a folder that is empty, and programs it names are never run. */
#include "fuzz.h"

#include "kube/client.h"

#include "access.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void load(const char *files)
{
    struct kube_access access = { 0 };
    struct error error = ERROR_NONE;

    const struct kube_place place = { .kubeconfig = files };
    if (access_find(&access, &place, &error) < 0) {
        EXPECT(error.blame == BLAME_CONFIG && error.text[0] != '\0');
    } else {
        EXPECT(access.server != NULL && strstr(access.server, "://") != NULL);
        EXPECT(access.server[strlen(access.server) - 1] != '/');
    }
    access_clear(&access);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char one[64], two[160];
    const int file = memfd_create("kubeconfig", MFD_CLOEXEC);

    EXPECT(file >= 0);
    EXPECT(write(file, data, size) == (ssize_t)size);
    snprintf(one, sizeof one, "/proc/self/fd/%d", file);
    snprintf(two, sizeof two, "%s:%s", one, one);
    load(one);
    load(two);
    close(file);
    return 0;
}
