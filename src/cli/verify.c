/* `verify`: does DataOps still know the runners of the configuration? */
#include "command.h"

#include "screen.h"
#include "system_id.h"
#include "targets.h"
#include "text/json.h"
#include "text/url.h"

#include <string.h>

enum verdict { VERDICT_ALIVE, VERDICT_REMOVED, VERDICT_UNREACHABLE, VERDICT_NO_TOKEN, VERDICT_NOT_ASKED };

static const char *const verdict_names[] = { "alive", "removed", "unreachable", "no token", "not asked" };

/* clang-format off */
static const struct option items[] = {
    OPTIONS_TARGET,
    { .name = "delete", .kind = OPTION_SWITCH, .otherwise = "false",
      .help = "take removed runners out of the configuration" },
    { .name = "output", .letter = 'o', .kind = OPTION_TEXT, .value = "FORMAT", .choices = "table json",
      .otherwise = "table", .help = "form of the answer" },
    OPTIONS_TLS,
};
/* clang-format on */

static void warn_line(const char *line)
{
    screen_warn("%s", line);
}

/* Only a clear "no" means removed: a platform in trouble has said nothing about the runner. */
static enum verdict verify_one(const struct target *target, const char *system_id, int *signal)
{
    struct remote remote = { .status = 0 };
    struct remote_place place = target_place(target, system_id);
    struct error error = ERROR_NONE;
    enum verdict verdict = VERDICT_UNREACHABLE;

    if (target->token == NULL) {
        screen_fail("%s: %s", target->name, target->error.text);
        return VERDICT_NO_TOKEN;
    }
    if (remote_open(&remote, &place, &error) < 0) {
        screen_fail("%s: %s", target->name, error.text);
        verdict = VERDICT_NOT_ASKED;
    } else {
        remote_verify(&remote);
        if (remote_end(&remote) == END_DONE)
            verdict = VERDICT_ALIVE;
        else if (remote.status == 403 || remote.status == 422)
            verdict = VERDICT_REMOVED;
        if (verdict != VERDICT_ALIVE)
            screen_note("%s: %s", target->name, remote.error.text);
    }
    *signal = remote.signal;
    remote_close(&remote);
    return verdict;
}

static int print_verdicts(const struct targets *targets, const enum verdict *verdicts, bool as_json)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    OWNED_JSON struct cJSON *list = json_array();

    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        struct cJSON *item = json_add_object(list);
        OWNED_TEXT char *url = url_for_people(target->url);

        json_set_text(item, "name", target->name);
        json_set_text(item, "token", target->short_token);
        json_set_text(item, "url", url);
        json_set_text(item, "state", verdict_names[verdicts[i]]);
        if (!as_json)
            strbuf_format(&text, "%-12s %-9s  %s  %s\n", verdict_names[verdicts[i]], target->short_token, target->name,
                          url);
    }
    if (as_json)
        screen_add_json(list, &text);
    return screen_print(&text);
}

/* The worst of all answers decides. */
static int end_of(const struct targets *targets, const enum verdict *verdicts, bool deleted)
{
    static const enum end ends[] = { END_DONE, END_TOKEN, END_PLATFORM, END_CONFIG, END_CONFIG };
    int end = END_DONE;

    for (size_t i = 0; i < targets->count; i++)
        if (verdicts[i] != VERDICT_ALIVE && !(verdicts[i] == VERDICT_REMOVED && deleted))
            end = end == END_DONE || verdicts[i] == VERDICT_REMOVED ? (int)ends[verdicts[i]] : end;
    return end;
}

static int verify_all(struct targets *targets, const struct options *options)
{
    enum verdict *verdicts = mem_new_array(targets->count, sizeof(*verdicts));
    struct error error = ERROR_NONE;
    char id[SYSTEM_ID_SIZE];
    bool deletes = options_switch(options, "delete");
    int end, signal = 0;

    if (system_id_load(targets->file.path, id, &error) < 0)
        screen_warn("%s", error.text);
    for (size_t i = 0; i < targets->count && signal == 0; i++) {
        verdicts[i] = verify_one(&targets->items[i], id, &signal);
        targets->items[i].forget = verdicts[i] == VERDICT_REMOVED;
    }
    end = signal != 0 ? END_SIGNAL + signal : end_of(targets, verdicts, deletes);
    if (signal == 0 && print_verdicts(targets, verdicts, strcmp(options_text(options, "output"), "json") == 0) != 0)
        end = END_FAILED;
    if (signal == 0 && deletes && targets_forget(targets, &error) < 0) {
        screen_fail("%s", error.text);
        end = END_FAILED;
    }
    mem_free(verdicts);
    return end;
}

static int verify_run(struct options *options)
{
    struct targets targets = TARGETS_EMPTY;
    struct error error = ERROR_NONE;
    int end;

    if (targets_find(&targets, options, warn_line, &error) < 0) {
        screen_fail("%s", error.text);
        end = error.blame == BLAME_CONFIG ? END_CONFIG : END_USAGE;
    } else {
        end = verify_all(&targets, options);
    }
    targets_clear(&targets);
    return end;
}

const struct command command_verify = {
    .name = "verify",
    .summary = "ask DataOps whether the registered runners still exist",
    .words = "",
    .about =
        "Asks DataOps about each runner of the configuration and prints one line for each: alive, removed or\n"
        "unreachable. Ends with 4 when one was removed, with 5 when DataOps could not be asked, with 3 when an entry\n"
        "is not fit to ask with (no token, a CA file that is missing).",
    .examples = "  dataops-runner verify\n"
                "  dataops-runner verify --name site-a --delete\n",
    .options = { items, COUNT_OF(items) },
    .run = verify_run,
};
