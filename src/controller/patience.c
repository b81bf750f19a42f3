#include "patience.h"

#include "kube/client.h"
#include "pod/refusal.h"
#include "say.h"
#include "text/quote.h"

#include <stdio.h>

#define AGAIN_MS      5000 /* a request that Kubernetes did not answer */
#define QUOTA_WAIT_MS 30000
#define WORDS_MOST    400 /* of Kubernetes */

/* Kubernetes does not answer, or not now: it may later. A 500 without a reason is not of that kind, because etcd
 * refuses an object that is too large in this way. */
static bool may_pass(struct patience *patience, const struct kube_answer *answer, uint64_t now_ms)
{
    if (answer->kind != KUBE_BUSY && answer->kind != KUBE_UNAUTHORIZED && answer->kind != KUBE_FAILED)
        return false;
    if (patience->unanswered_at_ms == 0)
        patience->unanswered_at_ms = now_ms;
    return now_ms - patience->unanswered_at_ms < patience->limit_ms;
}

void patience_judge(struct patience *patience, const struct sealed_job *job, const struct kube_answer *answer,
                    uint64_t now_ms, struct patience_advice *advice)
{
    const char *cure = NULL;
    OWNED_STRBUF struct strbuf words = STRBUF_EMPTY;
    OWNED_TEXT char *masked = say_masked(job, answer->error.text);

    *advice = (struct patience_advice){ .is_quota = answer->kind == KUBE_QUOTA };
    if (advice->is_quota) {
        advice->wait_ms = QUOTA_WAIT_MS;
        patience_reset(patience);
    } else if (may_pass(patience, answer, now_ms)) {
        advice->wait_ms = AGAIN_MS;
    } else {
        bool is_ours = answer->kind == KUBE_REFUSED && answer->status < 500;
        advice->reason = is_ours ? REASON_CONFIGURATION : REASON_SYSTEM;
        cure = pod_refusal_advice(answer->error.text);
    }
    quote_for_people(masked, WORDS_MOST, &words);
    snprintf(advice->text, sizeof(advice->text), "%s%s%s", strbuf_text(&words), cure ? "; " : "", cure ? cure : "");
}

void patience_reset(struct patience *patience)
{
    patience->unanswered_at_ms = 0;
}
