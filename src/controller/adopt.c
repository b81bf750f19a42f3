/* Going on with jobs that an earlier controller began: all that is needed is in the pod (docs/design.md section 3). */
#include "adopt.h"

#include "base/log.h"
#include "base/strmap.h"
#include "cluster.h"
#include "entry.h"
#include "text/json.h"

#include <string.h>

/* A pod of the first list. */
struct found {
    const struct cJSON *pod;
    const char *name;
    const char *why_not; /* it is left alone; NULL: it is a job's */
    struct sealed_text sealed;
    struct entry *entry;
    bool is_last; /* of its job's attempts: this one is the job */
};

static struct entry *entry_of(struct entry *entries, size_t count, const struct cluster *cluster,
                              const struct sealed_job *job)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].cluster == cluster && strcmp(entries[i].runner->url, job->url) == 0 &&
            strcmp(entries[i].short_token, job->short_token) == 0)
            return &entries[i];
    return NULL;
}

/* Of several attempts only the last one can be the job; one that is left alone takes no part. */
static bool is_last(const struct found *all, size_t count, const struct found *one)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].why_not == NULL && all[i].entry == one->entry && all[i].sealed.job.id == one->sealed.job.id &&
            all[i].sealed.attempt > one->sealed.attempt)
            return false;
    return true;
}

static void leave_alone(const struct cluster *cluster, const struct found *found)
{
    log_event(LOG_WARN, "pod_not_adopted", LOG_TEXT("pod", found->name),
              LOG_TEXT("namespace", cluster_namespace(cluster)), LOG_TEXT("why", found->why_not),
              LOG_TEXT("effect", "it is left alone, and whatever job it runs is not reported"),
              LOG_TEXT("help", "delete it when nobody needs it"));
}

void adopt_found(const struct state *state, struct entry *entries, size_t entry_count, const struct cluster *cluster,
                 const struct strmap *pods, const struct adopt_events *events, void *owner)
{
    struct found *all = mem_new_array(pods->count + 1, sizeof(*all));
    size_t count = 0, position = 0;

    for (struct strmap_entry *entry = strmap_next(pods, &position); entry != NULL;
         entry = strmap_next(pods, &position)) {
        struct found *found = &all[count++];

        found->pod = entry->value;
        found->name = json_text_at(found->pod, "metadata.name", "");
        found->why_not = sealed_open(state, cluster_namespace(cluster), found->pod, &found->sealed);
        if (found->why_not != NULL)
            continue;
        found->entry = entry_of(entries, entry_count, cluster, &found->sealed.job);
        if (found->entry == NULL)
            found->why_not = "no runner entry fits: its entry is not in the configuration any more";
    }
    /* Who is the last is found out before the first job takes its sealed text: nothing can be compared with it then. */
    for (size_t i = 0; i < count; i++)
        all[i].is_last = is_last(all, count, &all[i]);
    for (size_t i = 0; i < count; i++) {
        if (all[i].why_not != NULL)
            leave_alone(cluster, &all[i]);
        else if (all[i].is_last)
            events->job(owner, all[i].entry, &all[i].sealed, all[i].pod);
        else
            events->leftover(owner, all[i].entry, &all[i].sealed, all[i].pod);
    }
    for (size_t i = 0; i < count; i++)
        sealed_text_clear(&all[i].sealed);
    mem_free(all);
}
