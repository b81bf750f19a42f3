/* Times of the websocket client, for tests that cannot wait. */
#ifndef IO_WS_TUNING_H
#define IO_WS_TUNING_H

#include "io/ws.h"

/* From now on: a ping after ping_s without a sign of life, the end after hangup_s. Ordinary: 20 and 45. */
void ws_tune(struct ws *ws, unsigned ping_s, unsigned hangup_s);

#endif
