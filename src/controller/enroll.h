/* Start-up that needs answers: the release's state Secret is opened, then each [[runners]] entry without a token gets
 * one, from that Secret or by registering. */
#ifndef CONTROLLER_ENROLL_H
#define CONTROLLER_ENROLL_H

#include "entry.h"

struct enroll;

/* Every entry has its token, and frame->state is open or was given up (said in the log). Once. */
typedef void enroll_done(void *owner);

/* Begins; tries until it is done. Borrows everything; owns frame->state. */
struct enroll *enroll_start(struct frame *frame, struct entry *entries, size_t count, enroll_done *done, void *owner);
/* Stops what is under way, and frees frame->state. NULL is fine. */
void enroll_free(struct enroll *enroll);

#endif
