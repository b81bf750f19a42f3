#include "courier/entry_path.h"

#include <string.h>

int entry_path_clean(const char *path, struct strbuf *out)
{
    OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY;
    if (*path == '/' || strlen(path) > ENTRY_PATH_MOST)
        return -1;
    while (*path) {
        const size_t length = strcspn(path, "/");
        if (length == 2 && strncmp(path, "..", 2) == 0)
            return -1;
        if (length > 0 && !(length == 1 && *path == '.')) {
            if (clean.length > 0)
                strbuf_add_char(&clean, '/');
            strbuf_add(&clean, path, length);
        }
        path += length;
        path += *path == '/';
    }
    return strbuf_add(out, strbuf_text(&clean), clean.length);
}
