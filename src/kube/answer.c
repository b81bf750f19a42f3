#include "answer.h"

#include "text/json.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_AFTER_MOST_MS = 60 * 1000 };

static bool says(const char *message, const char *words)
{
    return strstr(message, words) != NULL;
}

static bool reason_is(const char *reason, const char *other)
{
    return strcmp(reason, other) == 0;
}

/* 403 is RBAC only when it says so; everything else that forbids is admission, and its reason is always "Forbidden". */
static enum kube_class class_of_403(const char *message)
{
    if (says(message, "exceeded quota:"))
        return KUBE_QUOTA;
    if (message[0] == '\0' || (says(message, " cannot ") && (says(message, " resource ") || says(message, " path "))))
        return KUBE_FORBIDDEN;
    return KUBE_REFUSED;
}

/* etcd's errors come as 500 without a reason, "request is too large" among them: the write may be refused for ever, so
 * none of them is tried again. */
static enum kube_class class_of_500(const char *reason)
{
    return reason[0] == '\0' ? KUBE_REFUSED : KUBE_FAILED;
}

static enum kube_class class_of_conflict(const char *reason)
{
    return reason_is(reason, "AlreadyExists") ? KUBE_EXISTS : KUBE_CONFLICT;
}

enum kube_class answer_class(int status, const struct cJSON *object)
{
    const char *message = json_text(object, "message", "");
    const char *reason = json_text(object, "reason", "");
    if (status >= 200 && status < 300)
        return KUBE_OK;
    if (status >= 400 && status < 500 && status != 401 && status != 429 && says(message, "admission webhook") &&
        says(message, "denied the request"))
        return KUBE_REFUSED;
    switch (status) {
    case 401:
        return KUBE_UNAUTHORIZED;
    case 403:
        return class_of_403(message);
    case 404:
        return KUBE_MISSING;
    case 408:
        return KUBE_FAILED;
    case 409:
        return class_of_conflict(reason);
    case 410:
        return KUBE_EXPIRED;
    case 429:
        return KUBE_BUSY;
    case 500:
        return class_of_500(reason);
    default:
        /* 5xx may pass; what is left of 3xx and 4xx is our own request or a wrong address */
        return status >= 300 && status < 500 ? KUBE_REFUSED : KUBE_FAILED;
    }
}

uint64_t answer_retry_after_ms(const struct cJSON *object)
{
    int64_t seconds = json_int(json_get(object, "details"), "retryAfterSeconds", 0);
    if (seconds <= 0)
        return 0;
    return seconds * 1000 < RETRY_AFTER_MOST_MS ? (uint64_t)seconds * 1000 : RETRY_AFTER_MOST_MS;
}

bool answer_has_cause(const struct cJSON *object, const char *cause)
{
    const struct cJSON *causes = json_get(json_get(object, "details"), "causes");
    for (const struct cJSON *one = json_first(causes); one; one = json_next(one))
        if (strcmp(json_text(one, "reason", ""), cause) == 0)
            return true;
    return false;
}

void answer_read(struct kube_answer *answer, int status, const struct strbuf *body, unsigned retry_after_s, bool raw)
{
    static const char *const unread[] = { "managedFields", NULL };
    bool good = status >= 200 && status < 300;
    struct error ignored = ERROR_NONE;
    *answer = (struct kube_answer){ .status = status, .reason = "" };
    if (body->length > 0 && !(raw && good)) {
        answer->object = json_parse_without(strbuf_text(body), body->length, unread, &ignored);
        if (answer->object && !json_is_object(answer->object)) {
            json_free(answer->object);
            answer->object = NULL;
        }
    }
    answer->kind = answer_class(status, answer->object);
    /* a portal or a proxy answers 200 with a page */
    if (good && !raw && body->length > 0 && !answer->object)
        answer->kind = KUBE_FAILED;
    if (!good)
        answer->reason = json_text(answer->object, "reason", "");
    answer->retry_after_ms = retry_after_s ? retry_after_s * 1000ull : answer_retry_after_ms(answer->object);
    if (answer->retry_after_ms > RETRY_AFTER_MOST_MS)
        answer->retry_after_ms = RETRY_AFTER_MOST_MS;
}

static enum blame blame_of(enum kube_class kind)
{
    switch (kind) {
    case KUBE_OK:
        return BLAME_NONE;
    case KUBE_REFUSED:
        return BLAME_INPUT;
    case KUBE_FORBIDDEN:
    case KUBE_UNAUTHORIZED:
        return BLAME_DENIED;
    case KUBE_EXISTS:
    case KUBE_CONFLICT:
    case KUBE_MISSING:
    case KUBE_EXPIRED:
    case KUBE_QUOTA:
    case KUBE_BUSY:
    case KUBE_FAILED:
        break;
    }
    return BLAME_REMOTE;
}

/* The first line of a body that is no Status, unless it is a page. */
static void plain_words(const char *text, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    if (!text || strchr(text, '<'))
        return;
    while (length + 1 < size && (unsigned char)text[length] >= ' ')
        length++;
    memcpy(out, text, length);
    out[length] = '\0';
}

void answer_tell(struct kube_answer *answer, const char *what, const char *text)
{
    char words[200];
    const char *message = json_text(answer->object, "message", NULL);
    if (answer->kind == KUBE_OK)
        return;
    if (!message) {
        plain_words(text, words, sizeof words);
        message = words;
    }
    if (answer->status >= 200 && answer->status < 300)
        message = "the answer is no JSON: is this a Kubernetes API server?";
    else if (answer->status >= 300 && answer->status < 400)
        message = "redirected: is the address the API server's?";
    error_set(&answer->error, blame_of(answer->kind), answer->status, "%s: %d%s%s%s%s", what, answer->status,
              *answer->reason ? " " : "", answer->reason, *message ? ": " : "", message);
}
