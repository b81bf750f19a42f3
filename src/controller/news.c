#include "news.h"

#include "base/mem.h"

void news_add(struct news_queue *queue, enum job_event event, enum reason reason, const char *text)
{
    queue->items = mem_grow(queue->items, (queue->count + 1) * sizeof(*queue->items));
    queue->items[queue->count++] =
        (struct news){ .event = event, .reason = reason, .text = text != NULL ? mem_text(text) : NULL };
}

bool news_take(struct news_queue *queue, struct news *given)
{
    if (queue->taken == queue->count) {
        queue->taken = queue->count = 0;
        return false;
    }
    *given = queue->items[queue->taken++];
    return true;
}

void news_clear(struct news_queue *queue)
{
    struct news news;

    while (news_take(queue, &news))
        mem_free(news.text);
    mem_free(queue->items);
    *queue = (struct news_queue){ 0 };
}
