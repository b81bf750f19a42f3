/* What all parts of a controller share: the loop, the clients, who this controller is. Filled by controller.c, read by
 * everybody else. */
#ifndef CONTROLLER_FRAME_H
#define CONTROLLER_FRAME_H

#include "controller/controller.h"

#include <stdbool.h>

struct loop;
struct http;
struct ws;
struct state;

struct frame {
    struct loop *loop;
    struct http *http;
    struct ws *ws;
    struct controller_options options;
    struct state *state; /* NULL until it was opened; nothing can be sealed then */
    bool stopping;       /* running jobs are handed over: no pod is created that was not begun */
};

#endif
