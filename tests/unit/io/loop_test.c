#include "io/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs the four above */
#include <cmocka.h>

struct notes {
    struct loop *loop;
    struct timer *timer;
    struct watch *watch;
    char text[64];
    size_t length;
    int fd;
    bool gave_error;
};

static void note(struct notes *notes, char c)
{
    if (notes->length + 1 < sizeof notes->text)
        notes->text[notes->length++] = c;
}

static void note_later(void *owner)
{
    note(owner, 'l');
}

static void note_timer(void *owner)
{
    struct notes *notes = owner;
    note(notes, 't');
    loop_later(notes->loop, note_later, notes);
    note(notes, 'T');
}

static void later_runs_after_the_callback_that_asked_for_it(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_after(notes.loop, &notes.timer, 1, note_timer, &notes);
    while (notes.length < 3)
        loop_turn(notes.loop, 100);
    assert_string_equal(notes.text, "tTl");
    loop_free(notes.loop);
}

static void a_fired_timer_clears_its_slot(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_after(notes.loop, &notes.timer, 1, note_later, &notes);
    assert_non_null(notes.timer);
    while (notes.length < 1)
        loop_turn(notes.loop, 100);
    assert_null(notes.timer);
    loop_free(notes.loop);
}

static void starting_a_timer_again_replaces_the_first(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_after(notes.loop, &notes.timer, 1, note_later, &notes);
    loop_after(notes.loop, &notes.timer, 5, note_later, &notes);
    uint64_t begin = loop_now_ms(notes.loop);
    while (loop_now_ms(notes.loop) < begin + 30)
        loop_turn(notes.loop, 10);
    assert_string_equal(notes.text, "l");
    loop_free(notes.loop);
}

static void a_stopped_timer_never_fires(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_after(notes.loop, &notes.timer, 1, note_later, &notes);
    timer_stop(&notes.timer);
    assert_null(notes.timer);
    timer_stop(&notes.timer);
    uint64_t begin = loop_now_ms(notes.loop);
    while (loop_now_ms(notes.loop) < begin + 10)
        loop_turn(notes.loop, 5);
    assert_string_equal(notes.text, "");
    loop_free(notes.loop);
}

static void read_and_stop(void *owner, unsigned ready)
{
    struct notes *notes = owner;
    char c = 0;
    assert_true(ready & LOOP_READ);
    if (read(notes->fd, &c, 1) == 1)
        note(notes, c);
    watch_stop(notes->watch);
}

static void a_watch_may_stop_itself(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    notes.fd = ends[0];
    notes.watch = loop_watch(notes.loop, ends[0], LOOP_READ, read_and_stop, &notes);
    assert_int_equal(write(ends[1], "ab", 2), 2);
    for (int i = 0; i < 5; i++)
        loop_turn(notes.loop, 5);
    assert_string_equal(notes.text, "a");
    close(ends[0]);
    close(ends[1]);
    loop_free(notes.loop);
}

static void a_regular_file_cannot_be_watched(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    char name[] = "/tmp/loop_test_XXXXXX";
    int fd = mkstemp(name);
    assert_null(loop_watch(loop, fd, LOOP_READ, read_and_stop, NULL));
    close(fd);
    unlink(name);
    loop_free(loop);
}

static void note_address(void *owner, const char *address, const struct error *error)
{
    struct notes *notes = owner;
    notes->gave_error = error->blame != BLAME_NONE;
    size_t length = address ? strlen(address) : 0;
    memcpy(notes->text, address ? address : "", length);
    notes->length = length + 1;
}

static const char *resolved(struct notes *notes, const char *host)
{
    notes->length = 0;
    memset(notes->text, 0, sizeof notes->text);
    loop_resolve(notes->loop, host, note_address, notes);
    assert_int_equal(notes->length, 0);
    while (notes->length == 0)
        loop_turn(notes->loop, 1000);
    return notes->text;
}

static void names_and_address_literals_resolve(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    assert_string_equal(resolved(&notes, "127.0.0.1"), "127.0.0.1");
    assert_false(notes.gave_error);
    assert_string_equal(resolved(&notes, "fe80::1"), "fe80::1");
    const char *local = resolved(&notes, "localhost");
    assert_true(strcmp(local, "127.0.0.1") == 0 || strcmp(local, "::1") == 0);
    assert_string_equal(resolved(&notes, "bad name"), "");
    assert_true(notes.gave_error);
    loop_free(notes.loop);
}

static void a_cancelled_resolve_stays_silent(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_resolve_cancel(loop_resolve(notes.loop, "localhost", note_address, &notes));
    loop_resolve_cancel(loop_resolve(notes.loop, "127.0.0.1", note_address, &notes));
    loop_resolve_cancel(NULL);
    for (int i = 0; i < 5; i++)
        loop_turn(notes.loop, 20);
    assert_int_equal(notes.length, 0);
    loop_free(notes.loop);
}

static void stop_at_signal(void *owner, int number)
{
    struct notes *notes = owner;
    note(notes, number == SIGUSR1 ? 's' : '?');
    loop_stop(notes->loop);
}

static void a_signal_arrives_as_a_callback(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_on_signal(notes.loop, SIGUSR1, stop_at_signal, &notes);
    raise(SIGUSR1);
    loop_run(notes.loop);
    assert_string_equal(notes.text, "s");
    loop_free(notes.loop);
}

static void free_runs_what_was_put_off(void **state)
{
    (void)state;
    struct notes notes = { .loop = loop_new() };
    loop_later(notes.loop, note_later, &notes);
    loop_free(notes.loop);
    assert_string_equal(notes.text, "l");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_runs_after_the_callback_that_asked_for_it),
        cmocka_unit_test(a_fired_timer_clears_its_slot),
        cmocka_unit_test(starting_a_timer_again_replaces_the_first),
        cmocka_unit_test(a_stopped_timer_never_fires),
        cmocka_unit_test(a_watch_may_stop_itself),
        cmocka_unit_test(a_regular_file_cannot_be_watched),
        cmocka_unit_test(names_and_address_literals_resolve),
        cmocka_unit_test(a_cancelled_resolve_stays_silent),
        cmocka_unit_test(a_signal_arrives_as_a_callback),
        cmocka_unit_test(free_runs_what_was_put_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
