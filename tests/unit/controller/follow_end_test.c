/* One pod's log, followed to its end, and by a reader who is slow or wants it again. */
#include "kubelet.h"

/* --- the container ended --- */

static void an_open_stream_may_give_its_last_bytes_when_the_container_ended(void **state)
{
    (void)state;
    prints("one\n");
    gives_file_from(0);
    follow_container_over(follow);
    size_t before = file.length;
    prints("two\n");
    courier_ends();
    clock_pass(1000);
    gives_file_from(before);
    assert_true(everything_came());
    assert_true(end_came());
    assert_int_equal(reads, 1);
}

static void a_stream_that_fell_silent_then_is_replaced_by_a_plain_read(void **state)
{
    (void)state;
    prints("one\n");
    courier_ends();
    follow_container_over(follow);
    clock_pass(2900);
    assert_int_equal(reads, 1);
    clock_pass(200);
    assert_int_equal(reads, 2);
    assert_false(last.follow);
    assert_false(follow_was_read(follow));
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
}

static void without_an_end_record_three_plain_reads_are_the_last_word(void **state)
{
    size_t length;

    (void)state;
    prints("one\n");
    gives_file_from(0);
    ends(LOG_CLOSED);
    follow_container_over(follow);
    for (unsigned i = 0; i < 100 && overs == 0; i++) {
        clock_pass(100);
        if (is_open) {
            assert_false(last.follow);
            gives_file_from(0);
            ends(LOG_CLOSED);
        }
    }
    assert_int_equal(overs, 1);
    assert_null(follow_end(follow, &length));
    assert_true(everything_came());
    assert_true(follow_was_read(follow));
    assert_int_equal(reads, 4);
}

static void a_node_that_does_not_answer_is_waited_for_a_minute(void **state)
{
    (void)state;
    ends(LOG_UNREACHABLE);
    follow_container_over(follow);
    uint64_t began_ms = clock_now_ms();
    while (overs == 0 && clock_now_ms() - began_ms < 600000) {
        clock_pass(100);
        if (is_open)
            ends(LOG_UNREACHABLE);
    }
    assert_in_range(clock_now_ms() - began_ms, 55000, 70000);
    assert_false(follow_was_read(follow));
}

static void a_node_that_comes_back_in_time_is_read(void **state)
{
    (void)state;
    prints("one\n");
    courier_ends();
    ends(LOG_UNREACHABLE);
    follow_container_over(follow);
    for (unsigned i = 0; i < 300; i++) {
        clock_pass(100);
        if (is_open)
            ends(i % 2 == 0 ? LOG_UNREACHABLE : LOG_GONE);
    }
    while (!is_open)
        clock_pass(100);
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
}

static void only_the_watch_tells_that_a_pod_is_gone(void **state)
{
    (void)state;
    ends(LOG_GONE);
    clock_pass(20000);
    assert_int_equal(overs, 0);
    follow_pod_gone(follow);
    for (unsigned i = 0; i < 10 && overs == 0; i++) {
        if (is_open)
            ends(LOG_GONE);
        clock_pass(1000);
    }
    assert_int_equal(overs, 1);
}

/* --- back-pressure and a second reading --- */

static void who_does_not_take_is_not_drowned(void **state)
{
    size_t give;

    (void)state;
    takes = false;
    prints_much(1500 * 1024);
    for (size_t at = 0; at < file.length && is_open; at += give) {
        give = file.length - at < 8192 ? file.length - at : 8192;
        gives(file.bytes + at, give);
    }
    assert_false(is_open);
    assert_in_range(follow_position(follow), 1u << 20, (1u << 20) + 32768);
    clock_pass(300000);
    assert_false(is_open);
    follow_take(follow, 100); /* still more than it goes on with */
    clock_pass(1000);
    assert_false(is_open);
    strbuf_add(&got, strbuf_text(&printed), 100);
    got_at = 100;
    takes = true;
    take_all();
    clock_pass(1000);
    assert_true(is_open);
    courier_ends();
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
}

static void a_rewind_brings_the_bytes_from_there_on_once_more(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    courier_ends();
    gives_file_from(0);
    assert_int_equal(overs, 1);
    overs = 0;
    strbuf_clear(&got);
    got_at = 4;
    follow_rewind(follow, 4);
    clock_pass(100);
    assert_int_equal(last.since_unix_s, 0);
    gives_file_from(0);
    assert_string_equal(strbuf_text(&got), "two\n");
    assert_true(in_order);
    assert_true(end_came());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(an_open_stream_may_give_its_last_bytes_when_the_container_ended),
        FOLLOW_TEST(a_stream_that_fell_silent_then_is_replaced_by_a_plain_read),
        FOLLOW_TEST(without_an_end_record_three_plain_reads_are_the_last_word),
        FOLLOW_TEST(a_node_that_does_not_answer_is_waited_for_a_minute),
        FOLLOW_TEST(a_node_that_comes_back_in_time_is_read),
        FOLLOW_TEST(only_the_watch_tells_that_a_pod_is_gone),
        FOLLOW_TEST(who_does_not_take_is_not_drowned),
        FOLLOW_TEST(a_rewind_brings_the_bytes_from_there_on_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
