/* Pattern, LF, path. A walk never skips a folder that holds a match; a plain pattern matches itself only. */
#include "fuzz.h"

#include "base/mem.h"
#include "text/glob.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_TEXT char *pattern = mem_copy(data, size);
    char *lf = strchr(pattern, '\n');
    if (!lf)
        return 0;
    *lf = '\0';
    const char *path = lf + 1;
    bool matches = glob_match(pattern, path);
    if (glob_is_plain(pattern) && !strchr(pattern, '}'))
        EXPECT(matches == (strcmp(pattern, path) == 0));
    for (const char *slash = strchr(path, '/'); matches && slash; slash = strchr(slash + 1, '/')) {
        OWNED_TEXT char *folder = mem_copy(path, (size_t)(slash - path));
        EXPECT(glob_may_match_below(pattern, folder) || slash == path || slash[1] == '\0');
    }
    return 0;
}
