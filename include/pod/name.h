/* Names, labels and annotations of a job's pod (docs/formats.md section 2). Pure. */
#ifndef POD_NAME_H
#define POD_NAME_H

#include <stdint.h>

#define POD_LABEL_RELEASE     "dataops-runner/release"
#define POD_LABEL_SLOT        "dataops-runner/slot"
#define POD_LABEL_JOB         "dataops-runner/job"
#define POD_LABEL_ATTEMPT     "dataops-runner/attempt"
#define POD_ANNOTATION_KEY    "dataops-runner/key"
#define POD_ANNOTATION_ORDER  "dataops-runner/order"
#define POD_ANNOTATION_NOTES  "dataops-runner/notes"
#define POD_ANNOTATION_SEALED "dataops-runner/sealed"
#define POD_COURIER           "courier"
#define POD_BUILD             "build"

/* job-<6 hex>-<id>-<attempt>. Gives a text. */
char *pod_name(const char *url, const char *short_token, uint64_t job_id, unsigned attempt);
/* SHA-256 hex that tells our own pod from a clash. Gives a text. */
char *pod_key(const char *url, const char *short_token, uint64_t job_id);
/* A text as a label value: at most 63 characters of [A-Za-z0-9._-], alphanumeric at both ends. Gives a text, maybe "".
 */
char *pod_label_value(const char *text);
/* The first 9 characters behind the token's prefix (docs/reference/dataops.md, "Tokens"). Gives a text. */
char *pod_short_token(const char *token);

#endif
