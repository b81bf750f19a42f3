#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char seen[16384];
static int pipe_ends[2], real_stderr;

static void listen_to_stderr(void)
{
    assert_int_equal(pipe(pipe_ends), 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(pipe_ends[1], STDERR_FILENO);
}

static const char *stop_listening(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(pipe_ends[1]);
    ssize_t length = read(pipe_ends[0], seen, sizeof(seen) - 1); /* one write, one read */
    seen[length > 0 ? length : 0] = '\0';
    assert_int_equal(read(pipe_ends[0], seen + sizeof(seen) - 1, 1), 0);
    close(pipe_ends[0]);
    return seen;
}

#define LOGGED(...) (listen_to_stderr(), log_event(__VA_ARGS__), stop_listening())

static void writes_text_with_time_level_and_event(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, false);
    const char *line = LOGGED(LOG_INFO, "pod_started", "job=%d node=\"%s\"", 42, "a b");
    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_string_equal(line + strlen("time=2026-01-01T00:00:00.000Z"),
                        " level=info event=pod_started job=42 node=\"a b\"\n");
    assert_string_equal(LOGGED(LOG_DEBUG, "x", "a=1"), "");
    assert_true(log_enabled(LOG_WARN));
    assert_false(log_enabled(LOG_DEBUG));
}

static void writes_the_stock_look(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_RUNNER, false);
    assert_string_equal(LOGGED(LOG_WARN, "job_lost", "job=%d", 1),
                        "WARNING: job_lost                                  job=1\n");
    log_setup(LOG_INFO, LOG_RUNNER, true);
    assert_string_equal(LOGGED(LOG_ERROR, "e", "%s", ""),
                        "\033[31;1mERROR: e                                          \033[0;m\n");
}

static void json_lines_are_json_whatever_the_values(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *expected;
    } rows[] = {
        { "job=42 a=x", ",\"job\":42,\"a\":\"x\"}\n" },
        { "a=\"two words\" b=1.5 c=007", ",\"a\":\"two words\",\"b\":\"1.5\",\"c\":\"007\"}\n" },
        { "a=\"say \"hi\" now\" b=\"\"", ",\"a\":\"say \\\"hi\\\" now\",\"b\":\"\"}\n" },
        { "a=back\\slash b=\"x\ny\" c=\x01", ",\"a\":\"back\\\\slash\",\"b\":\"x\\ny\",\"c\":\"\\u0001\"}\n" },
        { "a=\"gr\xC3\xBC\xC3\x9F\" b=\xFF\xC3",
          ",\"a\":\"gr\xC3\xBC\xC3\x9F\",\"b\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"}\n" },
        { "a=\"open end", ",\"a\":\"open end\"}\n" },
        { "bare", ",\"bare\":\"\"}\n" },
        { "n=\"12\" big=1234567890123456", ",\"n\":\"12\",\"big\":\"1234567890123456\"}\n" },
        { "", "}\n" },
    };
    log_setup(LOG_DEBUG, LOG_JSON, false);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *line = LOGGED(LOG_INFO, "ev", "%s", rows[i].fields);
        const char *at = strstr(line, ",\"level\":\"info\",\"event\":\"ev\"");
        assert_non_null(at);
        assert_string_equal(at + strlen(",\"level\":\"info\",\"event\":\"ev\""), rows[i].expected);
    }
}

static void one_event_is_one_line_and_has_an_end(void **state)
{
    (void)state;
    char longer[5000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    memcpy(longer, "forged\nline \x1b[31m", 17);
    log_setup(LOG_INFO, LOG_TEXT, false);
    const char *line = LOGGED(LOG_INFO, "ev", "a=%s", longer);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_null(strchr(line, '\x1b'));
    assert_non_null(strstr(line, "a=forged\\nline \\x1b[31m"));
    assert_string_equal(line + strlen(line) - 4, "...\n");
    assert_true(strlen(line) < 2048 + 100);
}

static void knows_its_words(void **state)
{
    (void)state;
    enum log_level level = LOG_DEBUG;
    enum log_format format = LOG_TEXT;
    assert_int_equal(log_level_parse("panic", &level), 0);
    assert_int_equal(level, LOG_FATAL);
    assert_int_equal(log_level_parse("warn", &level), 0);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse("loud", &level), -1);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_JSON);
    assert_int_equal(log_format_parse("xml", &format), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_text_with_time_level_and_event),
        cmocka_unit_test(writes_the_stock_look),
        cmocka_unit_test(json_lines_are_json_whatever_the_values),
        cmocka_unit_test(one_event_is_one_line_and_has_an_end),
        cmocka_unit_test(knows_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
