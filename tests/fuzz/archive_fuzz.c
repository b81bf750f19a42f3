/* Paths from outside: an entry of an archive, an artifact's pattern, an expression in it. Whatever they say, what comes
 * out lies below the folder it is meant for, cleaning it again changes nothing, and a gzip header keeps its form. */
#include "fuzz.h"

#include "base/mem.h"
#include "courier/entry_path.h"

#include "archive_file.h"
#include "expand.h"
#include "select.h"

#include <string.h>

#define FOLDER "/builds/group/project"

/* No step is empty, "." or "..", and the path does not begin at the root. */
static void expect_inside(const char *path)
{
    EXPECT(*path != '/');
    while (*path) {
        const size_t length = strcspn(path, "/");
        EXPECT(length > 0);
        EXPECT(!(length == 1 && path[0] == '.'));
        EXPECT(!(length == 2 && path[0] == '.' && path[1] == '.'));
        path += length;
        EXPECT(*path == '\0' || path[1] != '\0');
        path += *path == '/';
    }
}

static void entry(const char *path)
{
    OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY, again = STRBUF_EMPTY;
    if (entry_path_clean(path, &clean) < 0) {
        EXPECT(clean.length == 0);
        return;
    }
    expect_inside(strbuf_text(&clean));
    EXPECT(entry_path_clean(strbuf_text(&clean), &again) == 0);
    EXPECT(strcmp(strbuf_text(&clean), strbuf_text(&again)) == 0);
}

static void pattern(const char *text)
{
    OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY, again = STRBUF_EMPTY;
    if (select_clean(FOLDER, text, &clean) < 0)
        return;
    expect_inside(strbuf_text(&clean));
    EXPECT(select_clean(FOLDER, strbuf_text(&clean), &again) == 0);
    EXPECT(strcmp(strbuf_text(&clean), strbuf_text(&again)) == 0);
}

static const char *lookup(void *owner, const char *name)
{
    EXPECT(strspn(name, "0123456789") == 0);
    return strcmp(name, "SET") == 0 ? owner : NULL;
}

static void expression(const char *text)
{
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    char value[] = "value of $SET ${SET}";
    const int done = expand_text(text, lookup, value, &out);
    EXPECT(done == 0 || out.length == 0);
    if (!strpbrk(text, "$`\\") && strlen(text) < 1000) {
        EXPECT(done == 0);
        EXPECT(strcmp(strbuf_text(&out), text) == 0);
    }
}

static void header(const uint8_t *data, size_t size)
{
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    if (size < 10)
        return;
    OWNED_TEXT char *name = mem_copy(data + 10, size - 10);
    const int done = gzip_header_named(data, name, data[4], &out);
    EXPECT(done < 0 ? out.length == 0 : out.length == 10 + strlen(name) + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_TEXT char *text = mem_copy(data, size);
    entry(text);
    pattern(text);
    expression(text);
    header(data, size);
    return 0;
}
