/* One pod's log, followed: what is proven comes out once and in order, whatever the way does to it. */
#include "kubelet.h"

/* --- a good way --- */

static void what_courier_printed_comes_out_and_then_the_end(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    courier_ends();
    assert_true(last.follow);
    assert_int_equal(last.since_unix_s, 0);
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
    assert_int_equal(reads, 1);
    assert_int_equal(follow_repairs(follow), 0);
}

static void pieces_of_any_size_make_no_difference(void **state)
{
    (void)state;
    prints("one\r\nbar 50%\rbar\n");
    prints("unfinished");
    courier_ends();
    for (size_t i = 0; i < file.length; i++)
        gives(file.bytes + i, 1);
    assert_true(everything_came());
    assert_true(end_came());
}

static void nothing_comes_out_before_its_mark(void **state)
{
    size_t before;

    (void)state;
    prints("one\n");
    before = file.length;
    prints("two\n");
    gives(file.bytes, before - 2);
    assert_int_equal(got.length, 0);
    gives(file.bytes + before - 2, 2);
    assert_int_equal(got.length, 4);
}

static void lines_of_somebody_else_are_no_output(void **state)
{
    static const char foreign[] = "failed to watch file \"/var/log/pods\": no space left on device\n";

    (void)state;
    prints("one\n");
    gives(foreign, strlen(foreign));
    gives_file_from(0);
    assert_int_equal(got.length, 0);
    clock_pass(1);
    gives_file_from(0);
    assert_true(everything_came());
}

/* --- reconnects --- */

static void a_closed_stream_is_opened_again_and_nothing_is_repeated(void **state)
{
    (void)state;
    prints("one\n");
    gives_file_from(0);
    ends(LOG_CLOSED);
    assert_int_equal(overs, 0);
    clock_pass(1000);
    assert_int_equal(reads, 2);
    prints("two\n");
    courier_ends();
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
}

static void a_stream_that_was_live_is_opened_again_from_ten_seconds_before_its_last_mark(void **state)
{
    size_t before;

    (void)state;
    prints("one\n");
    gives_file_from(0);
    clock_pass(6000);
    before = file.length;
    prints("two\n");
    gives_file_from(before);
    int64_t mark_s = clock_wall_s();
    clock_pass(20000);
    ends(LOG_CLOSED);
    clock_pass(1000);
    assert_int_equal(last.since_unix_s, mark_s - 10);
}

static void marks_that_came_with_the_first_bytes_say_nothing_of_time(void **state)
{
    (void)state;
    prints("one\n");
    gives_file_from(0);
    ends(LOG_CLOSED);
    clock_pass(1000);
    assert_int_equal(last.since_unix_s, 0);
}

static void a_read_from_the_middle_goes_on_where_it_was(void **state)
{
    size_t second, third;

    (void)state;
    prints("one\n");
    gives_file_from(0);
    clock_pass(6000);
    second = file.length;
    prints("two\n");
    gives_file_from(second);
    third = file.length;
    ends(LOG_CLOSED);
    clock_pass(1000);
    assert_true(last.since_unix_s > 0);
    prints("three\n");
    prints("four\n");
    courier_ends();
    (void)third;
    gives_file_from(second);
    assert_true(everything_came());
    assert_true(end_came());
}

static void silence_of_75_seconds_opens_the_stream_again(void **state)
{
    (void)state;
    prints("one\n");
    gives_file_from(0);
    clock_pass(74000);
    assert_int_equal(reads, 1);
    clock_pass(2000);
    assert_int_equal(reads, 2);
}

static void a_heartbeat_is_no_silence(void **state)
{
    (void)state;
    prints("one\n");
    gives_file_from(0);
    for (unsigned i = 0; i < 10; i++) {
        size_t before = file.length;
        clock_pass(30000);
        record_heartbeat(&writer, &file);
        gives_file_from(before);
    }
    assert_int_equal(reads, 1);
}

static void bytes_without_marks_are_silence(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8 && reads == 1; i++) {
        gives("noise\n", 6);
        clock_pass(10000);
    }
    assert_int_equal(reads, 2);
}

static void a_pod_that_does_not_start_is_asked_every_five_seconds_at_most(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6000; i++) {
        if (is_open)
            ends(i % 3 == 0 ? LOG_GONE : i % 3 == 1 ? LOG_NOT_YET : LOG_UNREACHABLE);
        clock_pass(100);
    }
    assert_int_equal(overs, 0);
    assert_in_range(reads, 60, 300);
}

/* --- damage --- */

static void a_lost_line_is_read_again_at_once_and_nothing_damaged_comes_out(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    prints("three\n");
    courier_ends();
    gives_file_without("two");
    assert_memory_equal(strbuf_text(&got), "one\n", got.length);
    assert_false(is_open);
    clock_pass(1);
    assert_true(is_open);
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
    assert_int_equal(follow_repairs(follow), 1);
}

static void a_changed_byte_is_noticed(void **state)
{
    char *at;

    (void)state;
    prints("one\n");
    at = strstr(file.bytes, "one");
    *at = 'O';
    gives_file_from(0);
    assert_int_equal(got.length, 0);
    *at = 'o';
    clock_pass(1);
    gives_file_from(0);
    assert_true(everything_came());
}

static void bytes_that_nobody_has_any_more_are_passed_after_five_repairs(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    prints("three\n");
    prints("four\n");
    courier_ends();
    in_order = true;
    for (unsigned i = 0; i < 60 && overs == 0; i++) {
        if (is_open)
            gives_file_without("two");
        clock_pass(1000);
    }
    assert_true(end_came());
    assert_false(in_order); /* the offset jumped over what is missing */
    /* "three" cannot be proven: its mark counts "two", too */
    assert_string_equal(strbuf_text(&got), "one\nfour\n");
    assert_in_range(follow_repairs(follow), 5, 9);
}

static void repairs_that_lead_nowhere_slow_down(void **state)
{
    uint64_t began_ms = clock_now_ms();

    (void)state;
    prints("one\n");
    *strstr(file.bytes, "one") = 'O';
    while (reads < 7 && clock_now_ms() < began_ms + 600000) {
        if (is_open)
            gives_file_from(0);
        clock_pass(10);
    }
    assert_in_range(clock_now_ms() - began_ms, 1000, 20000);
}

static void an_end_that_says_more_than_came_is_read_again(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    courier_ends();
    gives_file_without("two");
    assert_int_equal(overs, 0);
    clock_pass(1000);
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
}

static void an_end_without_the_last_lines_is_taken_in_the_end(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    courier_ends();
    for (unsigned i = 0; i < 60 && overs == 0; i++) {
        if (is_open)
            gives_file_without("two");
        clock_pass(1000);
    }
    assert_true(end_came());
    assert_string_equal(strbuf_text(&got), "one\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(what_courier_printed_comes_out_and_then_the_end),
        FOLLOW_TEST(pieces_of_any_size_make_no_difference),
        FOLLOW_TEST(nothing_comes_out_before_its_mark),
        FOLLOW_TEST(lines_of_somebody_else_are_no_output),
        FOLLOW_TEST(a_closed_stream_is_opened_again_and_nothing_is_repeated),
        FOLLOW_TEST(a_stream_that_was_live_is_opened_again_from_ten_seconds_before_its_last_mark),
        FOLLOW_TEST(marks_that_came_with_the_first_bytes_say_nothing_of_time),
        FOLLOW_TEST(a_read_from_the_middle_goes_on_where_it_was),
        FOLLOW_TEST(silence_of_75_seconds_opens_the_stream_again),
        FOLLOW_TEST(a_heartbeat_is_no_silence),
        FOLLOW_TEST(bytes_without_marks_are_silence),
        FOLLOW_TEST(a_pod_that_does_not_start_is_asked_every_five_seconds_at_most),
        FOLLOW_TEST(a_lost_line_is_read_again_at_once_and_nothing_damaged_comes_out),
        FOLLOW_TEST(a_changed_byte_is_noticed),
        FOLLOW_TEST(bytes_that_nobody_has_any_more_are_passed_after_five_repairs),
        FOLLOW_TEST(repairs_that_lead_nowhere_slow_down),
        FOLLOW_TEST(an_end_that_says_more_than_came_is_read_again),
        FOLLOW_TEST(an_end_without_the_last_lines_is_taken_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
