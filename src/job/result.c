#include "job/result.h"

#include "text/json.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What one kubelet line and a termination message can take (docs/formats.md section 5). */
#define RESULT_MOST 1024u

static const char *const outcomes[] = {
    [OUTCOME_SUCCESS] = "success",   [OUTCOME_FAILED] = "failed",           [OUTCOME_CANCELED] = "canceled",
    [OUTCOME_TIMEDOUT] = "timedout", [OUTCOME_INTERRUPTED] = "interrupted", [OUTCOME_NEVER_BEGAN] = "never_began",
};

const char *outcome_name(enum outcome outcome)
{
    return (size_t)outcome < COUNT_OF(outcomes) ? outcomes[outcome] : outcomes[OUTCOME_FAILED];
}

static int outcome_parse(const char *name, enum outcome *outcome)
{
    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        if (strcmp(name, outcomes[i]) == 0) {
            *outcome = (enum outcome)i;
            return 0;
        }
    }
    return -1;
}

/* Length of the UTF-8 character at text, 0 when it is none. Overlong forms and surrogates are left to the reader. */
static size_t character_length(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : 0;

    if (first >= 0xF0 && first < 0xF5)
        length = 4;
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            return 0;
    }
    return length;
}

/* Appends the inside of a JSON string of at most most_bytes. The record and the kubelet would change control bytes and
 * broken UTF-8, so they become "?". */
static void print_message(const char *message, size_t most_bytes, struct strbuf *out)
{
    size_t used = 0;

    while (*message) {
        size_t length = character_length(message);
        char one[3] = { '?', 0, 0 };
        const char *bytes = one;
        size_t count = 1;

        if (length > 1) {
            bytes = message;
            count = length;
        } else if (*message == '"' || *message == '\\') {
            one[0] = '\\';
            one[1] = *message;
            count = 2;
        } else if (length == 1 && (unsigned char)*message >= 0x20 && *message != 0x7F) {
            one[0] = *message;
        }
        if (used + count > most_bytes)
            return;
        strbuf_add(out, bytes, count);
        used += count;
        message += length > 0 ? length : 1;
    }
}

static double tidy_seconds(double seconds)
{
    return isfinite(seconds) && seconds > 0 && seconds < 1e9 ? seconds : 0;
}

void result_print(const struct result *result, struct strbuf *out)
{
    OWNED_STRBUF struct strbuf head = STRBUF_EMPTY, tail = STRBUF_EMPTY;
    char landlock[32] = "";

    strbuf_format(&head, "{\"v\":1,\"result\":\"%s\",\"exit_code\":%d,\"reason\":\"%s\",\"message\":\"",
                  outcome_name(result->outcome), result->exit_code, reason_name(result->reason));
    if (result->says_landlock)
        snprintf(landlock, sizeof landlock, "\"landlock\":%d,", result->landlock_abi);
    strbuf_format(&tail,
                  "\",\"bytes\":%" PRIu64 ",\"crc\":\"%08" PRIx32 "\",\"oom\":%s,%s\"phases\":{\"start\":%.3f,"
                  "\"sources\":%.3f,\"download\":%.3f,\"script\":%.3f,\"after\":%.3f,\"upload\":%.3f}}",
                  result->bytes, result->crc, result->oom ? "true" : "false", landlock,
                  tidy_seconds(result->phases.start_s), tidy_seconds(result->phases.sources_s),
                  tidy_seconds(result->phases.download_s), tidy_seconds(result->phases.script_s),
                  tidy_seconds(result->phases.after_s), tidy_seconds(result->phases.upload_s));
    strbuf_add(out, strbuf_text(&head), head.length);
    print_message(result->message, RESULT_MOST - head.length - tail.length, out);
    strbuf_add(out, strbuf_text(&tail), tail.length);
}

static int parse_crc(const char *text, uint32_t *crc)
{
    uint32_t value = 0;

    for (size_t i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef", *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return -1;
        value = value << 4 | (uint32_t)(digit - digits);
    }
    *crc = value;
    return text[8] == '\0' ? 0 : -1;
}

/* Optional: an older courier does not say it. */
static void parse_landlock(const struct cJSON *tree, struct result *result)
{
    int64_t abi = json_int(tree, "landlock", -1);

    result->says_landlock = abi >= 0 && abi <= INT_MAX;
    result->landlock_abi = result->says_landlock ? (int)abi : 0;
}

static void parse_phases(const struct cJSON *tree, struct result *result)
{
    const struct cJSON *phases = json_get(tree, "phases");

    result->phases.start_s = json_number(phases, "start", 0);
    result->phases.sources_s = json_number(phases, "sources", 0);
    result->phases.download_s = json_number(phases, "download", 0);
    result->phases.script_s = json_number(phases, "script", 0);
    result->phases.after_s = json_number(phases, "after", 0);
    result->phases.upload_s = json_number(phases, "upload", 0);
}

int result_parse(const char *text, size_t length, struct result *result, struct error *error)
{
    OWNED_JSON struct cJSON *tree = json_parse(text, length, error);
    struct result parsed = { 0 };

    if (!tree)
        return error_within(error, "end record");
    int64_t version = json_int(tree, "v", 0), bytes = json_int(tree, "bytes", -1);
    int64_t exit_code = json_int(tree, "exit_code", 0);
    if (version != 1)
        return error_set(error, BLAME_INPUT, 0, "end record: version %" PRId64 ", this program reads 1", version);
    if (outcome_parse(json_text(tree, "result", ""), &parsed.outcome) < 0)
        return error_set(error, BLAME_INPUT, 0, "end record: result is none that is known");
    if (bytes < 0 || parse_crc(json_text(tree, "crc", ""), &parsed.crc) < 0)
        return error_set(error, BLAME_INPUT, 0, "end record: bytes or crc missing");
    if (exit_code < INT_MIN || exit_code > INT_MAX)
        return error_set(error, BLAME_INPUT, 0, "end record: exit_code out of range");
    if (reason_parse(json_text(tree, "reason", ""), &parsed.reason) < 0)
        parsed.reason = REASON_UNKNOWN;
    const char *message = json_text(tree, "message", "");
    size_t message_length = strnlen(message, sizeof(parsed.message) - 1);
    memcpy(parsed.message, message, message_length);
    parsed.exit_code = (int)exit_code;
    parsed.bytes = (uint64_t)bytes;
    parsed.oom = json_bool(tree, "oom", false);
    parse_landlock(tree, &parsed);
    parse_phases(tree, &parsed);
    *result = parsed;
    return 0;
}
