/* What parses has an origin that parses to the same; what people see holds no password. */
#include "fuzz.h"

#include "text/url.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_TEXT char *text = mem_copy(data, size);
    struct url url, again;
    struct error error = ERROR_NONE;

    OWNED_TEXT char *shown = url_for_people(text);
    EXPECT(!strpbrk(shown, "#\n\033"));
    OWNED_TEXT char *root = url_api_root(text, &error);
    if (url_parse(text, &url, &error) < 0) {
        EXPECT(error.blame == BLAME_INPUT && !root);
        return 0;
    }
    OWNED_TEXT char *origin = url_origin(&url);
    EXPECT(url_parse(origin, &again, &error) == 0);
    EXPECT(strcmp(url.host, again.host) == 0 && url.port == again.port && strcmp(url.scheme, again.scheme) == 0);
    EXPECT(!again.user && !again.query && again.path[0] == '\0');
    OWNED_TEXT char *second = url_origin(&again);
    EXPECT(strcmp(origin, second) == 0);
    if (url.password && strlen(url.password) > 8)
        EXPECT(!strstr(origin, url.password));
    url_clear(&url);
    url_clear(&again);
    return 0;
}
