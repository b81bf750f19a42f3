/* A small HTTP/1.1 server for probes and metrics: GET only, one answer a connection, 8 KiB requests. The head of a
 * request must come within 1 s, the answer be taken within 5 s. At most 256 connections, 128 of one address: past that
 * the one that has said nothing for longest makes room, so strangers who hold connections open keep no probe out. */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include "base/error.h"
#include "base/strbuf.h"

struct loop;
struct listen_server;

/* Fills body and content type for a path; gives the HTTP status. */
typedef int listen_answer(void *owner, const char *path, struct strbuf *body, const char **content_type);

/* address: "host:port", ":9252" or "[::]:9252"; port 0 takes any (listen_port tells). */
struct listen_server *listen_start(struct loop *loop, const char *address, listen_answer *answer, void *owner,
                                   struct error *error);
unsigned listen_port(const struct listen_server *server);
void listen_stop(struct listen_server *server);

#endif
