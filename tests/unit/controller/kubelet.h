/* A kubelet, a courier and a reader for tests of follow.h: the test says what a read of the log gives and how it ends.
 */
#ifndef TESTS_CONTROLLER_KUBELET_H
#define TESTS_CONTROLLER_KUBELET_H

#include "follow.h"

#include "clock.h"
#include "io/loop.h"
#include "job/result.h"
#include "kube/client.h"
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

/* When the line was written that a timed read gives. */
static int64_t line_s;

int64_t kube_log_line_s(const struct kube_log *log)
{
    (void)log;
    return line_s;
}

/* What was to be said once. */
static unsigned said;

bool kube_is_first(struct kube *kube, const char *words)
{
    (void)kube;
    (void)words;
    return said++ == 0;
}

void kube_log_cancel(struct kube_log *log)
{
    if (log != NULL)
        is_open = false;
}

static inline void gives(const char *bytes, size_t length)
{
    assert_true(is_open);
    reading.events->data(reading.owner, bytes, length);
}

static inline void ends(enum kube_log_end end)
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

static inline void prints(const char *text)
{
    record_put(&writer, text, strlen(text));
    record_flush(&writer, &file);
    strbuf_add_text(&printed, text);
}

static inline void prints_much(size_t bytes)
{
    OWNED_TEXT char *text = mem_new(bytes + 1);

    for (size_t i = 0; i < bytes; i++)
        text[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 23);
    prints(text);
}

static inline void courier_ends(void)
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
static inline void gives_file_from(size_t at)
{
    gives(strbuf_text(&file) + at, file.length - at);
}

/* Without the first line that holds these words. */
static inline void gives_file_without(const char *words)
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

static inline void take_all(void)
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

static inline int set(void **state)
{
    (void)state;
    clock_begin(1);
    loop = loop_new();
    record_writer_init(&writer);
    is_open = false;
    reads = overs = said = 0;
    line_s = 0;
    got_at = 0;
    takes = in_order = true;
    follow = follow_new(loop, NULL, "ns", "pod-1", &events, NULL);
    follow_open(follow);
    return 0;
}

static inline int strike(void **state)
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

static inline bool everything_came(void)
{
    return in_order && got.length == printed.length &&
           memcmp(strbuf_text(&got), strbuf_text(&printed), got.length) == 0;
}

static inline bool end_came(void)
{
    size_t length = 0;

    return overs == 1 && follow_end(follow, &length) != NULL && length > 0;
}

#define FOLLOW_TEST(name) cmocka_unit_test_setup_teardown(name, set, strike)

#endif
