/* Ceilings of one artifact (job/plan.h), on their way to the child that packs or unpacks, and in words. */
#ifndef COURIER_CEILINGS_H
#define COURIER_CEILINGS_H

#include "job/plan.h"

struct cJSON;

/* Adds the object "limits" to a child's request. */
void ceilings_write(const struct plan_limits *limits, struct cJSON *request);
/* Takes it out again; what is missing has its default. */
void ceilings_read(const struct cJSON *request, struct plan_limits *limits);
/* Bytes that names of files may take in a child: a quarter of its memory. */
size_t ceilings_name_bytes(const struct plan_limits *limits);
/* Sets an error (BLAME_INPUT) "what more than 64 GiB: raise key in [runners.kubernetes] if that is right"; gives -1. */
int ceilings_exceeded(struct error *error, const char *what, int64_t most_bytes, const char *key);
/* Gives "64 GiB", "1536 MiB" or "17 bytes"; mem_free. */
char *ceilings_size_text(int64_t bytes);

#endif
