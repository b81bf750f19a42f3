/* Any bytes as an end record, from the log or from the termination message. What is read is printed again within
 * 1 KiB, without line end or escape, and reads as the same result. */
#include "fuzz.h"

#include "job/result.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result result, again;
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf printed = STRBUF_EMPTY;

    if (result_parse((const char *)data, size, &result, &error) < 0) {
        EXPECT(error.blame != BLAME_NONE);
        return 0;
    }
    EXPECT(memchr(result.message, '\0', sizeof result.message) != NULL);
    EXPECT(outcome_name(result.outcome) != NULL);
    result_print(&result, &printed);
    EXPECT(printed.length <= KIB);
    EXPECT(memchr(printed.bytes, '\n', printed.length) == NULL &&
           memchr(printed.bytes, '\033', printed.length) == NULL);
    EXPECT(result_parse(printed.bytes, printed.length, &again, &error) == 0);
    EXPECT(again.outcome == result.outcome && again.exit_code == result.exit_code && again.reason == result.reason);
    EXPECT(again.bytes == result.bytes && again.crc == result.crc && again.oom == result.oom);
    return 0;
}
