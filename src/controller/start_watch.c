#include "start_watch.h"

#include "io/loop.h"
#include "pod/status.h"
#include "say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_AFTER_MS    5000
#define PULL_PATIENCE_MS 30000 /* a registry that hiccups: the kubelet tries again after 10 and 20 s */

struct start_watch {
    struct start_watch_input input;
    const struct start_watch_events *events;
    void *owner;
    struct timer *limit_timer, *line_timer, *pull_timer;
    char *image;
};

/* What the pod waits for, masked; "" when it waits for nothing that can be named. */
static void read_waits(const struct start_watch *watch, char waits[START_WATCH_SAID])
{
    char text[START_WATCH_SAID];

    pod_waits_for(watch->input.status, text);
    OWNED_TEXT char *masked = say_masked(watch->input.job, text);
    snprintf(waits, START_WATCH_SAID, "%s", masked);
}

static void start_watch_overdue(void *owner)
{
    struct start_watch *watch = owner;
    const struct pod_status *status = watch->input.status;
    bool is_image = pod_image_fails(&status->courier) || pod_image_fails(&status->build);
    char waits[START_WATCH_SAID];

    read_waits(watch, waits);
    OWNED_TEXT char *text =
        mem_format("the pod did not start within %" PRId64 " s%s%s (poll_timeout in [runners.kubernetes])",
                   watch->input.limit_s, waits[0] ? ": " : "", waits);
    watch->events->failed(watch->owner, is_image ? REASON_IMAGE_PULL : REASON_SYSTEM, text);
}

static void start_watch_say(void *owner)
{
    struct start_watch *watch = owner;
    char waits[START_WATCH_SAID];

    loop_after(watch->input.loop, &watch->line_timer, LINE_AFTER_MS, start_watch_say, watch);
    read_waits(watch, waits);
    if (waits[0] == '\0' || strcmp(waits, watch->input.said) == 0)
        return;
    snprintf(watch->input.said, START_WATCH_SAID, "%s", waits);
    OWNED_TEXT char *line = mem_format("Waiting for pod %s/%s: %s", watch->input.ns, watch->input.pod, waits);
    watch->events->line(watch->owner, line);
}

static void start_watch_pull_overdue(void *owner)
{
    struct start_watch *watch = owner;
    char waits[START_WATCH_SAID];

    read_waits(watch, waits);
    OWNED_TEXT char *text = mem_format("image %s: %s", watch->image != NULL ? watch->image : "of the job", waits);
    watch->events->failed(watch->owner, REASON_IMAGE_PULL, text);
}

struct start_watch *start_watch_new(const struct start_watch_input *input, const struct start_watch_events *events,
                                    void *owner)
{
    struct start_watch *watch = mem_new(sizeof(*watch));

    watch->input = *input;
    watch->image = input->image != NULL ? mem_text(input->image) : NULL;
    watch->events = events;
    watch->owner = owner;
    loop_after(input->loop, &watch->limit_timer, (uint64_t)input->limit_s * 1000, start_watch_overdue, watch);
    loop_after(input->loop, &watch->line_timer, LINE_AFTER_MS, start_watch_say, watch);
    return watch;
}

void start_watch_look(struct start_watch *watch)
{
    const struct container_status *build = &watch->input.status->build;

    if (build->state == CONTAINER_RUNNING || build->state == CONTAINER_TERMINATED) {
        timer_stop(&watch->limit_timer);
        timer_stop(&watch->line_timer);
        timer_stop(&watch->pull_timer);
    } else if (!pod_image_fails(build)) {
        timer_stop(&watch->pull_timer);
    } else if (watch->pull_timer == NULL) {
        loop_after(watch->input.loop, &watch->pull_timer, PULL_PATIENCE_MS, start_watch_pull_overdue, watch);
    }
}

void start_watch_be_quiet(struct start_watch *watch)
{
    timer_stop(&watch->line_timer);
}

void start_watch_free(struct start_watch *watch)
{
    if (watch == NULL)
        return;
    timer_stop(&watch->limit_timer);
    timer_stop(&watch->line_timer);
    timer_stop(&watch->pull_timer);
    mem_free(watch->image);
    mem_free(watch);
}
