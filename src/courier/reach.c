#include "reach.h"

#include "context.h"
#include "job/plan.h"

#define CHILD_OOM_SCORE 500
#define CONFINE_ALL     (CONFINE_LIST | CONFINE_READ | CONFINE_WRITE | CONFINE_REMOVE)

/* No row can run what lies in the builds volume: programs come from the image alone. A git that a repository led to
 * start something there is refused by the kernel. */
static const struct {
    unsigned builds;  /* rights in the builds volume */
    unsigned scratch; /* rights in courier's private folder: CA and key files of git */
    bool tcp;
    bool moves;              /* moves or links files between folders */
    bool keeps_capabilities; /* courier's own, as its own user: what it removes belongs to anybody */
} rows[] = {
    [CHILD_GIT] = { .builds = CONFINE_ALL, .scratch = CONFINE_LIST | CONFINE_READ, .tcp = true },
    [CHILD_LFS] = { .builds = CONFINE_ALL, .scratch = CONFINE_LIST | CONFINE_READ, .tcp = true, .moves = true },
    [CHILD_CLEAR] = { .builds = CONFINE_LIST | CONFINE_REMOVE, .keeps_capabilities = true },
    [CHILD_TIDY] = { .builds = CONFINE_ALL, .moves = true },
    [CHILD_PACK] = { .builds = CONFINE_LIST | CONFINE_READ },
    [CHILD_UNPACK] = { .builds = CONFINE_ALL, .moves = true },
};

const char *reach_exception(enum child_kind kind, int abi)
{
    return abi == 1 && rows[kind].moves ? "a kernel before 5.19 lets no confined child move files between folders"
                                        : NULL;
}

void reach_set(const struct context *context, enum child_kind kind, struct confinement *reach,
               struct child_start *start)
{
    *reach = (struct confinement){
        .places = { { context->plan->builds_dir, rows[kind].builds }, { context->scratch, rows[kind].scratch } },
        .no_tcp = !rows[kind].tcp,
    };
    start->confinement = reach;
    start->unconfined_because = reach_exception(kind, confine_abi());
    if (rows[kind].keeps_capabilities)
        return;
    start->no_capabilities = true;
    start->oom_score_adj = CHILD_OOM_SCORE;
    start->change_user = context->is_root && context->user_known;
    start->uid = context->uid;
    start->gid = context->gid;
}
