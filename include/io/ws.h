/* Websocket clients over libwebsockets on the loop (foreign loop through libwebsockets-evlib-uv). Names are resolved
 * through the loop and addresses passed on; HTTP/1.1 only; pings every 20 s, dead after 2 missed pongs
 * (docs/reference/kubernetes.md, "Whether a connection lives"). */
#ifndef IO_WS_H
#define IO_WS_H

#include "base/error.h"
#include "io/http.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct ws;
struct ws_stream;

struct ws_request {
    const char *url;            /* https://host[:port]/path?query (or http) */
    const char *protocol;       /* Sec-WebSocket-Protocol: one or NULL for none */
    const char *bearer;         /* token without "Bearer ", or NULL; never logged */
    const struct http_tls *tls; /* borrowed during ws_open only */
    const char *user_agent;     /* NULL: none is sent */
    uint64_t open_timeout_ms;   /* until 101; 0: 30 s */
};

struct ws_events {
    /* 101 came. */
    void (*opened)(void *owner);
    /* A piece of a message; last at its end. Borrows. Reading never waits: take it. */
    void (*data)(void *owner, const char *bytes, size_t length, bool last);
    /* The stream is over, once, also when it never opened: status is the HTTP status of a refused handshake (403 ...)
     * or 0; opened says whether 101 had come; error says why in words (BLAME_NONE for an ordinary Close). The stream is
     * gone after return. */
    void (*closed)(void *owner, int status, bool had_opened, const struct error *error);
};

/* NULL when libwebsockets does not find its part for libuv (Debian's libwebsockets-evlib-uv). It has room for as many
 * streams as the process may open files now, 16,384 at most. */
struct ws *ws_new(struct loop *loop);
/* Ends all streams without calling closed. */
void ws_free(struct ws *ws);
/* Starts; copies strings; keeps events and owner until closed. Sends Origin: scheme://host[:port] always. Never calls
 * back before returning. */
struct ws_stream *ws_open(struct ws *ws, const struct ws_request *request, const struct ws_events *events, void *owner);
/* Ends without calling closed. NULL is fine. From any callback. */
void ws_cancel(struct ws_stream *stream);

#endif
