/* A trace is put together from a log that is read in any pieces, with any parts of it lost and any rewinds. Played
 * against a plain model: whatever happens, each log byte that the trace was given stands where splice_log_offset says,
 * no byte comes twice or out of order, every lost byte is counted in exactly one hole, and nothing comes from behind
 * the end.
 *
 * Input: notes' length, then three bytes a move: what to do, and two numbers. */
#include "fuzz.h"

#include "job/splice.h"

#include <stdbool.h>

enum { MOVES_MOST = 200 };

/* What the trace was given, as it goes. */
struct model {
    uint64_t at;  /* the next trace offset */
    uint64_t log; /* the next log offset */
};

static void expect_agrees(const struct splice *splice, const struct model *model)
{
    if (model->at >= splice->notes_length)
        EXPECT(splice_log_offset(splice, model->at) == model->log);
    for (size_t i = 1; i < splice->hole_count; i++)
        EXPECT(splice->holes[i].at > splice->holes[i - 1].at);
}

/* Log bytes [offset, offset + length) can be read: everything that can be put of them is put. */
static void read_log(struct splice *splice, struct model *model, uint64_t offset, size_t length)
{
    char line[SPLICE_LINE_MOST];

    for (int round = 0; round < 3; round++) {
        struct splice_piece piece = splice_next(splice, model->at, offset, length);
        switch (piece.kind) {
        case SPLICE_NOTHING:
            EXPECT(length == 0);
            return;
        case SPLICE_BEHIND:
            EXPECT(model->log >= splice->log_end);
            return;
        case SPLICE_HOLE:
            EXPECT(round == 0 && piece.lost > 0 && model->log + piece.lost <= offset);
            EXPECT(model->log + piece.lost <= splice->log_end);
            splice_add_hole(splice, model->at, piece.lost);
            model->at += splice_hole_line(piece.lost, line);
            model->log += piece.lost;
            expect_agrees(splice, model);
            break;
        case SPLICE_BYTES:
            EXPECT(piece.skip + piece.length <= length);
            if (piece.length > 0) {
                EXPECT(offset + piece.skip == model->log);
                model->at += piece.length;
                model->log += piece.length;
                EXPECT(model->log <= splice->log_end);
            }
            expect_agrees(splice, model);
            return;
        }
    }
    EXPECT(false);
}

/* DataOps wants the trace again from an offset. */
static void rewind_to(struct splice *splice, struct model *model, uint64_t at)
{
    const size_t before = splice->hole_count;
    char line[SPLICE_LINE_MOST];

    if (at > model->at || at < splice->notes_length)
        return;
    for (size_t i = 0; i < splice->hole_count; i++) /* a line is sent again as a whole: it is fixed text */
        if (at > splice->holes[i].at && at < splice->holes[i].at + splice_hole_line(splice->holes[i].bytes, line))
            return;
    splice_rewind(splice, at);
    EXPECT(splice->hole_count <= before);
    for (size_t i = 0; i < splice->hole_count; i++)
        EXPECT(splice->holes[i].at < at);
    model->at = at;
    model->log = splice_log_offset(splice, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct splice splice = SPLICE_EMPTY;
    struct model model = { 0 };

    if (size < 1)
        return 0;
    splice.notes_length = data[0];
    model.at = splice.notes_length;
    for (size_t i = 1; i + 2 < size && i < 3 * MOVES_MOST; i += 3) {
        const uint64_t back = data[i + 1], length = data[i + 2];
        switch (data[i] % 4) {
        case 0: /* read on, with an overlap */
            read_log(&splice, &model, model.log > back ? model.log - back : 0, length);
            break;
        case 1: /* bytes are lost */
            read_log(&splice, &model, model.log + back, length);
            break;
        case 2:
            rewind_to(&splice, &model, model.at > back * length ? model.at - back * length : splice.notes_length);
            break;
        default:
            if (splice.log_end == SPLICE_NO_END && data[i + 1] == 0)
                splice.log_end = model.log + length;
            break;
        }
    }
    splice_clear(&splice);
    return 0;
}
