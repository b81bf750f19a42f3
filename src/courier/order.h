/* The channel into the running pod: the annotation dataops-runner/order as a downward API file (docs/design.md section
 * 1). */
#ifndef COURIER_ORDER_H
#define COURIER_ORDER_H

#include <stddef.h>

struct loop;
struct order_watch;

enum order { ORDER_NONE, ORDER_CANCEL, ORDER_STOP };
typedef void order_given(void *owner, enum order order);

/* The order that a file's content is; anything unknown is none. Pure. */
enum order order_parse(const char *bytes, size_t length);
/* Calls given when the order in the folder changes to another one; an order that stands already is given in the next
 * turn. A folder that cannot be watched (a busy node runs out of inotify instances) is looked at every 200 ms. Gives
 * the watch (order_watch_stop). */
struct order_watch *order_watch_start(struct loop *loop, const char *folder, order_given *given, void *owner);
/* NULL is fine. */
void order_watch_stop(struct order_watch *watch);

#endif
