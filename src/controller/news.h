/* Events of a run that wait their turn. */
#ifndef CONTROLLER_NEWS_H
#define CONTROLLER_NEWS_H

#include "job/machine.h"
#include "job/reason.h"

#include <stddef.h>

struct news {
    enum job_event event;
    enum reason reason; /* of the cause */
    char *text;         /* the cause in words, owned; NULL: there is none */
};
struct news_queue {
    struct news *items;
    size_t count, taken;
};
/* Copies the text. */
void news_add(struct news_queue *queue, enum job_event event, enum reason reason, const char *text);
/* Gives the oldest (mem_free its text); false when there is none. */
bool news_take(struct news_queue *queue, struct news *given);
void news_clear(struct news_queue *queue);

#endif
