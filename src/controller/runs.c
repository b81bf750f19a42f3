#include "runs.h"

#include "base/list.h"

struct member {
    struct list node;
    struct runs *runs;
    struct run *run;
};
struct runs {
    struct list members;
    runs_room *room;
    void *owner;
    struct runs_totals totals;
};

static struct member *member_new(struct runs *runs)
{
    struct member *member = mem_new(sizeof(*member));

    member->runs = runs;
    list_append(&runs->members, &member->node);
    runs->totals.received++;
    return member;
}

static void member_free(struct member *member)
{
    run_free(member->run);
    list_remove(&member->node);
    mem_free(member);
}

static void member_reported(void *owner, bool is_success)
{
    const struct member *member = owner;

    member->runs->totals.succeeded += is_success;
    member->runs->totals.failed += !is_success;
}

static void member_over(void *owner, struct run *run UNUSED)
{
    struct member *member = owner;
    struct runs *runs = member->runs;

    member_free(member);
    runs->room(runs->owner);
}

static const struct run_events run_events = { .reported = member_reported, .over = member_over };

void runs_add(struct runs *runs, struct entry *entry, struct job *job)
{
    struct member *member = member_new(runs);

    member->run = run_new(entry, job, &run_events, member);
}

void runs_add_failed(struct runs *runs, struct entry *entry, uint64_t job_id, const char *job_token,
                     const struct error *error)
{
    struct member *member = member_new(runs);

    member->run = run_new_failed(entry, job_id, job_token, error, &run_events, member);
}

void runs_resume(struct runs *runs, struct entry *entry, struct sealed_text *sealed, const struct cJSON *pod)
{
    struct member *member = member_new(runs);

    member->run = run_resume(entry, sealed, pod, &run_events, member);
}

void runs_stop(struct runs *runs)
{
    LIST_EACH(node, &runs->members)
    run_stop(list_of(node, struct member, node)->run);
}

unsigned runs_count(const struct runs *runs)
{
    unsigned count = 0;

    LIST_EACH(node, &runs->members)
    count++;
    return count;
}

unsigned runs_count_of(const struct runs *runs, const struct entry *entry)
{
    unsigned count = 0;

    LIST_EACH(node, &runs->members)
    count += run_entry(list_of(node, struct member, node)->run) == entry;
    return count;
}

unsigned runs_count_unsafe(const struct runs *runs)
{
    unsigned count = 0;

    LIST_EACH(node, &runs->members)
    count += run_is_unsafe(list_of(node, struct member, node)->run);
    return count;
}

struct runs_totals runs_totals(const struct runs *runs)
{
    return runs->totals;
}

const struct run *runs_first(const struct runs *runs)
{
    return list_is_empty(&runs->members) ? NULL : list_of(runs->members.next, struct member, node)->run;
}

struct runs *runs_new(runs_room *room, void *owner)
{
    struct runs *runs = mem_new(sizeof(*runs));

    list_init(&runs->members);
    runs->room = room;
    runs->owner = owner;
    return runs;
}

void runs_free(struct runs *runs)
{
    if (runs == NULL)
        return;
    LIST_EACH_SAFE(node, &runs->members)
    member_free(list_of(node, struct member, node));
    mem_free(runs);
}
