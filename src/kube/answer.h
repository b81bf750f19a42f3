/* What the API server's answers mean (docs/reference/kubernetes.md, "What an answer means"). Pure. */
#ifndef KUBE_ANSWER_H
#define KUBE_ANSWER_H

#include "base/strbuf.h"
#include "kube/client.h"

/* Fills answer from an HTTP status and the body: kind, status, object (given: json_free), reason (borrowed from it),
 * retry_after_ms. retry_after_s: value of the header, 0 none. raw: a good body is not JSON and stays unread. */
void answer_read(struct kube_answer *answer, int status, const struct strbuf *body, unsigned retry_after_s, bool raw);
/* Class of a Status that came inside a watch stream or as an answer. */
enum kube_class answer_class(int status, const struct cJSON *object);
/* Fills answer->error: "what: 403 Forbidden: message". text: the body when it was no JSON, or NULL. */
void answer_tell(struct kube_answer *answer, const char *what, const char *text);
/* details.retryAfterSeconds in milliseconds, 0 when missing. */
uint64_t answer_retry_after_ms(const struct cJSON *object);
/* The Status has this cause: "ResourceVersionTooLarge". */
bool answer_has_cause(const struct cJSON *object, const char *cause);

#endif
