#include "order.h"

#include "io/file.h"
#include "io/loop.h"

#include <string.h>

#define ORDER_MOST    4096
#define LOOK_AGAIN_MS 200u

struct order_watch {
    struct loop *loop;
    struct folder_watch *folder;
    struct timer *look;
    char *path;
    enum order last;
    order_given *given;
    void *owner;
};

enum order order_parse(const char *bytes, size_t length)
{
    while (length > 0 && strchr(" \t\r\n\"", bytes[length - 1]) && bytes[length - 1])
        length--;
    while (length > 0 && strchr(" \t\r\n\"", bytes[0]) && bytes[0]) {
        bytes++;
        length--;
    }
    if (length == 6 && memcmp(bytes, "cancel", 6) == 0)
        return ORDER_CANCEL;
    if (length == 4 && memcmp(bytes, "stop", 4) == 0)
        return ORDER_STOP;
    return ORDER_NONE;
}

static void order_changed(void *owner)
{
    struct order_watch *watch = owner;
    OWNED_STRBUF struct strbuf content = STRBUF_UP_TO(ORDER_MOST);
    struct error ignored = ERROR_NONE;
    if (file_read(watch->path, &content, &ignored) < 0)
        return;
    const enum order order = order_parse(strbuf_text(&content), content.length);
    if (order == watch->last)
        return;
    watch->last = order;
    if (order != ORDER_NONE)
        watch->given(watch->owner, order);
}

static void order_look(void *owner)
{
    struct order_watch *watch = owner;
    if (!watch->folder)
        loop_after(watch->loop, &watch->look, LOOK_AGAIN_MS, order_look, watch);
    order_changed(watch);
}

struct order_watch *order_watch_start(struct loop *loop, const char *folder, order_given *given, void *owner)
{
    struct error ignored = ERROR_NONE;
    struct order_watch *watch = mem_new(sizeof *watch);
    watch->loop = loop;
    watch->given = given;
    watch->owner = owner;
    watch->path = mem_format("%s/order", folder);
    watch->folder = folder_watch_start(loop, folder, order_changed, watch, &ignored);
    loop_after(loop, &watch->look, 0, order_look, watch);
    return watch;
}

void order_watch_stop(struct order_watch *watch)
{
    if (!watch)
        return;
    timer_stop(&watch->look);
    folder_watch_stop(watch->folder);
    mem_free(watch->path);
    mem_free(watch);
}
