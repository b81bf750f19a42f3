/* A step as shell text. The wrapper uses nothing but builtins, because the image may have no other program, and only
 * what bash, dash and busybox sh agree on. */
#include "job/script.h"

#include "text/quote.h"
#include "text/section.h"

#include <string.h>

static const char preamble[] =
    /* a script that is asked to end runs its EXIT traps and ends with 1, as with the stock runner */
    "trap 'exit 1' TERM\n"
    "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi\n"
    "set -o errexit\n"
    "set +o noclobber\n";

/* Hands variables on from earlier scripts. `true` and `command` keep a failing redirection or a readonly name (UID)
 * from ending the shell, which POSIX demands of special builtins. */
static const char environment[] = "if [ -n \"${GITLAB_ENV-}\" ]; then\n"
                                  "true 2>/dev/null >>\"$GITLAB_ENV\" || true\n"
                                  "if [ -r \"$GITLAB_ENV\" ]; then\n"
                                  "while read -r dataops_line || [ -n \"$dataops_line\" ]; do\n"
                                  "case $dataops_line in [A-Za-z_]*=*) ;; *) continue ;; esac\n"
                                  "case ${dataops_line%%=*} in *[!A-Za-z0-9_]*) continue ;; esac\n"
                                  "command export \"$dataops_line\" || true\n"
                                  "done <\"$GITLAB_ENV\"\n"
                                  "unset dataops_line\n"
                                  "fi\n"
                                  "fi\n";

static const char trace_switch[] = "case ${CI_DEBUG_TRACE-} in 1|[tT]|[tT][rR][uU][eE]) set -o xtrace ;; esac\n";

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* printf, not echo: dash's echo would read the backslashes of the line. */
static void print_notice(const char *text, struct strbuf *body)
{
    OWNED_STRBUF struct strbuf shown = STRBUF_EMPTY;

    strbuf_format(&shown, "%s%s%s", SECTION_GREEN, text, SECTION_RESET);
    strbuf_add_text(body, "printf '%s\\n' ");
    quote_shell(strbuf_text(&shown), body);
    strbuf_add_char(body, '\n');
}

static void print_line(const char *line, struct strbuf *body)
{
    size_t length;

    while (is_blank(*line))
        line++;
    for (length = strlen(line); length > 0 && is_blank(line[length - 1]);)
        length--;
    if (length == 0) {
        strbuf_add_text(body, "echo\n");
        return;
    }
    const char *end = memchr(line, '\n', length);
    OWNED_STRBUF struct strbuf shown = STRBUF_EMPTY;
    strbuf_add_text(&shown, "$ ");
    strbuf_add(&shown, line, end ? (size_t)(end - line) : length);
    if (end)
        strbuf_add_text(&shown, " # collapsed multi-line command");
    print_notice(strbuf_text(&shown), body);
    strbuf_add(body, line, length);
    strbuf_add_char(body, '\n');
}

static void render(const struct job_step *step, int descriptor, const char *notice, struct strbuf *out)
{
    OWNED_STRBUF struct strbuf body = STRBUF_EMPTY;

    strbuf_add_text(&body, trace_switch);
    if (notice)
        print_notice(notice, &body);
    for (size_t i = 0; i < step->line_count; i++)
        print_line(step->lines[i], &body);

    if (descriptor > 2 && descriptor < 10)
        strbuf_format(out, "exec %d<&-\n", descriptor);
    strbuf_add_text(out, preamble);
    strbuf_add_text(out, environment);
    strbuf_add_text(out, "eval ");
    quote_shell(strbuf_text(&body), out);
    strbuf_add_text(out, "\nexit 0\n");
}

void script_render(const struct job_step *step, int descriptor, struct strbuf *out)
{
    render(step, descriptor, NULL, out);
}

void script_render_after(const struct job_step *step, int descriptor, struct strbuf *out)
{
    render(step, descriptor, "Running after script...", out);
}
