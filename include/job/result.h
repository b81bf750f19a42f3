/* The end record (docs/formats.md section 5): how a job ended, as courier says it. Pure. */
#ifndef JOB_RESULT_H
#define JOB_RESULT_H

#include "base/strbuf.h"
#include "job/reason.h"

enum outcome {
    OUTCOME_SUCCESS,
    OUTCOME_FAILED,
    OUTCOME_CANCELED,
    OUTCOME_TIMEDOUT,
    OUTCOME_INTERRUPTED,
    OUTCOME_NEVER_BEGAN
};
struct result {
    enum outcome outcome;
    int exit_code;
    enum reason reason;
    char message[401];
    uint64_t bytes;
    uint32_t crc;
    bool oom;
    bool says_landlock; /* else it comes from a courier that does not look */
    int landlock_abi;   /* what courier's children are confined with (io/confine.h); 0: nothing */
    struct {
        double start_s, sources_s, download_s, script_s, after_s, upload_s;
    } phases;
};
const char *outcome_name(enum outcome outcome);
/* Appends the JSON, at most 1 KiB, without LF or ESC. */
void result_print(const struct result *result, struct strbuf *out);
int result_parse(const char *text, size_t length, struct result *result, struct error *error) MUST_CHECK;

#endif
