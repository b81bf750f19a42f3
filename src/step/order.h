/* The order block: what to run, where, with which environment. Format: struct step_order. */
#ifndef SRC_STEP_ORDER_H
#define SRC_STEP_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* The parts of a block, pointing into it. */
struct order {
    const char *block;
    size_t block_bytes;
    const char *folder;  /* absolute, ends with NUL */
    const char *entries; /* one behind the other, each ends with NUL */
    uint32_t entries_count;
    const char *script; /* no NUL */
    size_t script_bytes;
};

/* Finds the parts of a block. Pure. Borrows the block for as long as order is used. 0, or -1: not the format. */
int order_parse(struct order *order, const void *block, size_t block_bytes);

/*
 * Maps the sealed memfd and finds its parts. 0, or an errno: EPERM not sealed, EFBIG over STEP_ORDER_MAX_BYTES,
 * EBADMSG not the format. order_clear ends the mapping; it may be called again, and after a failure.
 */
int order_map(struct order *order, int fd);
void order_clear(struct order *order);

/*
 * Gives the environment of the script: the order's entries, then what own (NULL ends it) has under other names,
 * then NULL. Free with free(); the strings are borrowed. NULL: no memory.
 */
char **order_environment(const struct order *order, char **own);

#endif
