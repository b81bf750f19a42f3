#include "job/splice.h"

#include "base/mem.h"
#include "text/section.h"

#include <inttypes.h>
#include <stdio.h>

void splice_clear(struct splice *splice)
{
    mem_free(splice->holes);
    *splice = SPLICE_EMPTY;
}

size_t splice_hole_line(uint64_t bytes, char line[SPLICE_LINE_MOST])
{
    return (size_t)snprintf(line, SPLICE_LINE_MOST,
                            "\n" SECTION_YELLOW "WARNING: log incomplete: %" PRIu64
                            " bytes were lost on the way from the node" SECTION_RESET "\n",
                            bytes);
}

uint64_t splice_log_offset(const struct splice *splice, uint64_t at)
{
    uint64_t lost = 0, said = 0;
    char line[SPLICE_LINE_MOST];

    for (size_t i = 0; i < splice->hole_count && splice->holes[i].at <= at; i++) {
        size_t length = splice_hole_line(splice->holes[i].bytes, line);
        lost += splice->holes[i].bytes;
        said += length;
        if (at < splice->holes[i].at + length)
            at = splice->holes[i].at + length;
    }
    return at > splice->notes_length ? at - splice->notes_length - said + lost : 0;
}

void splice_add_hole(struct splice *splice, uint64_t at, uint64_t bytes)
{
    splice->holes = mem_grow(splice->holes, (splice->hole_count + 1) * sizeof(*splice->holes));
    splice->holes[splice->hole_count++] = (struct splice_hole){ .at = at, .bytes = bytes };
}

void splice_rewind(struct splice *splice, uint64_t at)
{
    while (splice->hole_count > 0 && splice->holes[splice->hole_count - 1].at >= at)
        splice->hole_count--;
}

struct splice_piece splice_next(const struct splice *splice, uint64_t at, uint64_t offset, size_t length)
{
    struct splice_piece piece = { .kind = SPLICE_BYTES };
    uint64_t wanted = splice_log_offset(splice, at);

    if (length == 0)
        return (struct splice_piece){ .kind = SPLICE_NOTHING };
    if (wanted >= splice->log_end)
        return (struct splice_piece){ .kind = SPLICE_BEHIND };
    if (offset > wanted) {
        uint64_t next = offset < splice->log_end ? offset : splice->log_end;
        return (struct splice_piece){ .kind = SPLICE_HOLE, .lost = next - wanted };
    }
    piece.skip = wanted - offset < length ? (size_t)(wanted - offset) : length;
    if (length > splice->log_end - offset)
        length = (size_t)(splice->log_end - offset);
    piece.length = length > piece.skip ? length - piece.skip : 0;
    return piece;
}
