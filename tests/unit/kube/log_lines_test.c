/* Times before lines, and the kubelet's last words. */
#include "log_lines.h"

#include "base/strbuf.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* What comes out of a body that arrives in pieces of this size, with "<seconds>" before each line. */
static void read_in_pieces(const char *body, size_t piece_most, struct strbuf *out)
{
    struct log_lines lines = { 0 };
    bool line_start = true;

    for (size_t at = 0; at < strlen(body); at += piece_most) {
        size_t length = strlen(body) - at < piece_most ? strlen(body) - at : piece_most, used = 0;
        struct log_piece piece;
        while (log_lines_next(&lines, body + at, length, &used, &piece)) {
            assert_true(piece.length > 0);
            if (line_start)
                strbuf_format(out, "<%lld>", (long long)lines.written_s);
            strbuf_add(out, piece.bytes, piece.length);
            line_start = piece.bytes[piece.length - 1] == '\n';
            assert_true(line_start || memchr(piece.bytes, '\n', piece.length) == NULL);
        }
        assert_int_equal(used, length);
    }
}

static void check(const char *body, const char *expected)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 29, 30, 31, 32, 33, 34, 1000 };

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct strbuf out = STRBUF_EMPTY;
        read_in_pieces(body, sizes[i], &out);
        assert_string_equal(strbuf_text(&out), expected);
        strbuf_clear(&out);
    }
}

static void each_line_loses_its_time_and_keeps_every_other_byte(void **state)
{
    (void)state;
    check("2026-01-01T00:00:00.123456789Z one\n2026-01-01T00:00:01.000000000Z  two words \n",
          "<1767225600>one\n<1767225601> two words \n");
    check("2026-01-01T00:00:00.123456789Z \n2026-01-01T00:00:02.000000000Z x", "<1767225600>\n<1767225602>x");
}

static void a_zone_is_taken_into_account(void **state)
{
    (void)state;
    check("2026-01-01T05:45:00.5+05:45 a\n", "<1767225600>a\n");
    check("2025-12-31T19:00:00.500000000-05:00 b\n", "<1767225600>b\n");
}

static void a_text_that_begins_like_a_time_loses_only_the_kubelets(void **state)
{
    (void)state;
    check("2026-01-01T00:00:00.1Z 2020-02-02T00:00:00.1Z mine\n", "<1767225600>2020-02-02T00:00:00.1Z mine\n");
}

static void lines_without_a_time_come_as_they_are(void **state)
{
    (void)state;
    check("failed to open log file\n\n \nx\n2026-13-X1T00:00:00.1Z no time\n",
          "<0>failed to open log file\n<0>\n<0> \n<0>x\n<0>2026-13-X1T00:00:00.1Z no time\n");
    check("a-word-that-is-longer-than-any-time-in-front-of-a-line-can-be 1\n",
          "<0>a-word-that-is-longer-than-any-time-in-front-of-a-line-can-be 1\n");
    check("2026-01-01T00:00:00.1Q no zone\n2026-01-01T00:00:00.1+0545 no zone\n",
          "<0>2026-01-01T00:00:00.1Q no zone\n<0>2026-01-01T00:00:00.1+0545 no zone\n");
}

static const char *last_words(const char *body, size_t piece_most)
{
    static struct log_tail tail;

    tail = (struct log_tail){ 0 };
    for (size_t at = 0; at < strlen(body); at += piece_most)
        log_tail_keep(&tail, body + at, strlen(body) - at < piece_most ? strlen(body) - at : piece_most);
    return log_tail_no_follow(&tail);
}

static void a_nul_in_the_log_hides_nothing_of_the_kubelets_words(void **state)
{
    static const char body[] = "a job's \0 byte\nfailed to watch directory \"/var\033[31m\0\": no space";
    struct log_tail tail = { 0 };

    (void)state;
    log_tail_keep(&tail, body, sizeof body - 1);
    assert_string_equal(log_tail_no_follow(&tail), "failed to watch directory '/var'[31m'': no space");
}

static void the_kubelets_words_about_following_are_found_at_the_end_only(void **state)
{
    static const char words[] = "failed to create fsnotify watcher: too many open files";
    struct strbuf body = STRBUF_EMPTY;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        strbuf_add_text(&body, "output of the job \033_Dm123,00000000\033\\\n");
    strbuf_add_text(&body, words);
    for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1)
        assert_string_equal(last_words(strbuf_text(&body), piece), words);
    strbuf_add_text(&body, "\n");
    assert_string_equal(last_words(strbuf_text(&body), 100), words);
    strbuf_add_text(&body, "output\n");
    assert_null(last_words(strbuf_text(&body), 100));
    assert_null(last_words("", 1));
    assert_null(last_words("\n", 1));
    strbuf_clear(&body);
}

static void a_limit_of_watches_counts_too_and_nothing_odd_is_quoted(void **state)
{
    (void)state;
    assert_string_equal(last_words("failed to watch directory \"/var/log/\033pods\": no space left on device", 7),
                        "failed to watch directory '/var/log/'pods': no space left on device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_loses_its_time_and_keeps_every_other_byte),
        cmocka_unit_test(a_zone_is_taken_into_account),
        cmocka_unit_test(a_text_that_begins_like_a_time_loses_only_the_kubelets),
        cmocka_unit_test(lines_without_a_time_come_as_they_are),
        cmocka_unit_test(a_nul_in_the_log_hides_nothing_of_the_kubelets_words),
        cmocka_unit_test(the_kubelets_words_about_following_are_found_at_the_end_only),
        cmocka_unit_test(a_limit_of_watches_counts_too_and_nothing_odd_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
