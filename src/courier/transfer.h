/* What uploads and downloads of artifacts share: a nameless file between child and network, calls to DataOps' job API,
 * and how often they are tried (docs/reference/dataops.md, "Uploading artifacts" and "Downloading artifacts"). */
#ifndef COURIER_TRANSFER_H
#define COURIER_TRANSFER_H

#include "context.h"

#include <stdint.h>

struct http_tls;
struct http_reply;
struct child_events;
struct child;
struct cJSON;
struct strbuf;

#define TRANSFER_LIMIT_MS        (60u * 60u * 1000u)
#define TRANSFER_ANSWER_LIMIT_MS (10u * 60u * 1000u)

/* Opens a file without a name in /tmp, else in memory. The descriptor or -1. */
int transfer_file(struct error *error) MUST_CHECK;
/* CA and client certificate of the plan. */
void transfer_tls(const struct context *context, struct http_tls *tls);
/* Starts this program as an unprivileged child in mode ("--pack"), with the request on stdin and fd as its archive. It
 * has the plan's ceiling of memory, and may write no file longer than file_most bytes. The request's text is kept in
 * *input (mem_free after the end). NULL and an error when it cannot be started. */
struct child *transfer_child(const struct context *context, const char *mode, struct cJSON *request, int fd,
                             uint64_t file_most, char **input, const struct child_events *events, void *owner,
                             struct error *error);

/* What killed a child that packed or unpacked, with the key to raise, from its wait status; NULL: nothing did. Pure. */
const char *transfer_death(int status);

#define TRANSFER_ID_LINE 48
/* A header line with a fresh 32-hex id, which DataOps logs beside its own (docs/reference/dataops.md, "Calls in
 * general"). */
void transfer_id_line(char line[TRANSFER_ID_LINE]);

enum again { AGAIN_NO, AGAIN_YES };
/* Whether an answer (status 0: none came) is tried again; *tries counts the failures so far, this one not included,
 * wait_ms is set when it is. 503: 6 tries in all, 1 to 5 s apart; other trouble: 3 tries, 1 s apart; 4xx of a final
 * kind: none. Pure. */
enum again transfer_again(int status, unsigned *tries, uint32_t random, uint64_t *wait_ms);
/* "201 Created"; "no answer" for 0. Appends. Pure. */
void transfer_status_words(int status, struct strbuf *out);
/* Appends what the server said about a failure, cleaned for people, or nothing. Pure. */
void transfer_message(const struct http_reply *reply, struct strbuf *out);

#endif
