#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static void say(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    listen_to_stderr();
    log_write(level, event, fields, count);
    stop_listening();
}

#define LOGGED(level, event, ...)                                                                                      \
    (say(level, event, (const struct log_field[]){ __VA_ARGS__ },                                                      \
         sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field)),                                \
     seen)

/* --- a reader of logfmt, by the rules of go-logfmt --- */

struct pair {
    char key[64];
    char value[4096];
};

static unsigned hex4(const char *c)
{
    char digits[5] = { c[0], c[1], c[2], c[3], '\0' };
    return (unsigned)strtoul(digits, NULL, 16);
}

/* Reads a quoted value behind its first quote; gives what follows its last. */
static const char *read_quoted(const char *c, char *out)
{
    while (*c != '"') {
        assert_true((unsigned char)*c >= 0x20); /* also: the line ends inside quotes */
        if (*c != '\\') {
            *out++ = *c++;
            continue;
        }
        c++;
        const char *named = strchr("\"\"\\\\n\nr\rt\t", *c);
        if (*c == 'u') {
            unsigned code = hex4(c + 1);
            char bytes[4] = { 0 };
            if (code < 0x80) {
                bytes[0] = (char)code;
            } else if (code < 0x800) {
                bytes[0] = (char)(0xC0 | code >> 6);
                bytes[1] = (char)(0x80 | (code & 0x3F));
            } else {
                bytes[0] = (char)(0xE0 | code >> 12);
                bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
                bytes[2] = (char)(0x80 | (code & 0x3F));
            }
            out += snprintf(out, sizeof(bytes), "%s", bytes);
            c += 5;
        } else {
            assert_non_null(named);
            *out++ = named[1];
            c++;
        }
    }
    *out = '\0';
    return c + 1;
}

/* Reads one line; gives how many pairs it had. */
static size_t read_logfmt(const char *line, struct pair *pairs, size_t most)
{
    size_t count = 0;

    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    while (*line != '\n') {
        struct pair *pair = &pairs[count++];
        assert_true(count <= most);
        size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
        assert_in_range(length, 1, sizeof(pair->key) - 1);
        memcpy(pair->key, line, length);
        pair->key[length] = '\0';
        line += length;
        assert_int_equal(*line++, '=');
        if (*line == '"') {
            line = read_quoted(line + 1, pair->value);
        } else {
            length = strcspn(line, " \n");
            memcpy(pair->value, line, length);
            pair->value[length] = '\0';
            assert_null(strpbrk(pair->value, "\"="));
            line += length;
        }
        line += *line == ' ';
    }
    return count;
}

static const char *behind_event(const char *line, const char *start)
{
    const char *at = strstr(line, start);
    assert_non_null(at);
    return at + strlen(start);
}

static void check_end(const char *fields, const char *expected, const char *end)
{
    assert_memory_equal(fields, expected, strlen(expected));
    assert_string_equal(fields + strlen(expected), end);
}

/* --- looks --- */

static void writes_text_with_time_level_and_event(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_AS_TEXT, false);
    const char *line = LOGGED(LOG_INFO, "pod_started", LOG_NUMBER("job", 42), LOG_TEXT("node", "a b"));
    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_string_equal(line + strlen("time=2026-01-01T00:00:00.000Z"),
                        " level=info event=pod_started job=42 node=\"a b\"\n");
    assert_string_equal(LOGGED(LOG_DEBUG, "x", LOG_NUMBER("a", 1)), "");
    assert_true(log_enabled(LOG_WARN));
    assert_false(log_enabled(LOG_DEBUG));
    line = LOGGED(LOG_INFO, "Job succeeded");
    assert_string_equal(line + strlen("time=2026-01-01T00:00:00.000Z"), " level=info event=\"Job succeeded\"\n");
}

static void writes_the_stock_look(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_AS_RUNNER, false);
    assert_string_equal(LOGGED(LOG_WARN, "job_lost", LOG_NUMBER("job", 1), LOG_TEXT("why", "a \"b\"")),
                        "WARNING: job_lost                                  job=1 why=\"a \\\"b\\\"\"\n");
    log_setup(LOG_INFO, LOG_AS_RUNNER, true);
    assert_string_equal(LOGGED(LOG_ERROR, "e"),
                        "\033[31;1mERROR: e                                          \033[0;m\n");
}

static void each_kind_of_value_has_its_form(void **state)
{
    (void)state;
    static const struct {
        struct log_field field;
        const char *text, *json;
    } rows[] = {
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "x" }, "a=x", "\"a\":\"x\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "" }, "a=\"\"", "\"a\":\"\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = NULL }, "a=", "\"a\":null" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "12" }, "a=12", "\"a\":\"12\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "k=v" }, "a=\"k=v\"", "\"a\":\"k=v\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "say \"hi\"" },
          "a=\"say \\\"hi\\\"\"",
          "\"a\":\"say \\\"hi\\\"\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "c:\\d" }, "a=\"c:\\\\d\"", "\"a\":\"c:\\\\d\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "x\ny\x01" }, "a=\"x\\ny\\u0001\"", "\"a\":\"x\\ny\\u0001\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "gr\xC3\xBC\xC3\x9F" },
          "a=gr\xC3\xBC\xC3\x9F",
          "\"a\":\"gr\xC3\xBC\xC3\x9F\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "\xFF\xC3" },
          "a=\"\xEF\xBF\xBD\xEF\xBF\xBD\"",
          "\"a\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },
        { { .key = "a", .kind = LOG_KIND_TEXT, .text = "\xC2\x9B\xE2\x80\xAE\xE2\x80\xA8" },
          "a=\"\\u009b\\u202e\\u2028\"",
          "\"a\":\"\\u009b\\u202e\\u2028\"" },
        { { .key = "a", .kind = LOG_KIND_SIGNED, .with_sign = -7 }, "a=-7", "\"a\":-7" },
        { { .key = "a", .kind = LOG_KIND_SIGNED, .with_sign = INT64_MIN },
          "a=-9223372036854775808",
          "\"a\":\"-9223372036854775808\"" },
        { { .key = "a", .kind = LOG_KIND_UNSIGNED, .without_sign = 9007199254740992 },
          "a=9007199254740992",
          "\"a\":9007199254740992" },
        { { .key = "a", .kind = LOG_KIND_UNSIGNED, .without_sign = UINT64_MAX },
          "a=18446744073709551615",
          "\"a\":\"18446744073709551615\"" },
        { { .key = "a", .kind = LOG_KIND_SECONDS, .seconds = 1.5 }, "a=1.500", "\"a\":1.500" },
        { { .key = "a", .kind = LOG_KIND_TRUTH, .truth = true }, "a=true", "\"a\":true" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        log_setup(LOG_DEBUG, LOG_AS_TEXT, false);
        say(LOG_INFO, "ev", &rows[i].field, 1);
        check_end(behind_event(seen, "event=ev "), rows[i].text, "\n");
        log_setup(LOG_DEBUG, LOG_AS_JSON, false);
        say(LOG_INFO, "ev", &rows[i].field, 1);
        check_end(behind_event(seen, "\"event\":\"ev\","), rows[i].json, "}\n");
    }
}

static void the_macros_know_each_type(void **state)
{
    (void)state;
    const uint64_t job = UINT64_C(1) << 40;
    const unsigned short port = 9252;
    const int64_t below = -5;
    const bool graceful = true;
    char array[] = "text";

    log_setup(LOG_DEBUG, LOG_AS_JSON, false);
    assert_string_equal(behind_event(LOGGED(LOG_INFO, "ev", LOG_NUMBER("a", job), LOG_NUMBER("b", port),
                                            LOG_NUMBER("c", below), LOG_NUMBER("d", sizeof(array)),
                                            LOG_TEXT("e", array), LOG_TRUTH("f", graceful), LOG_SECONDS("g", 0.25)),
                                     "\"event\":\"ev\","),
                        "\"a\":1099511627776,\"b\":9252,\"c\":-5,\"d\":5,\"e\":\"text\",\"f\":true,\"g\":0.250}\n");
}

/* --- nobody else chooses a key --- */

#define FORGER "image \"x\" event=\"job_finished\" job=8 result=\"success\" expands to \"\""

static void a_text_from_outside_cannot_forge_a_field(void **state)
{
    (void)state;
    struct pair pairs[8];

    log_setup(LOG_INFO, LOG_AS_JSON, false);
    cJSON *tree = cJSON_Parse(LOGGED(LOG_WARN, "job_cannot_run", LOG_NUMBER("job", 7), LOG_TEXT("why", FORGER)));
    assert_int_equal(cJSON_GetArraySize(tree), 5); /* time, level, event, job, why */
    assert_string_equal(cJSON_GetObjectItem(tree, "event")->valuestring, "job_cannot_run");
    assert_true(cJSON_GetObjectItem(tree, "job")->valuedouble == 7);
    assert_string_equal(cJSON_GetObjectItem(tree, "why")->valuestring, FORGER);
    cJSON_Delete(tree);
    log_setup(LOG_INFO, LOG_AS_TEXT, false);
    assert_int_equal(
        read_logfmt(LOGGED(LOG_WARN, "job_cannot_run", LOG_NUMBER("job", 7), LOG_TEXT("why", FORGER)), pairs, 8), 5);
    assert_string_equal(pairs[2].value, "job_cannot_run");
    assert_string_equal(pairs[3].value, "7");
    assert_string_equal(pairs[4].value, FORGER);
}

static void no_key_stands_twice(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_AS_TEXT, false);
    assert_string_equal(behind_event(LOGGED(LOG_INFO, "ev", LOG_TEXT("event", "a"), LOG_TEXT("why", "b"),
                                            LOG_TEXT("why", "c"), LOG_TEXT("why", "d")),
                                     "event=ev "),
                        "event_2=a why=b why_2=c why_3=d\n");
}

static uint32_t chance = 2463534242;

static uint32_t any(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    return chance ^= chance << 5;
}

/* A text of random bytes, rich in what could end a value, and the same with its broken bytes replaced: only broken
 * UTF-8 does not read back as it was. The reader of the replacement is this test's own: one table of the forms. */
static void random_text(struct strbuf *text, struct strbuf *as_read)
{
    static const char *const whole[] = { "\"",
                                         "\\",
                                         " ",
                                         "=",
                                         "\n",
                                         "\t",
                                         "\r",
                                         "\x1b",
                                         "\x7f",
                                         "a",
                                         "key=",
                                         "\\u0041",
                                         "\\n",
                                         "\" b=\"",
                                         "\xC3\xBC",
                                         "\xE2\x82\xAC",
                                         "\xF0\x9F\x98\x80",
                                         "\xC2\x85",
                                         "\xE2\x80\xA9",
                                         "\xE2\x81\xA6",
                                         "/",
                                         "{",
                                         "}",
                                         "," };
    static const char *const broken[] = { "\xFF ", "\xC3(", "\x80 ", "\xC0 ", "\xF5 " }; /* a bad byte and a good one */
    size_t count = any() % 40;

    strbuf_cut(text, 0);
    strbuf_cut(as_read, 0);
    for (size_t i = 0; i < count; i++) {
        bool is_broken = any() % 8 == 0;
        const char *piece = is_broken ? broken[any() % COUNT_OF(broken)] : whole[any() % COUNT_OF(whole)];
        strbuf_add_text(text, piece);
        strbuf_add_text(as_read, is_broken ? "\xEF\xBF\xBD" : piece);
        if (is_broken)
            strbuf_add_text(as_read, piece + 1);
    }
}

static void random_texts_read_back_in_both_looks(void **state)
{
    (void)state;
    static struct pair pairs[8];
    OWNED_STRBUF struct strbuf first = STRBUF_EMPTY, first_read = STRBUF_EMPTY;
    OWNED_STRBUF struct strbuf second = STRBUF_EMPTY, second_read = STRBUF_EMPTY;

    for (unsigned round = 0; round < 3000; round++) {
        random_text(&first, &first_read);
        random_text(&second, &second_read);
        log_setup(LOG_INFO, LOG_AS_JSON, false);
        cJSON *tree = cJSON_Parse(
            LOGGED(LOG_INFO, "ev", LOG_TEXT("a", strbuf_text(&first)), LOG_TEXT("b", strbuf_text(&second))));
        assert_int_equal(cJSON_GetArraySize(tree), 5);
        assert_string_equal(cJSON_GetObjectItem(tree, "a")->valuestring, strbuf_text(&first_read));
        assert_string_equal(cJSON_GetObjectItem(tree, "b")->valuestring, strbuf_text(&second_read));
        cJSON_Delete(tree);
        log_setup(LOG_INFO, any() % 2 ? LOG_AS_TEXT : LOG_AS_RUNNER, false);
        const char *line =
            LOGGED(LOG_INFO, "ev", LOG_TEXT("a", strbuf_text(&first)), LOG_TEXT("b", strbuf_text(&second)));
        const char *fields = strncmp(line, "time=", 5) == 0 ? strstr(line, "a=") : line + 51;
        assert_int_equal(read_logfmt(fields, pairs, 8), 2);
        assert_string_equal(pairs[0].value, strbuf_text(&first_read));
        assert_string_equal(pairs[1].value, strbuf_text(&second_read));
    }
}

/* --- ceilings --- */

static void one_event_is_one_line_and_has_an_end(void **state)
{
    (void)state;
    char longer[5000];
    struct pair pairs[8];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    memcpy(longer, "forged\nline \x1b[31m", 17);
    log_setup(LOG_INFO, LOG_AS_TEXT, false);
    const char *line = LOGGED(LOG_INFO, "ev", LOG_TEXT("a", longer), LOG_NUMBER("b", 3));
    assert_null(strchr(line, '\x1b'));
    assert_non_null(strstr(line, "a=\"forged\\nline \\u001b[31mxxx"));
    assert_int_equal(read_logfmt(line, pairs, 8), 5);
    assert_string_equal(pairs[3].value + strlen(pairs[3].value) - 4, "x...");
    assert_string_equal(pairs[4].value, "3");
    assert_in_range(strlen(line), 1000, 1200);
}

static void a_cut_never_breaks_the_line(void **state)
{
    (void)state;
    /* What is cut stands at every offset from the ceiling: a letter, a pair, an escape of six, a wide character. */
    static const char *const pieces[] = { "x", "\"", "\x01", "\xF0\x9F\x98\x80", "\xFF" };
    for (size_t piece = 0; piece < COUNT_OF(pieces); piece++) {
        for (size_t before = 1000; before < 1030; before++) {
            OWNED_STRBUF struct strbuf longer = STRBUF_EMPTY;
            for (size_t i = 0; i < before; i++)
                strbuf_add_char(&longer, 'y');
            for (size_t i = 0; i < 40; i++)
                strbuf_add_text(&longer, pieces[piece]);
            const char *text = strbuf_text(&longer);
            log_setup(LOG_INFO, LOG_AS_JSON, false);
            cJSON *tree = cJSON_Parse(LOGGED(LOG_INFO, "ev", LOG_TEXT("a", text), LOG_TEXT("b", text),
                                             LOG_TEXT("c", text), LOG_NUMBER("d", 5)));
            assert_int_equal(cJSON_GetArraySize(tree), 7);
            const char *a = cJSON_GetObjectItem(tree, "a")->valuestring;
            assert_string_equal(a + strlen(a) - 3, "...");
            assert_true(cJSON_GetObjectItem(tree, "c")->valuestring[0] == '.' ||
                        strlen(cJSON_GetObjectItem(tree, "c")->valuestring) < 30);
            assert_true(cJSON_GetObjectItem(tree, "d")->valuedouble == 5);
            assert_true(strlen(seen) < 2048 + 150);
            cJSON_Delete(tree);
        }
    }
}

static void a_text_of_just_the_ceiling_is_whole(void **state)
{
    (void)state;
    char text[1025];

    memset(text, 'y', 1024);
    text[1024] = '\0';
    log_setup(LOG_INFO, LOG_AS_TEXT, false);
    assert_memory_equal(behind_event(LOGGED(LOG_INFO, "ev", LOG_TEXT("a", text)), "a="), text, 1024);
}

static void knows_its_words(void **state)
{
    (void)state;
    enum log_level level = LOG_DEBUG;
    enum log_format format = LOG_AS_TEXT;
    assert_int_equal(log_level_parse("panic", &level), 0);
    assert_int_equal(level, LOG_FATAL);
    assert_int_equal(log_level_parse("warn", &level), 0);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse("loud", &level), -1);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_AS_JSON);
    assert_int_equal(log_format_parse("xml", &format), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_text_with_time_level_and_event),
        cmocka_unit_test(writes_the_stock_look),
        cmocka_unit_test(each_kind_of_value_has_its_form),
        cmocka_unit_test(the_macros_know_each_type),
        cmocka_unit_test(a_text_from_outside_cannot_forge_a_field),
        cmocka_unit_test(no_key_stands_twice),
        cmocka_unit_test(random_texts_read_back_in_both_looks),
        cmocka_unit_test(one_event_is_one_line_and_has_an_end),
        cmocka_unit_test(a_cut_never_breaks_the_line),
        cmocka_unit_test(a_text_of_just_the_ceiling_is_whole),
        cmocka_unit_test(knows_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
