/* Where each byte of a trace comes from. */
#include "job/splice.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t line_length(uint64_t bytes)
{
    char line[SPLICE_LINE_MOST];

    return splice_hole_line(bytes, line);
}

static void without_notes_and_holes_the_trace_is_the_log(void **state)
{
    struct splice splice = SPLICE_EMPTY;

    (void)state;
    assert_int_equal(splice_log_offset(&splice, 0), 0);
    assert_int_equal(splice_log_offset(&splice, 12345), 12345);
}

static void the_log_begins_behind_the_notes(void **state)
{
    struct splice splice = SPLICE_EMPTY;

    (void)state;
    splice.notes_length = 10;
    assert_int_equal(splice_log_offset(&splice, 0), 0);
    assert_int_equal(splice_log_offset(&splice, 9), 0);
    assert_int_equal(splice_log_offset(&splice, 10), 0);
    assert_int_equal(splice_log_offset(&splice, 11), 1);
}

static void a_line_stands_for_the_bytes_of_a_hole(void **state)
{
    struct splice splice = SPLICE_EMPTY;
    size_t line = line_length(500);

    (void)state;
    splice.notes_length = 10;
    splice_add_hole(&splice, 110, 500);
    assert_int_equal(splice_log_offset(&splice, 109), 99);
    assert_int_equal(splice_log_offset(&splice, 110), 600); /* inside the line: the byte behind it */
    assert_int_equal(splice_log_offset(&splice, 110 + line - 1), 600);
    assert_int_equal(splice_log_offset(&splice, 110 + line), 600);
    assert_int_equal(splice_log_offset(&splice, 110 + line + 7), 607);
    splice_clear(&splice);
}

static void a_rewind_forgets_the_holes_behind_it(void **state)
{
    struct splice splice = SPLICE_EMPTY;

    (void)state;
    splice_add_hole(&splice, 100, 500);
    splice_add_hole(&splice, 1000, 5);
    splice_rewind(&splice, 1000);
    assert_int_equal(splice.hole_count, 1);
    splice_rewind(&splice, 101);
    assert_int_equal(splice.hole_count, 1);
    splice_rewind(&splice, 100);
    assert_int_equal(splice.hole_count, 0);
    splice_clear(&splice);
}

static void bytes_that_the_trace_has_are_skipped(void **state)
{
    struct splice splice = SPLICE_EMPTY;
    struct splice_piece piece = splice_next(&splice, 30, 10, 50);

    (void)state;
    assert_int_equal(piece.kind, SPLICE_BYTES);
    assert_int_equal(piece.skip, 20);
    assert_int_equal(piece.length, 30);
    piece = splice_next(&splice, 100, 10, 50);
    assert_int_equal(piece.kind, SPLICE_BYTES);
    assert_int_equal(piece.skip, 50);
    assert_int_equal(piece.length, 0);
}

static void bytes_that_nobody_has_are_a_hole(void **state)
{
    struct splice splice = SPLICE_EMPTY;
    struct splice_piece piece = splice_next(&splice, 30, 100, 50);

    (void)state;
    assert_int_equal(piece.kind, SPLICE_HOLE);
    assert_int_equal(piece.lost, 70);
    splice_add_hole(&splice, 30, piece.lost);
    piece = splice_next(&splice, 30 + line_length(70), 100, 50);
    assert_int_equal(piece.kind, SPLICE_BYTES);
    assert_int_equal(piece.skip, 0);
    assert_int_equal(piece.length, 50);
    splice_clear(&splice);
}

static void nothing_is_put_behind_the_end(void **state)
{
    struct splice splice = SPLICE_EMPTY;
    struct splice_piece piece;

    (void)state;
    splice.log_end = 40;
    piece = splice_next(&splice, 30, 10, 50);
    assert_int_equal(piece.kind, SPLICE_BYTES);
    assert_int_equal(piece.skip, 20);
    assert_int_equal(piece.length, 10);
    assert_int_equal(splice_next(&splice, 40, 10, 50).kind, SPLICE_BEHIND);
    piece = splice_next(&splice, 30, 100, 50); /* what is lost behind the end is not missed */
    assert_int_equal(piece.kind, SPLICE_HOLE);
    assert_int_equal(piece.lost, 10);
}

static void no_bytes_ask_for_nothing(void **state)
{
    struct splice splice = SPLICE_EMPTY;

    (void)state;
    assert_int_equal(splice_next(&splice, 30, 100, 0).kind, SPLICE_NOTHING);
}

static void the_same_number_gives_the_same_line(void **state)
{
    char one[SPLICE_LINE_MOST] = "", two[SPLICE_LINE_MOST] = "";
    size_t length = splice_hole_line(UINT64_MAX, one);

    (void)state;
    assert_int_equal(length, strlen(one));
    assert_int_equal(splice_hole_line(UINT64_MAX, two), length);
    assert_string_equal(one, two);
    assert_non_null(strstr(one, "18446744073709551615 bytes were lost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_notes_and_holes_the_trace_is_the_log),
        cmocka_unit_test(the_log_begins_behind_the_notes),
        cmocka_unit_test(a_line_stands_for_the_bytes_of_a_hole),
        cmocka_unit_test(a_rewind_forgets_the_holes_behind_it),
        cmocka_unit_test(bytes_that_the_trace_has_are_skipped),
        cmocka_unit_test(bytes_that_nobody_has_are_a_hole),
        cmocka_unit_test(nothing_is_put_behind_the_end),
        cmocka_unit_test(no_bytes_ask_for_nothing),
        cmocka_unit_test(the_same_number_gives_the_same_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
