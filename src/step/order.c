#include "order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "step/protocol.h"

/* The string at *next, NUL included, lies before end: returns it and moves *next behind it. Else NULL. */
static const char *take_string(const char **next, const char *end)
{
    const char *start = *next;
    const char *nul = memchr(start, '\0', (size_t)(end - start));
    if (!nul)
        return NULL;
    *next = nul + 1;
    return start;
}

int order_parse(struct order *order, const void *block, size_t block_bytes)
{
    struct step_order head;
    if (block_bytes < sizeof head || block_bytes > STEP_ORDER_MAX_BYTES)
        return -1;
    memcpy(&head, block, sizeof head);
    if (memcmp(head.magic, STEP_ORDER_MAGIC, sizeof head.magic) != 0 || head.version != STEP_ORDER_VERSION ||
        head.entries > STEP_ORDER_MAX_ENTRIES)
        return -1;

    const char *next = (const char *)block + sizeof head;
    const char *end = (const char *)block + block_bytes;
    order->folder = take_string(&next, end);
    if (!order->folder || order->folder[0] != '/' || strlen(order->folder) != head.folder_bytes)
        return -1;
    order->entries = next;
    order->entries_count = head.entries;
    for (uint32_t i = 0; i < head.entries; i++) {
        const char *entry = take_string(&next, end);
        const char *equals = entry ? strchr(entry, '=') : NULL;
        if (!equals || equals == entry)
            return -1;
    }
    order->script = next;
    order->script_bytes = (size_t)(end - next);
    return order->script_bytes == head.script_bytes ? 0 : -1;
}

int order_map(struct order *order, int fd)
{
    *order = (struct order){ 0 };
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return errno;
    if ((seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK))
        return EPERM;
    struct stat about;
    if (fstat(fd, &about) < 0)
        return errno;
    if (about.st_size > (off_t)STEP_ORDER_MAX_BYTES)
        return EFBIG;
    if (about.st_size < (off_t)sizeof(struct step_order))
        return EBADMSG;
    void *block = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (block == MAP_FAILED)
        return errno;
    order->block = block;
    order->block_bytes = (size_t)about.st_size;
    return order_parse(order, order->block, order->block_bytes) < 0 ? EBADMSG : 0;
}

void order_clear(struct order *order)
{
    union {
        const char *mapped;
        void *unmapped;
    } block = { .mapped = order->block };
    if (block.mapped)
        munmap(block.unmapped, order->block_bytes);
    *order = (struct order){ 0 };
}

/* Whether one of the first entries has the name of this one. */
static bool name_is_among(const char *entry, char **entries, size_t count)
{
    const char *equals = strchr(entry, '=');
    if (!equals)
        return false;
    const size_t bytes = (size_t)(equals - entry) + 1;
    for (size_t i = 0; i < count; i++)
        if (strncmp(entry, entries[i], bytes) == 0)
            return true;
    return false;
}

char **order_environment(const struct order *order, char **own)
{
    size_t own_count = 0;
    while (own[own_count])
        own_count++;
    char **environment = calloc(own_count + order->entries_count + 1, sizeof *environment);
    if (!environment)
        return NULL;

    union {
        const char *kept;
        char *given; /* execve takes what it does not change as char * */
    } next = { .kept = order->entries };
    size_t count = 0;
    for (; count < order->entries_count; count++) {
        environment[count] = next.given;
        next.kept += strlen(next.kept) + 1;
    }
    for (size_t i = 0; i < own_count; i++)
        if (!name_is_among(own[i], environment, order->entries_count))
            environment[count++] = own[i];
    return environment;
}
