/* Any bytes as the headers and body of DataOps' answer: waits and intervals stay within their ceilings whatever the
 * server writes, a header's value never carries a line end, and what is said to people about the answer is one line.
 *
 * Input: status (2 bytes), header lines up to an empty line, then the body. */
#include "fuzz.h"

#include "dataops/api.h"
#include "io/http.h"

#include "call.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "Job-Status", "Range", "Retry-After", "Location", "Content-Type" };
    struct http_reply reply = { .body = STRBUF_EMPTY, .headers = STRBUF_EMPTY };
    struct error error = ERROR_NONE;
    char value[64];

    if (size < 2)
        return 0;
    reply.status = data[0] | data[1] << 8;
    const char *text = (const char *)data + 2;
    const size_t length = size - 2;
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    const size_t head = end ? (size_t)(end - text) + 2 : length;
    strbuf_add(&reply.headers, text, head);
    strbuf_add_char(&reply.headers, '\n');
    if (end)
        strbuf_add(&reply.body, end + 4, length - head - 2);

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (http_reply_header(&reply, names[i], value, sizeof value))
            EXPECT(memchr(value, '\0', sizeof value) != NULL && strchr(value, '\n') == NULL);
    EXPECT(answer_wait_ms(&reply, 1700000000000000) <= 15u * 60u * 1000u);
    const uint64_t interval_ms = dataops_update_interval_ms(&reply);
    EXPECT(interval_ms == 0 || (interval_ms >= 1000 && interval_ms <= 900u * 1000u));
    const enum job_remote status = dataops_job_status(&reply);
    EXPECT(status >= JOB_REMOTE_NONE && status <= JOB_REMOTE_OTHER);
    answer_is_json(&reply);
    answer_explain(&reply, "request a job", &error);
    EXPECT(error.blame != BLAME_NONE && memchr(error.text, '\0', sizeof error.text) != NULL);
    EXPECT(strpbrk(error.text, "\r\n\033") == NULL);
    strbuf_clear(&reply.headers);
    strbuf_clear(&reply.body);
    return 0;
}
