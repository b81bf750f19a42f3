/* zlib, wrapped once: gzip and CRC-32 (IEEE). */
#ifndef TEXT_GZIP_H
#define TEXT_GZIP_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdint.h>

uint32_t crc32_of(uint32_t so_far, const void *bytes, size_t length);
/* CRC of A followed by B, from both CRCs and the length of B. */
uint32_t crc32_joined(uint32_t first, uint32_t second, uint64_t second_length);
/* Appends one gzip member (level 1 to 9, no name, no time: same input, same bytes). */
void gzip_pack(const void *bytes, size_t length, int level, struct strbuf *out);
/* Appends the unpacked bytes of all members; BLAME_INPUT when damaged or when out's ceiling is passed. */
int gzip_unpack(const void *bytes, size_t length, struct strbuf *out, struct error *error) MUST_CHECK;

#endif
