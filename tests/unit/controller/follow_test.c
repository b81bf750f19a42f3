/* One pod's log, followed: what is proven comes out once and in order, whatever the way does to it. kube/log.h is
 * played here: the test says what a read gives and how it ends. */
#include "follow.h"

#include "clock.h"
#include "io/loop.h"
#include "job/result.h"
#include "kube/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- the read that is open, and those before --- */

struct kube_log {
    const struct kube_log_events *events;
    void *owner;
};
static struct kube_log reading;
static bool is_open;
static struct kube_log_request last; /* borrows */
static unsigned reads;

struct kube_log *kube_log_start(struct kube *kube, const struct kube_log_request *request,
                                const struct kube_log_events *events, void *owner)
{
    (void)kube;
    assert_false(is_open);
    assert_string_equal(request->pod, "pod-1");
    assert_string_equal(request->container, "courier");
    is_open = true;
    reads++;
    last = *request;
    reading = (struct kube_log){ .events = events, .owner = owner };
    return &reading;
}

void kube_log_cancel(struct kube_log *log)
{
    if (log != NULL)
        is_open = false;
}

static void gives(const char *bytes, size_t length)
{
    assert_true(is_open);
    reading.events->data(reading.owner, bytes, length);
}

static void ends(enum kube_log_end end)
{
    struct error error = ERROR_NONE;

    assert_true(is_open);
    is_open = false;
    if (end != LOG_CLOSED)
        error_set(&error, BLAME_REMOTE, 0, "no log");
    reading.events->ended(reading.owner, end, &error);
}

/* --- courier --- */

static struct record_writer writer;
static struct strbuf file, printed;

static void prints(const char *text)
{
    record_put(&writer, text, strlen(text));
    record_flush(&writer, &file);
    strbuf_add_text(&printed, text);
}

static void prints_much(size_t bytes)
{
    OWNED_TEXT char *text = mem_new(bytes + 1);

    for (size_t i = 0; i < bytes; i++)
        text[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 23);
    prints(text);
}

static void courier_ends(void)
{
    struct result result = { .outcome = OUTCOME_SUCCESS };
    struct strbuf json = STRBUF_EMPTY;

    result.bytes = writer.offset;
    result.crc = writer.crc;
    result_print(&result, &json);
    assert_int_equal(record_end(&writer, strbuf_text(&json), &file), 0);
    strbuf_clear(&json);
}

/* The whole file, or from an offset of it on. */
static void gives_file_from(size_t at)
{
    gives(strbuf_text(&file) + at, file.length - at);
}

/* Without the first line that holds these words. */
static void gives_file_without(const char *words)
{
    const char *text = strbuf_text(&file), *at = strstr(text, words), *line = at, *end;

    assert_non_null(at);
    while (line > text && line[-1] != '\n')
        line--;
    end = strchr(at, '\n') + 1;
    gives(text, (size_t)(line - text));
    if (is_open)
        gives(end, file.length - (size_t)(end - text));
}

/* --- who listens --- */

static struct loop *loop;
static struct follow *follow;
static struct strbuf got;
static uint64_t got_at; /* offset behind what was taken */
static bool takes, in_order;
static unsigned overs;

static void take_all(void)
{
    uint64_t offset = 0;
    const struct strbuf *committed = follow_committed(follow, &offset);

    in_order = in_order && (committed->length == 0 || offset == got_at);
    strbuf_add(&got, strbuf_text(committed), committed->length);
    got_at = offset + committed->length;
    follow_take(follow, committed->length);
}

static void bytes_came(void *owner)
{
    (void)owner;
    assert_int_equal(overs, 0);
    if (takes)
        take_all();
}

static void is_over(void *owner)
{
    (void)owner;
    overs++;
}

static const struct follow_events events = { .bytes = bytes_came, .over = is_over };

static int set(void **state)
{
    (void)state;
    clock_begin(1);
    loop = loop_new();
    record_writer_init(&writer);
    is_open = false;
    reads = overs = 0;
    got_at = 0;
    takes = in_order = true;
    follow = follow_new(loop, NULL, "ns", "pod-1", &events, NULL);
    follow_open(follow);
    return 0;
}

static int strike(void **state)
{
    (void)state;
    follow_free(follow);
    loop_free(loop);
    record_writer_clear(&writer);
    strbuf_clear(&file);
    strbuf_clear(&printed);
    strbuf_clear(&got);
    return is_open ? -1 : 0;
}

static bool everything_came(void)
{
    return in_order && got.length == printed.length &&
           memcmp(strbuf_text(&got), strbuf_text(&printed), got.length) == 0;
}

static bool end_came(void)
{
    size_t length = 0;

    return overs == 1 && follow_end(follow, &length) != NULL && length > 0;
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set, strike)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_courier_printed_comes_out_and_then_the_end),
        TEST(pieces_of_any_size_make_no_difference),
        TEST(nothing_comes_out_before_its_mark),
        TEST(lines_of_somebody_else_are_no_output),
        TEST(a_closed_stream_is_opened_again_and_nothing_is_repeated),
        TEST(a_stream_that_was_live_is_opened_again_from_ten_seconds_before_its_last_mark),
        TEST(marks_that_came_with_the_first_bytes_say_nothing_of_time),
        TEST(a_read_from_the_middle_goes_on_where_it_was),
        TEST(silence_of_75_seconds_opens_the_stream_again),
        TEST(a_heartbeat_is_no_silence),
        TEST(bytes_without_marks_are_silence),
        TEST(a_pod_that_does_not_start_is_asked_every_five_seconds_at_most),
        TEST(a_lost_line_is_read_again_at_once_and_nothing_damaged_comes_out),
        TEST(a_changed_byte_is_noticed),
        TEST(bytes_that_nobody_has_any_more_are_passed_after_five_repairs),
        TEST(repairs_that_lead_nowhere_slow_down),
        TEST(an_end_that_says_more_than_came_is_read_again),
        TEST(an_end_without_the_last_lines_is_taken_in_the_end),
        TEST(an_open_stream_may_give_its_last_bytes_when_the_container_ended),
        TEST(a_stream_that_fell_silent_then_is_replaced_by_a_plain_read),
        TEST(without_an_end_record_three_plain_reads_are_the_last_word),
        TEST(a_node_that_does_not_answer_is_waited_for_a_minute),
        TEST(a_node_that_comes_back_in_time_is_read),
        TEST(only_the_watch_tells_that_a_pod_is_gone),
        TEST(who_does_not_take_is_not_drowned),
        TEST(a_rewind_brings_the_bytes_from_there_on_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
