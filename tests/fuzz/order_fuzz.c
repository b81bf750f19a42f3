/* Any bytes as an order block, as step finds it in the descriptor that courier sent. What step accepts lies inside the
 * block, each entry has a name, and the environment made of it holds each entry of the block once. */
#include "fuzz.h"

#include "step/protocol.h"

#include "order.h"

#include <string.h>

static size_t count_of(char **environment)
{
    size_t count = 0;
    while (environment[count])
        count++;
    return count;
}

static void accepted(const struct order *order, const char *block, size_t size)
{
    char path[] = "PATH=/usr/bin", odd[] = "no equals sign", empty[] = "";
    char *own[] = { path, odd, empty, NULL };

    EXPECT(order->folder[0] == '/');
    EXPECT(order->script >= block && order->script + order->script_bytes == block + size);
    EXPECT(order->entries_count <= STEP_ORDER_MAX_ENTRIES);
    char **environment = order_environment(order, own);
    EXPECT(environment != NULL);
    const size_t count = count_of(environment);
    EXPECT(count >= order->entries_count && count <= order->entries_count + 3);
    for (size_t i = 0; i < order->entries_count; i++) {
        EXPECT(environment[i] >= block && environment[i] < block + size);
        EXPECT(environment[i][0] != '=' && strchr(environment[i], '=') != NULL);
    }
    free(environment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct order order = { 0 };
    /* exactly the bytes of the block: the sanitizer sees reading past its end */
    char *exact = malloc(size > 0 ? size : 1);

    EXPECT(exact != NULL);
    for (size_t i = 0; i < size; i++)
        exact[i] = (char)data[i];
    if (order_parse(&order, exact, size) == 0)
        accepted(&order, exact, size);
    free(exact);
    return 0;
}
