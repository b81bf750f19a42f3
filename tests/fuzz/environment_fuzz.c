/* Any bytes as the file that GITLAB_ENV names, which the job wrote, and any text as the name of an artifact that is
 * expanded by it: the name that is sent is one step of a path with the ending of its format, and a line KEY=VALUE is
 * what "$KEY" stands for when it is the last of its name.
 *
 * Input: the artifact's name up to a LF, then the file. */
#include "fuzz.h"

#include "courier/entry_path.h"
#include "io/loop.h"
#include "job/plan.h"
#include "text/json.h"

#include "artifact_names.h"
#include "output.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char builds[64], tmp[96];

static void folders_remove(void)
{
    unlinkat(AT_FDCWD, tmp, AT_REMOVEDIR);
    rmdir(builds);
}

static void folders_make(void)
{
    if (builds[0])
        return;
    snprintf(builds, sizeof builds, "/tmp/environment-fuzz-%d", (int)getpid());
    snprintf(tmp, sizeof tmp, "%s/project.tmp", builds);
    EXPECT(mkdir(builds, 0700) == 0 && mkdir(tmp, 0700) == 0);
    atexit(folders_remove);
}

static void file_write(const char *path, const char *bytes, size_t length)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    close(fd);
}

static void name_expect(const struct context *context, char *name)
{
    static const char *const formats[] = { NULL, "zip", "gzip", "raw", "tarzstd" };
    static const char *const endings[] = { ".zip", ".zip", ".gz", "", ".tar.zst" };

    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        char format[16] = "";
        if (formats[i])
            snprintf(format, sizeof format, "%s", formats[i]);
        const struct plan_artifact artifact = { .name = name, .format = formats[i] ? format : NULL };
        OWNED_TEXT char *file = artifact_file_name(context, &artifact);
        const size_t length = strlen(file), ending = strlen(endings[i]);
        EXPECT(length > ending && strcmp(file + length - ending, endings[i]) == 0);
        EXPECT(!strchr(file, '/') && strcmp(file, ".") != 0 && strcmp(file, "..") != 0);
    }
}

/* The last line with a name that a shell knows is what "$NAME" stands for. */
static void last_line_expect(const struct context *context, const char *text)
{
    const size_t length = strlen(text), end = length > 0 && text[length - 1] == '\n' ? length - 1 : length;
    const char *lf = memrchr(text, '\n', end);
    const char *line = lf ? lf + 1 : text;
    OWNED_TEXT char *last = mem_copy(line, end - (size_t)(line - text));
    char *sign = strchr(last, '=');
    const size_t shell = strspn(last, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    if (!sign || shell == 0 || last + shell != sign)
        return;
    *sign = '\0';
    OWNED_TEXT char *pattern = mem_format("${%s}", last);
    OWNED_JSON struct cJSON *array = json_array();
    artifact_patterns(context, &pattern, 1, array);
    EXPECT(strcmp(json_item_text(json_first(array)), sign + 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *lf = memchr(data, '\n', size);
    if (!lf)
        return 0;
    folders_make();
    OWNED_TEXT char *file = mem_format("%s/gitlab_runner_env", tmp);
    file_write(file, lf + 1, size - (size_t)(lf + 1 - text));
    struct loop *loop = loop_new();
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct output *output = output_new(loop, null);
    char key[] = "CI_JOB_NAME", value[] = "build";
    struct plan_pair variable = { key, value };
    const struct plan plan = { .builds_dir = builds, .tmp_dir = tmp, .environment = &variable, .environment_count = 1 };
    const struct context context = { .loop = loop, .output = output, .plan = &plan };

    OWNED_TEXT char *name = mem_copy(text, (size_t)(lf - text));
    OWNED_TEXT char *lines = mem_copy(lf + 1, size - (size_t)(lf + 1 - text));
    name_expect(&context, name);
    if (strlen(lines) == size - (size_t)(lf + 1 - text))
        last_line_expect(&context, lines);
    output_free(output);
    close(null);
    loop_free(loop);
    unlink(file);
    return 0;
}
