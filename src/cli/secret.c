#include "secret.h"

#include "base/strbuf.h"
#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MOST (64u * KIB)

void secret_free(char *secret)
{
    if (secret != NULL)
        mem_wipe_free(secret, strlen(secret));
}

void secret_free_text(char **secret)
{
    secret_free(*secret);
}

static char *trimmed(const char *text)
{
    size_t length;

    text += strspn(text, " \t\r\n");
    length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    return mem_copy(text, length);
}

static int read_stdin(struct strbuf *text, struct error *error)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, stdin);

    if (length > 0)
        strbuf_add(text, line, (size_t)length);
    if (line != NULL)
        explicit_bzero(line, size);
    free(line); /* getline's, not ours */
    return length > 0 ? 0 : error_set(error, BLAME_INPUT, 0, "a token was expected on stdin");
}

char *secret_from_file(const char *path, struct error *error)
{
    struct strbuf text = STRBUF_UP_TO(SECRET_MOST);
    int result = strcmp(path, "-") == 0 ? read_stdin(&text, error) : file_read(path, &text, error);
    char *secret = result == 0 ? trimmed(strbuf_text(&text)) : NULL;

    strbuf_wipe(&text);
    if (secret == NULL || secret[0] != '\0')
        return secret;
    mem_free(secret);
    error_set(error, BLAME_INPUT, 0, "%s is empty: a token was expected", strcmp(path, "-") == 0 ? "stdin" : path);
    return NULL;
}

bool secret_is_runner_token(const char *token)
{
    return strncmp(token, "glrt-", 5) == 0 || strstr(token, "-glrt-") != NULL;
}
