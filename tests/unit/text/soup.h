/* Seeded output of imaginary jobs for the record tests: everything that a log path is known to bend. */
#ifndef TEXT_SOUP_H
#define TEXT_SOUP_H

#include "base/strbuf.h"

#include <stdint.h>
#include <string.h>

static inline uint32_t soup_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Appends about most_bytes bytes. */
static inline void soup_add(uint32_t *seed, size_t most_bytes, struct strbuf *out)
{
    static const char *const pieces[] = {
        "plain text of a job\n",
        "short\n",
        "\n",
        "\n\n\n\n",
        "\r\n",
        "progress 10%\rprogress 20%\r",
        "\033",
        "\033\033E",
        "\033[32;1mgreen\033[0;m\n",
        "\033E",
        "\033_Dm0,00000000\033\\\n",
        "\033_De{\"result\":\"success\"}\033\\\n",
        "\033_Dn\033\\",
        "\033\\",
        "\033_D",
        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC\n",
        "\xFF\xFE\n",
        "no end of line",
        "failed to try resolving symlinks in path\n",
        "\r",
        "a\r\nb\r\nc\r\n",
    };
    size_t target = out->length + soup_random(seed) % (most_bytes + 1);
    while (out->length < target) {
        uint32_t kind = soup_random(seed) % 10;
        size_t count = soup_random(seed) % 300;
        if (kind == 0) {
            for (size_t i = 0; i < count; i++)
                strbuf_add_char(out, (char)soup_random(seed));
        } else if (kind == 1) {
            for (size_t i = 0; i < 20 * count; i++)
                strbuf_add_char(out, (char)('a' + i % 26));
        } else if (kind == 2) {
            for (size_t i = 0; i < count; i++)
                strbuf_add_char(out, "\n\r\033E_\\"[soup_random(seed) % 6]);
        } else {
            for (size_t i = 0; i < count / 20 + 1; i++)
                strbuf_add_text(out, pieces[soup_random(seed) % COUNT_OF(pieces)]);
        }
    }
}

#endif
