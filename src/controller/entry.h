/* One [[runners]] entry, ready for work: its token, its TLS files, its client of DataOps, its namespace. */
#ifndef CONTROLLER_ENTRY_H
#define CONTROLLER_ENTRY_H

#include "frame.h"
#include "config/config.h"

struct cluster;
struct cluster_set;
struct dataops;

struct entry {
    const struct frame *frame;          /* borrowed */
    const struct config_runner *runner; /* borrowed */
    struct cluster *cluster;            /* borrowed from the set */
    struct dataops *dataops;
    char *token;       /* NULL: it comes from the state Secret or from registering (enroll.h) */
    char *short_token; /* NULL with it */
    char *ca_pem, *cert_pem, *key_pem;
};

/* Reads token and TLS files and prepares both clients; the namespace is one of the set's. -1 with BLAME_CONFIG names
 * the key; entry_clear is needed then, too. */
int entry_init(struct entry *entry, const struct frame *frame, struct cluster_set *clusters,
               const struct config_runner *runner, struct error *error) MUST_CHECK;
void entry_clear(struct entry *entry);
/* Copies the token that this entry works with from now on. */
void entry_set_token(struct entry *entry, const char *token);

#endif
