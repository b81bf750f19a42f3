/* What the tests of this folder see of a controller that others do not. */
#ifndef CONTROLLER_INSIDE_H
#define CONTROLLER_INSIDE_H

#include "controller/controller.h"

#include <stddef.h>

struct frame;
struct entry;
struct runs;

const struct frame *controller_frame(const struct controller *controller);
const struct runs *controller_runs(const struct controller *controller);
/* NULL past the last one. */
struct entry *controller_entry(const struct controller *controller, size_t at);
/* What controller_run returned, or will. */
enum controller_end controller_end_of(const struct controller *controller);
unsigned controller_open_requests(const struct controller *controller);

#endif
