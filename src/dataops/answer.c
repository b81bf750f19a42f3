/* What an answer of DataOps means, apart from the call it belongs to. */
#include "call.h"

#include "text/json.h"
#include "text/quote.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define WAIT_MOST_MS    (15u * 60u * 1000u) /* a server that asks for more is asked again after that */
#define INTERVAL_MOST_S 900u
#define WORDS_MOST      200u

bool answer_is_json(const struct http_reply *reply)
{
    char type[128];

    if (!http_reply_header(reply, "Content-Type", type, sizeof(type)))
        return false;
    return strncasecmp(type, "application/json", 16) == 0 && (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

/* Appends the words of {"message": "text"}, {"message": {"field": ["text"]}}, {"error": "text"}. */
static void add_words(const struct cJSON *tree, struct strbuf *words)
{
    const struct cJSON *message = json_get(tree, "message");
    const char *text = json_item_text(message ? message : json_get(tree, "error"));

    if (text) {
        strbuf_add_text(words, text);
        return;
    }
    for (const struct cJSON *item = json_first(message); item; item = json_next(item)) {
        const char *field = json_item_name(item), *value = json_item_text(item);
        strbuf_format(words, "%s%s", words->length > 0 ? ", " : "", field ? field : "");
        if (value)
            strbuf_format(words, " %s", value);
        for (const struct cJSON *part = json_is_array(item) ? json_first(item) : NULL; part; part = json_next(part))
            strbuf_format(words, " %s", json_item_text(part) ? json_item_text(part) : "");
    }
}

/* An address in front of the true one: http for https, a name that moved. */
static void add_place(const struct http_reply *reply, struct strbuf *words)
{
    char place[512];

    if (reply->status < 300 || reply->status >= 400 || !http_reply_header(reply, "Location", place, sizeof(place)))
        return;
    OWNED_TEXT char *shown = url_for_people(place);
    strbuf_format(words, "it sends to %s; set url to the address that is meant", shown);
}

static enum blame blame_of(int status)
{
    if (status == 401 || status == 403 || status == 404 || status == 410 || status == 422)
        return BLAME_DENIED;
    return status == 400 || status == 413 ? BLAME_INPUT : BLAME_REMOTE;
}

static const char *meaning_of(int status)
{
    static const struct {
        int status;
        const char *meaning;
    } known[] = {
        { 301, "moved" },
        { 302, "elsewhere" },
        { 307, "elsewhere" },
        { 308, "moved" },
        { 400, "bad request" },
        { 401, "unauthorized" },
        { 403, "forbidden" },
        { 404, "not found" },
        { 409, "conflict" },
        { 410, "registration tokens are disabled" },
        { 413, "too large" },
        { 416, "another range is next" },
        { 422, "the runner belongs to nothing any more" },
        { 429, "too many requests" },
        { 500, "internal server error" },
        { 502, "bad gateway" },
        { 503, "unavailable" },
        { 504, "gateway time-out" },
    };

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (known[i].status == status)
            return known[i].meaning;
    }
    return "unexpected";
}

void answer_explain(const struct http_reply *reply, const char *what, struct error *error)
{
    OWNED_STRBUF struct strbuf words = STRBUF_UP_TO(4096), shown = STRBUF_EMPTY;
    struct error ignored;

    add_place(reply, &words);
    if (words.length == 0 && answer_is_json(reply)) {
        OWNED_JSON struct cJSON *tree = json_parse(strbuf_text(&reply->body), reply->body.length, &ignored);
        add_words(tree, &words);
    }
    quote_for_people(strbuf_text(&words), WORDS_MOST, &shown);
    error_set(error, blame_of(reply->status), reply->status, "%s: DataOps answered %d (%s)%s%s", what, reply->status,
              meaning_of(reply->status), shown.length > 0 ? ": " : "", strbuf_text(&shown));
}

/* A whole number of at most nine digits; -1 otherwise. */
static long parse_number(const char *text)
{
    size_t length = strspn(text, "0123456789");

    return length == 0 || length > 9 || text[length] != '\0' ? -1 : strtol(text, NULL, 10);
}

static uint64_t wait_until_ms(const char *date, int64_t wall_us)
{
    struct tm parts = { 0 };
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &parts);

    if (!end || *end)
        return 0;
    int64_t left_ms = (int64_t)timegm(&parts) * 1000 - wall_us / 1000;
    return left_ms > 0 ? (uint64_t)left_ms : 0;
}

uint64_t answer_wait_ms(const struct http_reply *reply, int64_t wall_us)
{
    char value[64];
    uint64_t wait_ms = 0;

    if (http_reply_header(reply, "RateLimit-ResetTime", value, sizeof(value)))
        wait_ms = wait_until_ms(value, wall_us);
    if (wait_ms == 0 && http_reply_header(reply, "Retry-After", value, sizeof(value)) && parse_number(value) > 0)
        wait_ms = (uint64_t)parse_number(value) * 1000;
    return wait_ms < WAIT_MOST_MS ? wait_ms : WAIT_MOST_MS;
}

enum job_remote dataops_job_status(const struct http_reply *reply)
{
    static const struct {
        const char *name;
        enum job_remote status;
    } known[] = {
        { "running", JOB_REMOTE_RUNNING },
        { "canceling", JOB_REMOTE_CANCELING },
        { "canceled", JOB_REMOTE_CANCELED },
        { "failed", JOB_REMOTE_FAILED },
    };
    char value[32];

    if (!reply || !http_reply_header(reply, "Job-Status", value, sizeof(value)) || !*value)
        return JOB_REMOTE_NONE;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(value, known[i].name) == 0)
            return known[i].status;
    }
    return JOB_REMOTE_OTHER;
}

uint64_t dataops_update_interval_ms(const struct http_reply *reply)
{
    char value[32];

    if (!reply || !http_reply_header(reply, "X-GitLab-Trace-Update-Interval", value, sizeof(value)))
        return 0;
    long seconds = parse_number(value);
    if (seconds <= 0)
        return 0;
    return (seconds < (long)INTERVAL_MOST_S ? (uint64_t)seconds : INTERVAL_MOST_S) * 1000;
}
