/* The job log on its way out: mask, line times, output limit, records, stdout (docs/design.md section 2). The only
 * writer of courier's stdout. Nothing reaches a node's disk unmasked. */
#ifndef COURIER_OUTPUT_H
#define COURIER_OUTPUT_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct mask;
struct output;

/* How a line of courier's own looks (docs/reference/dataops.md, "Sections and line times"). */
enum tone { TONE_BARE, TONE_PLAIN, TONE_NOTICE, TONE_WARNING, TONE_ERROR };

struct output_settings {
    struct mask *mask;    /* the output keeps and frees it; NULL: nothing is masked */
    uint64_t limit_bytes; /* of masked, stamped output; 0: 4 MiB */
    bool line_times;      /* FF_TIMESTAMPS */
    bool sections;        /* features.trace_sections */
};

/* Gives an output that writes records to fd, which stays the caller's (made non-blocking until output_free). Until
 * output_configure there is no mask. */
struct output *output_new(struct loop *loop, int fd);
void output_configure(struct output *output, const struct output_settings *settings);
void output_free(struct output *output);

/* Until output_release records wait here: while the kubelet starts the pod's containers it serves no log anyway, and a
 * pod that comes to nothing shall have said nothing, so that the next attempt's log can be the job's. */
void output_hold(struct output *output);
/* Writes what was held. Nothing to do when nothing is held. */
void output_release(struct output *output);
/* Forgets what was held, as if nothing had been said: bytes and CRC begin anew. False when nothing is held any more. */
bool output_discard(struct output *output);

/* Bytes of the script (stream 01) and of courier's own children and lines (stream 00). */
void output_script(struct output *output, const char *bytes, size_t length);
void output_own(struct output *output, const char *bytes, size_t length);
/* What came so far is a whole: nothing is held back for a longer match any more. Called at each end of a stream. */
void output_settle(struct output *output);
/* One settled line of courier's own. */
void output_say(struct output *output, enum tone tone, const char *format, ...) PRINTF_LIKE(3, 4);
void output_section_start(struct output *output, const char *name, const char *title);
void output_section_end(struct output *output, const char *name);

/* The log path does not take bytes as fast as they come: stop reading the script until room() is called, once. */
bool output_is_full(struct output *output);
void output_on_room(struct output *output, void (*room)(void *owner), void *owner);

/* Turns everything into records; afterwards bytes and CRC are final as long as nothing more is put in. */
void output_flush(struct output *output);
uint64_t output_bytes(const struct output *output);
uint32_t output_crc(const struct output *output);
/* Masks a text that leaves by another way than the stream, in place. After output_flush only. */
void output_mask_text(struct output *output, char *text, size_t size);
/* Writes the end record and calls done when stdout took everything, or after most_ms; maybe before returning.
 * Nothing may be put in afterwards. -1: json cannot be one (a bug); nothing was written, done is not called. */
int output_end(struct output *output, const char *json, uint64_t most_ms, void (*done)(void *owner),
               void *owner) MUST_CHECK;

#endif
