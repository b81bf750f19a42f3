#include "artifact_names.h"

#include "base/strmap.h"
#include "expand.h"
#include "folders.h"
#include "job/plan.h"
#include "output.h"
#include "text/json.h"
#include "text/quote.h"
#include "text/url.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARED_MOST (1u * MIB)

struct environment {
    const struct context *context;
    struct strmap shared; /* KEY -> value, from the lines of GITLAB_ENV */
};

/* The job wrote this file: read it only when it is a plain file below the builds folder. */
static void shared_read(const struct context *context, struct strbuf *content)
{
    const struct plan *plan = context->plan;
    struct error ignored = ERROR_NONE;
    struct stat status;
    const int folder = plan->tmp_dir ? folder_open(plan->builds_dir, plan->tmp_dir, &ignored) : -1;
    if (folder < 0)
        return;
    const int fd =
        open_beneath(folder, "gitlab_runner_env", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, RESOLVE_NO_SYMLINKS);
    close(folder);
    if (fd < 0)
        return;
    ssize_t got = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? 1 : 0;
    while (got > 0) {
        char *room = strbuf_room(content, 4096);
        got = room ? read(fd, room, 4096) : 0;
        if (got > 0)
            strbuf_wrote(content, (size_t)got);
    }
    if (content->overflowed)
        output_say(context->output, TONE_WARNING,
                   "the file GITLAB_ENV is longer than %u KiB: names and paths of artifacts are expanded with its "
                   "beginning only",
                   SHARED_MOST / KIB);
    close(fd);
}

static void environment_read(struct environment *environment)
{
    OWNED_STRBUF struct strbuf content = STRBUF_UP_TO(SHARED_MOST + 4096);
    shared_read(environment->context, &content);
    const char *line = strbuf_text(&content);
    while (*line) {
        const size_t length = strcspn(line, "\n");
        const char *sign = memchr(line, '=', length);
        if (sign && sign > line) {
            OWNED_TEXT char *key = mem_copy(line, (size_t)(sign - line));
            strmap_set(&environment->shared, key, mem_copy(sign + 1, length - (size_t)(sign + 1 - line)));
        }
        line += length + (line[length] == '\n');
    }
}

static const char *environment_lookup(void *owner, const char *name)
{
    const struct environment *environment = owner;
    const char *shared = strmap_get(&environment->shared, name);
    return shared ? shared : context_variable(environment->context, name);
}

/* Gives the expanded text, or a copy of it as it was. */
static char *expanded(struct environment *environment, const char *text)
{
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    if (expand_text(text, environment_lookup, environment, &out) == 0)
        return strbuf_take(&out, NULL) ?: mem_text("");
    OWNED_STRBUF struct strbuf shown = STRBUF_EMPTY;
    quote_for_people(text, 200, &shown);
    output_say(environment->context->output, TONE_WARNING, "%s: not a valid expression, taken as it is",
               strbuf_text(&shown));
    return mem_text(text);
}

void artifact_patterns(const struct context *context, char *const *patterns, size_t count, struct cJSON *array)
{
    struct environment environment = { .context = context, .shared = { .free_value = mem_free } };
    environment_read(&environment);
    for (size_t i = 0; i < count; i++) {
        OWNED_TEXT char *pattern = expanded(&environment, patterns[i]);
        json_add_text(array, pattern);
    }
    strmap_clear(&environment.shared);
}

static const char *ending_of(const char *format)
{
    if (!format || !*format || strcmp(format, "zip") == 0)
        return ".zip";
    if (strcmp(format, "gzip") == 0)
        return ".gz";
    return strcmp(format, "tarzstd") == 0 ? ".tar.zst" : "";
}

char *artifact_file_name(const struct context *context, const struct plan_artifact *artifact)
{
    struct environment environment = { .context = context, .shared = { .free_value = mem_free } };
    environment_read(&environment);
    OWNED_TEXT char *name = expanded(&environment, artifact->name && *artifact->name ? artifact->name : "default");
    strmap_clear(&environment.shared);
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        base = "default";
    return mem_format("%s%s", base, ending_of(artifact->format));
}

char *artifact_url(const struct plan *plan, const struct plan_artifact *artifact)
{
    struct strbuf url = STRBUF_EMPTY;
    strbuf_format(&url, "%s/jobs/%llu/artifacts?artifact_format=", plan->api_root, (unsigned long long)plan->job_id);
    url_escape(artifact->format && *artifact->format ? artifact->format : "zip", &url);
    strbuf_add_text(&url, "&artifact_type=");
    url_escape(artifact->type && *artifact->type ? artifact->type : "archive", &url);
    if (artifact->expire_in && *artifact->expire_in) {
        strbuf_add_text(&url, "&expire_in=");
        url_escape(artifact->expire_in, &url);
    }
    return strbuf_take(&url, NULL);
}
