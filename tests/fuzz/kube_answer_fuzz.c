/* Any bytes as the API server's answer, with any status: a class is always found, success is only a 2xx whose body can
 * be read, a failure has words for people without control bytes, and no wait is longer than its ceiling.
 *
 * Input: status (2 bytes), flags (1 byte), Retry-After (2 bytes), then the body. */
#include "fuzz.h"

#include "kube/client.h"
#include "text/json.h"

#include "answer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_answer answer;

    if (size < 5)
        return 0;
    const int status = data[0] | data[1] << 8;
    const bool raw = (data[2] & 1) != 0;
    const unsigned retry_after_s = data[3] | (unsigned)data[4] << 8;
    OWNED_STRBUF struct strbuf body = STRBUF_EMPTY;
    strbuf_add(&body, (const char *)data + 5, size - 5);

    answer_read(&answer, status, &body, retry_after_s, raw);
    answer_tell(&answer, "create pod x", strbuf_text(&body));
    const bool is_good = status >= 200 && status < 300;
    EXPECT(answer.status == status && answer.reason != NULL);
    EXPECT(answer.retry_after_ms <= 60 * 1000);
    EXPECT(answer.object == NULL || json_is_object(answer.object));
    EXPECT(is_good || answer.kind != KUBE_OK);
    EXPECT(answer.kind != KUBE_OK || raw || body.length == 0 || answer.object != NULL);
    EXPECT((answer.kind == KUBE_OK) == (answer.error.blame == BLAME_NONE));
    EXPECT(memchr(answer.error.text, '\0', sizeof answer.error.text) != NULL);
    answer_has_cause(answer.object, "ResourceVersionTooLarge");
    json_free(answer.object);
    return 0;
}
