/* Nothing but a number under ten years comes out, and what is printed is read as the same. */
#include "fuzz.h"

#include "base/mem.h"
#include "text/duration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_TEXT char *text = mem_copy(data, size);
    uint64_t ms = 0, again = 0;
    bool value = false;
    char printed[32];

    boolean_parse(text, &value);
    if (duration_parse_ms(text, &ms) < 0)
        return 0;
    EXPECT(ms <= UINT64_C(315360000000));
    duration_print(ms / 1000, printed);
    EXPECT(duration_parse_ms(printed, &again) == 0 && again == ms / 1000 * 1000);
    return 0;
}
