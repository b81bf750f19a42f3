/* `unregister`: takes runners out of DataOps and out of the configuration. */
#include "command.h"

#include "screen.h"
#include "system_id.h"
#include "targets.h"

/* clang-format off */
static const struct option items[] = {
    OPTIONS_TARGET,
    { .name = "all-runners", .kind = OPTION_SWITCH, .otherwise = "false",
      .help = "every runner of the configuration" },
    OPTIONS_TLS,
};
/* clang-format on */

static void warn_line(const char *line)
{
    screen_warn("%s", line);
}

/* A runner that DataOps does not know is as good as unregistered, when it stands in our file. */
static enum end unregister_one(struct target *target, const char *system_id, int *signal)
{
    struct remote remote = { .status = 0 };
    struct remote_place place = target_place(target, system_id);
    struct error error = ERROR_NONE;
    enum end end = END_CONFIG;

    if (target->token == NULL) {
        screen_fail("%s: %s", target->name, target->error.text);
        return end;
    }
    if (remote_open(&remote, &place, &error) < 0) {
        screen_fail("%s: %s", target->name, error.text);
    } else {
        remote_unregister(&remote);
        end = remote_end(&remote);
        if (end == END_DONE) {
            screen_note("%s (%s): unregistered", target->name, target->short_token);
        } else if (target->in_file && (remote.status == 403 || remote.status == 404)) {
            screen_warn("%s (%s): DataOps did not know it any more", target->name, target->short_token);
            end = END_DONE;
        } else {
            screen_fail("%s (%s): %s", target->name, target->short_token, remote.error.text);
        }
    }
    target->forget = end == END_DONE;
    *signal = remote.signal;
    remote_close(&remote);
    return end;
}

static int unregister_all(struct targets *targets)
{
    struct error error = ERROR_NONE;
    char id[SYSTEM_ID_SIZE];
    int end = END_DONE, signal = 0;

    if (system_id_load(targets->file.path, id, &error) < 0)
        screen_warn("%s", error.text);
    for (size_t i = 0; i < targets->count && signal == 0; i++) {
        enum end one = unregister_one(&targets->items[i], id, &signal);

        if (one != END_DONE)
            end = targets->count == 1 ? (int)one : END_FAILED;
    }
    if (targets_forget(targets, &error) < 0) {
        screen_fail("%s", error.text);
        end = END_FAILED;
    }
    return signal != 0 ? END_SIGNAL + signal : end;
}

static bool is_chosen(const struct options *options)
{
    return options_switch(options, "all-runners") || options_given(options, "name") ||
           options_given(options, "token") || options_given(options, "token-file");
}

/* Clearing up twice is no mistake. */
static bool is_done_already(const struct targets *targets, const struct options *options)
{
    return options_switch(options, "all-runners") && targets->token == NULL && targets->file.config != NULL &&
           targets->file.config->runner_count == 0;
}

static int unregister_run(struct options *options)
{
    struct targets targets = TARGETS_EMPTY;
    struct error error = ERROR_NONE;
    int end;

    if (!is_chosen(options)) {
        screen_fail("which runner? give --name, --token with --url, or --all-runners");
        return END_USAGE;
    }
    if (targets_find(&targets, options, warn_line, &error) < 0 && is_done_already(&targets, options)) {
        screen_note("%s has no [[runners]] entry: there is nothing to do", targets.file.path);
        end = END_DONE;
    } else if (error.blame != BLAME_NONE) {
        screen_fail("%s", error.text);
        end = error.blame == BLAME_CONFIG ? END_CONFIG : END_USAGE;
    } else {
        end = unregister_all(&targets);
    }
    targets_clear(&targets);
    return end;
}

const struct command command_unregister = {
    .name = "unregister",
    .summary = "remove runners from DataOps and from config.toml",
    .words = "",
    .about = "Removes runners from DataOps and their entries from the configuration; goes on when one fails. A runner\n"
             "that was registered with a registration token is deleted; of one with a glrt-... token only this\n"
             "machine's part is, the runner itself stays in DataOps. With --url and --token it works anywhere.",
    .examples = "  dataops-runner unregister --name site-a\n"
                "  dataops-runner unregister --url https://app.dataops.live --token-file token\n",
    .options = { items, COUNT_OF(items) },
    .run = unregister_run,
};
