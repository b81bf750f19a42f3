/* Whether a secret is still somewhere in this process's memory, freed memory included. The secret is made here,
 * character by character, and looked for in the same way: the search must not find itself. */
#ifndef TESTS_LEFTOVERS_H
#define TESTS_LEFTOVERS_H

#include "base/mem.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An allocator writes into the first bytes of what it frees; so the middle is looked for. */
enum { LEFTOVER_LENGTH = 200, LEFTOVER_FROM = 64, LEFTOVER_TO = 128, LEFTOVER_PIECE = 1 << 20 };

static inline char leftover_character(unsigned i)
{
    return (char)('a' + ((i + 1) * 2654435761u >> 24) % 26);
}

/* Gives a secret text; wipe it with mem_wipe_free(secret, strlen(secret)). */
static inline char *leftover_secret(void)
{
    char *secret = mem_new(LEFTOVER_LENGTH + 1);
    for (unsigned i = 0; i < LEFTOVER_LENGTH; i++)
        secret[i] = leftover_character(i);
    return secret;
}

static inline bool leftover_is_at(const char *at)
{
    for (unsigned i = LEFTOVER_FROM; i < LEFTOVER_TO; i++)
        if (at[i - LEFTOVER_FROM] != leftover_character(i))
            return false;
    return true;
}

static inline unsigned leftovers_between(int memory, uint64_t from, uint64_t to)
{
    static char piece[LEFTOVER_PIECE];
    enum { WINDOW = LEFTOVER_TO - LEFTOVER_FROM };
    const char first = leftover_character(LEFTOVER_FROM);
    unsigned found = 0;
    while (from + WINDOW <= to) {
        size_t wanted = to - from < sizeof piece ? (size_t)(to - from) : sizeof piece;
        ssize_t got = pread(memory, piece, wanted, (off_t)from);
        if (got < WINDOW)
            break;
        const char *end = piece + got - WINDOW + 1;
        for (const char *at = piece; (at = memchr(at, first, (size_t)(end - at))) != NULL; at++)
            found += leftover_is_at(at);
        from += (uint64_t)(got - WINDOW + 1);
    }
    explicit_bzero(piece, sizeof piece);
    return found;
}

/* How often the secret of leftover_secret stands in memory. */
static inline unsigned leftovers(void)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned found = 0;
    assert(memory >= 0 && maps);
    while (fgets(line, sizeof line, maps)) {
        uint64_t from = 0, to = 0;
        char rights[8] = "";
        /* a sanitizer's shadow is terabytes, and holds no text */
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, rights) == 3 && strncmp(rights, "rw", 2) == 0 &&
            to - from < (1u << 30))
            found += leftovers_between(memory, from, to);
    }
    fclose(maps);
    close(memory);
    return found;
}

#endif
