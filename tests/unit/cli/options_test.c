#include "options.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct option own[] = {
    { .name = "url", .letter = 'u', .kind = OPTION_TEXT, .env = "URL", .otherwise = "https://default", .value = "URL",
      .help = "where" },
    { .name = "token", .letter = 't', .kind = OPTION_SECRET, .env = "TOKEN", .value = "TOKEN", .help = "secret" },
    { .name = "description", .alias = "name", .kind = OPTION_TEXT, .env = "NAME", .value = "NAME", .help = "name" },
    { .name = "locked", .kind = OPTION_SWITCH, .env = "LOCKED", .otherwise = "false", .help = "lock" },
    { .name = "limit", .kind = OPTION_NUMBER, .env = "LIMIT", .value = "N", .help = "limit" },
    { .name = "env", .kind = OPTION_LIST, .env = "ENVS", .value = "K=V", .may_be_secret = true, .help = "variables" },
    { .name = "level", .kind = OPTION_TEXT, .choices = "low high", .value = "LEVEL", .help = "level" },
};
/* clang-format on */
/* clang-format off */
static const struct option global[] = {
    { .name = "debug", .kind = OPTION_SWITCH, .env = "DEBUG", .env_too = "RUNNER_DEBUG", .otherwise = "false",
      .help = "debug" },
};
/* clang-format on */

#define WORDS_MOST 16

/* One command line and environment in memory that may be written to, as argv is. */
struct line {
    struct options options;
    struct error error;
    char text[WORDS_MOST][96], env_text[WORDS_MOST][96];
    char *words[WORDS_MOST + 1], *env[WORDS_MOST + 1];
    long used;
};

static void copy_words(const char *const *from, char to[][96], char **pointers)
{
    size_t i = 0;

    for (; from != NULL && from[i] != NULL; i++) {
        snprintf(to[i], 96, "%s", from[i]);
        pointers[i] = to[i];
    }
    pointers[i] = NULL;
}

static void parse(struct line *line, const char *const *words, const char *const *env)
{
    static const char *const open_prefixes[] = { "kubernetes-", NULL };
    const struct option_table tables[] = { OPTION_TABLE(own), OPTION_TABLE(global) };
    const struct options_input input = {
        .tables = tables,
        .table_count = 2,
        .open_prefixes = open_prefixes,
        .words_most = 1,
        .arguments = line->words,
        .environment = line->env,
    };

    *line = (struct line){ .options = OPTIONS_EMPTY };
    copy_words(words, line->text, line->words);
    copy_words(env, line->env_text, line->env);
    line->used = options_parse(&line->options, &input, &line->error);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void a_flag_wins_over_the_environment_and_that_over_the_default(void **state)
{
    (void)state;
    struct line line;

    parse(&line, NULL, NULL);
    assert_int_equal(line.used, 0);
    assert_string_equal(options_text(&line.options, "url"), "https://default");
    assert_int_equal(options_source(&line.options, "url"), OPTION_DEFAULT);
    assert_false(options_given(&line.options, "url"));
    assert_null(options_text(&line.options, "description"));
    options_clear(&line.options);

    parse(&line, NULL, WORDS("URL=https://env", "URLX=no"));
    assert_string_equal(options_text(&line.options, "url"), "https://env");
    assert_int_equal(options_source(&line.options, "url"), OPTION_FROM_ENV);
    options_clear(&line.options);

    parse(&line, WORDS("--url", "https://flag"), WORDS("URL=https://env"));
    assert_string_equal(options_text(&line.options, "url"), "https://flag");
    assert_int_equal(options_source(&line.options, "url"), OPTION_FROM_FLAG);
    options_clear(&line.options);
}

static void an_empty_variable_counts_as_unset_and_an_empty_flag_does_not(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--name="), WORDS("URL="));
    assert_string_equal(options_text(&line.options, "url"), "https://default");
    assert_string_equal(options_text(&line.options, "description"), "");
    assert_true(options_given(&line.options, "description"));
    options_clear(&line.options);
}

static void values_stand_behind_the_equals_sign_or_in_the_next_word(void **state)
{
    (void)state;
    static const char *const lines[][3] = {
        { "--url", "https://a", NULL },
        { "--url=https://a", NULL },
        { "-u", "https://a", NULL },
        { "-u=https://a", NULL },
    };

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct line line;

        parse(&line, lines[i], NULL);
        assert_true(line.used > 0);
        assert_string_equal(options_text(&line.options, "url"), "https://a");
        options_clear(&line.options);
    }
}

static void switches_take_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *const words[3];
        const char *env;
        bool locked;
        long used;
    } rows[] = {
        { { NULL }, NULL, false, 0 },
        { { "--locked" }, NULL, true, 1 },
        { { "--locked=false" }, "LOCKED=true", false, 1 },
        { { "--locked=true" }, NULL, true, 1 },
        { { "--locked=0" }, "LOCKED=true", false, 1 },
        { { "--locked", "false" }, "LOCKED=true", false, 2 },
        { { "--locked", "true" }, NULL, true, 2 },
        { { "--locked", "word" }, NULL, true, 2 },
        { { NULL }, "LOCKED=true", true, 0 },
        { { NULL }, "LOCKED=1", true, 0 },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct line line;
        const char *const env[] = { rows[i].env, NULL };

        parse(&line, rows[i].words, env);
        assert_int_equal(line.used, rows[i].used);
        assert_int_equal(options_switch(&line.options, "locked"), rows[i].locked);
        options_clear(&line.options);
    }
}

static void both_environment_names_count(void **state)
{
    (void)state;
    struct line line;

    parse(&line, NULL, WORDS("RUNNER_DEBUG=true"));
    assert_true(options_switch(&line.options, "debug"));
    options_clear(&line.options);
    parse(&line, NULL, WORDS("RUNNER_DEBUG=true", "DEBUG=false"));
    assert_false(options_switch(&line.options, "debug"));
    options_clear(&line.options);
}

static void lists_gather_what_stands_several_times(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--env", "A=1,2", "--env=B=3"), WORDS("ENVS=C=4"));
    const char *const *list = options_list(&line.options, "env");
    assert_string_equal(list[0], "A=1,2");
    assert_string_equal(list[1], "B=3");
    assert_null(list[2]);
    options_clear(&line.options);
    parse(&line, NULL, WORDS("ENVS=C=4,,D=5"));
    list = options_list(&line.options, "env");
    assert_string_equal(list[0], "C=4");
    assert_string_equal(list[1], "D=5");
    assert_null(list[2]);
    options_clear(&line.options);
}

static void other_options_keep_the_last_value(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--name", "a", "--description", "b", "--limit", "7"), NULL);
    assert_string_equal(options_text(&line.options, "description"), "b");
    assert_int_equal(options_number(&line.options, "limit"), 7);
    options_clear(&line.options);
}

static void secrets_are_overwritten_where_they_came_from(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--token", "glrt-abc", "--name", "open"), WORDS("TOKEN=glrt-env", "NAME=other"));
    assert_string_equal(options_text(&line.options, "token"), "glrt-abc");
    assert_string_equal(line.text[1], "xxxxxxxx");
    assert_string_equal(line.text[3], "open");
    assert_string_equal(line.env_text[0], "TOKEN=xxxxxxxx");
    assert_string_equal(line.env_text[1], "NAME=other");
    options_clear(&line.options);
    parse(&line, WORDS("--token=glrt-abc"), NULL);
    assert_string_equal(options_text(&line.options, "token"), "glrt-abc");
    assert_string_equal(line.text[0], "--token=xxxxxxxx");
    options_clear(&line.options);
}

static void wrong_lines_name_the_flag(void **state)
{
    (void)state;
    static const struct {
        const char *const words[3];
        const char *env, *text;
    } rows[] = {
        { { "--lokced" }, NULL, "unknown option --lokced; did you mean --locked?" },
        { { "--nonsense-entirely" }, NULL, "unknown option --nonsense-entirely" },
        { { "-x" }, NULL, "unknown option -x" },
        { { "-url", "a" }, NULL, "unknown option -url; did you mean --url?" },
        { { "-xhunter2" }, NULL, "unknown option -x" },
        { { "-thunter2" }, NULL, "-t takes its value as the next word: -t TOKEN" },
        { { "--url" }, NULL, "--url needs a value: URL" },
        { { "--locked=maybe" }, NULL, "--locked: \"maybe\" is neither true nor false" },
        { { NULL }, "LOCKED=maybe", "LOCKED: \"maybe\" is neither true nor false" },
        { { "--limit", "ten" }, NULL, "--limit: \"ten\" is not a whole number" },
        { { "--limit=-1" }, NULL, "--limit: \"-1\" is not a whole number" },
        { { "--limit=99999999999999999999" }, NULL, "--limit: \"99999999999999999999\" is not a whole number" },
        { { "--level", "lo" }, NULL, "--level: \"lo\" is not one of: low high" },
        { { "one", "two" }, NULL, "unexpected word: options only, each with its dashes" },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct line line;
        const char *const env[] = { rows[i].env, NULL };

        parse(&line, rows[i].words, env);
        assert_int_equal(line.used, -1);
        assert_string_equal(line.error.text, rows[i].text);
        assert_int_equal(line.error.blame, BLAME_INPUT);
        options_clear(&line.options);
    }
}

/* It may be a token whose flag was misread. */
static void an_unexpected_word_is_not_shown_where_tokens_are_given(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("first", "--token=", "hunter2"), NULL);
    assert_int_equal(line.used, -1);
    assert_string_equal(line.error.text, "unexpected word behind --token: a value with blanks must stand in quotes");
    options_clear(&line.options);
    parse(&line, WORDS("first", "--name", "my", "site"), NULL);
    assert_string_equal(line.error.text, "unexpected word behind --name: a value with blanks must stand in quotes");
    options_clear(&line.options);
}

static void what_may_be_a_secret_is_overwritten_too(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--env", "PASSWORD=hunter2", "--kubernetes-bearer-token", "hunter2"), WORDS("ENVS=A=hunter2"));
    assert_string_equal(options_list(&line.options, "env")[0], "PASSWORD=hunter2");
    assert_string_equal(line.options.others[0].value, "hunter2");
    assert_string_equal(line.text[1], "xxxxxxxxxxxxxxxx");
    assert_string_equal(line.text[3], "xxxxxxx");
    assert_string_equal(line.env_text[0], "ENVS=xxxxxxxxx");
    options_clear(&line.options);
}

static void choices_may_be_written_in_capitals(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--level", "HIGH"), NULL);
    assert_string_equal(options_text(&line.options, "level"), "high");
    options_clear(&line.options);
}

static void words_and_what_stands_behind_two_dashes_are_kept(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--locked", "--", "--url"), NULL);
    assert_int_equal(line.used, 3);
    assert_int_equal(line.options.word_count, 1);
    assert_string_equal(line.options.words[0], "--url");
    options_clear(&line.options);
}

static void open_flags_are_gathered_with_their_values(void **state)
{
    (void)state;
    struct line line;

    parse(&line, WORDS("--kubernetes-cpu-limit", "2", "--kubernetes-memory-limit=1Gi", "--kubernetes-x", "--locked"),
          NULL);
    assert_int_equal(line.options.other_count, 3);
    assert_string_equal(line.options.others[0].name, "kubernetes-cpu-limit");
    assert_string_equal(line.options.others[0].value, "2");
    assert_string_equal(line.options.others[1].value, "1Gi");
    assert_string_equal(line.options.others[2].value, "true");
    assert_true(options_switch(&line.options, "locked"));
    options_clear(&line.options);
}

static void reading_can_stop_at_the_first_word(void **state)
{
    (void)state;
    const struct option_table table = OPTION_TABLE(global);
    char debug[] = "--debug", command[] = "run", flag[] = "--unknown";
    char *words[] = { debug, command, flag, NULL };
    const struct options_input input = { .tables = &table, .table_count = 1, .stop_at_word = true, .arguments = words };
    struct options options = OPTIONS_EMPTY;
    struct error error = ERROR_NONE;

    assert_int_equal(options_parse(&options, &input, &error), 1);
    assert_true(options_switch(&options, "debug"));
    options_clear(&options);
}

static void answers_count_as_flags(void **state)
{
    (void)state;
    struct line line;

    parse(&line, NULL, WORDS("NAME=env"));
    options_set(&line.options, "description", "answer");
    assert_string_equal(options_text(&line.options, "description"), "answer");
    assert_int_equal(options_source(&line.options, "description"), OPTION_FROM_FLAG);
    options_set(&line.options, "url", "wrong");
    options_unset(&line.options, "url");
    assert_string_equal(options_text(&line.options, "url"), "https://default");
    assert_false(options_given(&line.options, "url"));
    options_clear(&line.options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_wins_over_the_environment_and_that_over_the_default),
        cmocka_unit_test(an_empty_variable_counts_as_unset_and_an_empty_flag_does_not),
        cmocka_unit_test(values_stand_behind_the_equals_sign_or_in_the_next_word),
        cmocka_unit_test(switches_take_every_form),
        cmocka_unit_test(both_environment_names_count),
        cmocka_unit_test(lists_gather_what_stands_several_times),
        cmocka_unit_test(other_options_keep_the_last_value),
        cmocka_unit_test(secrets_are_overwritten_where_they_came_from),
        cmocka_unit_test(wrong_lines_name_the_flag),
        cmocka_unit_test(an_unexpected_word_is_not_shown_where_tokens_are_given),
        cmocka_unit_test(what_may_be_a_secret_is_overwritten_too),
        cmocka_unit_test(choices_may_be_written_in_capitals),
        cmocka_unit_test(words_and_what_stands_behind_two_dashes_are_kept),
        cmocka_unit_test(open_flags_are_gathered_with_their_values),
        cmocka_unit_test(reading_can_stop_at_the_first_word),
        cmocka_unit_test(answers_count_as_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
