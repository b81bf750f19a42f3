/* However a log is lost again and again: it is asked for some times a minute, and no byte is missing. */
#include "kubelet.h"

#define MINUTE_MS      60000u
#define MOST_A_MINUTE  40u
#define STEP_MS        10u
#define LINES_A_MINUTE 60u

static unsigned streams, plains;

/* What becomes of a read that was just opened. */
typedef void fate_of_read(void);

/* A minute in which courier prints each second, and each read meets its fate as soon as it is open. */
static void live(uint64_t ms, bool courier_prints, fate_of_read *fate)
{
    unsigned seen = reads;

    streams = plains = 0;
    for (uint64_t passed = 0; passed < ms && overs == 0; passed += STEP_MS) {
        if (courier_prints && passed % 1000 == 0)
            prints("one line of output\n");
        clock_pass(STEP_MS);
        if (reads == seen || !is_open)
            continue;
        seen = reads;
        streams += last.follow;
        plains += !last.follow;
        line_s = last.timed ? clock_wall_s() : 0;
        fate();
    }
}

/* As courier ends, and the watch tells it. */
static void the_end_comes(void)
{
    courier_ends();
    if (is_open)
        ends(LOG_CLOSED);
    follow_container_over(follow);
    for (unsigned i = 0; i < 1000 && overs == 0; i++) {
        clock_pass(STEP_MS);
        if (is_open)
            gives_file_from(0);
    }
    assert_true(everything_came());
    assert_true(end_came());
}

static void is_cut(void)
{
    gives_file_from(0);
    if (is_open)
        ends(LOG_CLOSED);
}

static void a_stream_that_always_ends_early_becomes_reading_by_time(void **state)
{
    (void)state;
    is_cut();
    live(MINUTE_MS, true, is_cut);
    assert_in_range(streams + plains, LINES_A_MINUTE / 4, MOST_A_MINUTE);
    assert_true(plains > streams);
    the_end_comes();
}

/* The kubelet gives what there is and cannot follow. */
static void is_not_followed(void)
{
    gives_file_from(0);
    if (is_open)
        ends(last.follow ? LOG_NOT_FOLLOWED : LOG_CLOSED);
}

static void a_kubelet_that_cannot_follow_is_read_every_one_to_three_seconds_while_output_comes(void **state)
{
    (void)state;
    is_not_followed();
    live(MINUTE_MS, true, is_not_followed);
    assert_in_range(streams + plains, MINUTE_MS / 3000, MOST_A_MINUTE);
    assert_in_range(streams, 1, 2); /* following was tried again */
    the_end_comes();
}

static void a_silent_log_is_read_more_rarely(void **state)
{
    (void)state;
    prints("one\n");
    is_not_followed();
    live(5 * MINUTE_MS, false, is_not_followed);
    assert_in_range(streams + plains, 5 * MINUTE_MS / 10000, 5 * MINUTE_MS / 5000);
    the_end_comes();
}

static void reading_by_time_begins_at_the_last_line_that_was_read(void **state)
{
    (void)state;
    prints("one\n");
    is_not_followed();
    clock_pass(3000);
    assert_true(is_open && last.timed && !last.follow);
    assert_int_equal(last.since_unix_s, 0); /* nothing is known of the stream's lines */
    line_s = 1767225600;
    gives_file_from(0);
    ends(LOG_CLOSED);
    clock_pass(10000);
    assert_true(is_open && last.timed);
    assert_int_equal(last.since_unix_s, 1767225600);
}

/* The marks of a time in the middle prove nothing to a reader that begins again. */
static void a_read_from_the_start_that_brings_nothing_is_tried_from_the_start_again(void **state)
{
    (void)state;
    prints("one\n");
    prints("two\n");
    is_not_followed();
    clock_pass(3000);
    line_s = 1767225600;
    gives_file_from(0);
    follow_rewind(follow, 0);
    for (unsigned i = 0; i < 3; i++) {
        clock_pass(10000);
        assert_true(is_open);
        assert_int_equal(last.since_unix_s, 0);
        ends(LOG_UNREACHABLE);
    }
    clock_pass(10000);
    assert_int_equal(last.since_unix_s, 0);
}

static void the_end_of_the_container_is_read_at_once(void **state)
{
    (void)state;
    prints("one\n");
    is_not_followed();
    courier_ends();
    follow_container_over(follow);
    clock_pass(1);
    assert_true(is_open && !last.follow);
    gives_file_from(0);
    assert_true(everything_came());
    assert_true(end_came());
}

static void a_read_that_began_before_the_container_ended_is_not_the_last_word(void **state)
{
    (void)state;
    prints("one\n");
    is_not_followed();
    clock_pass(3000);
    assert_true(is_open && !last.follow);
    follow_container_over(follow);
    ends(LOG_CLOSED);
    assert_false(follow_was_read(follow));
    clock_pass(1);
    ends(LOG_CLOSED);
    assert_true(follow_was_read(follow));
}

static bool has_room;

static void is_followed_when_there_is_room(void)
{
    if (!has_room || !last.follow)
        is_not_followed();
    else
        gives_file_from(0);
}

static void following_comes_back_when_the_kubelet_has_room_again(void **state)
{
    (void)state;
    has_room = false;
    is_not_followed();
    live(2 * MINUTE_MS, true, is_followed_when_there_is_room);
    has_room = true;
    for (unsigned i = 0; i < 10 * 60 && !(is_open && last.follow); i++)
        live(1000, true, is_followed_when_there_is_room);
    assert_true(is_open && last.follow);
    clock_pass(20000);
    ends(LOG_CLOSED);
    clock_pass(200);
    assert_true(is_open && last.follow); /* a stream that lived is opened again as one */
    the_end_comes();
}

static void is_refused(void)
{
    if (last.follow)
        ends(LOG_REFUSED);
    else
        is_not_followed();
}

static void a_proxy_that_refuses_every_handshake_does_not_hide_the_log(void **state)
{
    (void)state;
    is_refused();
    live(MINUTE_MS, true, is_refused);
    assert_in_range(streams + plains, 15, MOST_A_MINUTE);
    the_end_comes();
}

/* One batch more each time, then one that lacks its first byte. */
static void brings_some_and_is_damaged(void)
{
    size_t before = file.length;

    prints("one line more\n");
    gives(file.bytes, before);
    if (is_open)
        gives_file_from(before + 1);
    assert_false(is_open);
}

static void damage_behind_new_lines_every_time_is_no_storm(void **state)
{
    (void)state;
    prints("one\n");
    brings_some_and_is_damaged();
    live(MINUTE_MS, true, brings_some_and_is_damaged);
    assert_in_range(streams + plains, 10, 2 * MOST_A_MINUTE);
    the_end_comes();
}

static void gives_all(void)
{
    gives_file_from(0);
}

static void dataops_that_takes_little_at_a_time_does_not_make_the_log_be_read_all_the_time(void **state)
{
    unsigned resumed = 0;

    (void)state;
    takes = false;
    for (uint64_t passed = 0; passed < MINUTE_MS / 6 && resumed <= MOST_A_MINUTE; passed += STEP_MS) {
        if (is_open) {
            prints_much(1100000); /* more than may be held */
            gives_file_from(0);
            assert_false(is_open);
            resumed++;
        }
        take_all();
        clock_pass(STEP_MS);
    }
    assert_in_range(resumed, 2, MOST_A_MINUTE / 3);
    assert_true(everything_came());
    takes = true;
    the_end_comes();
}

static void a_dataops_that_wants_the_log_again_and_again_is_no_storm(void **state)
{
    unsigned seen = reads;

    (void)state;
    prints("one\n");
    gives_all();
    streams = 0;
    for (uint64_t passed = 0; passed < MINUTE_MS; passed += STEP_MS) {
        if (is_open)
            follow_rewind(follow, 0);
        clock_pass(STEP_MS);
        if (reads != seen && is_open)
            gives_all();
        streams += reads != seen;
        seen = reads;
    }
    assert_in_range(streams, 1, MOST_A_MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(a_stream_that_always_ends_early_becomes_reading_by_time),
        FOLLOW_TEST(a_kubelet_that_cannot_follow_is_read_every_one_to_three_seconds_while_output_comes),
        FOLLOW_TEST(a_silent_log_is_read_more_rarely),
        FOLLOW_TEST(reading_by_time_begins_at_the_last_line_that_was_read),
        FOLLOW_TEST(a_read_from_the_start_that_brings_nothing_is_tried_from_the_start_again),
        FOLLOW_TEST(the_end_of_the_container_is_read_at_once),
        FOLLOW_TEST(a_read_that_began_before_the_container_ended_is_not_the_last_word),
        FOLLOW_TEST(following_comes_back_when_the_kubelet_has_room_again),
        FOLLOW_TEST(a_proxy_that_refuses_every_handshake_does_not_hide_the_log),
        FOLLOW_TEST(damage_behind_new_lines_every_time_is_no_storm),
        FOLLOW_TEST(dataops_that_takes_little_at_a_time_does_not_make_the_log_be_read_all_the_time),
        FOLLOW_TEST(a_dataops_that_wants_the_log_again_and_again_is_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
