/* The parts of a pod: each file builds one of them. */
#ifndef POD_PARTS_H
#define POD_PARTS_H

#include "pod/render.h"

#define POD_FOLDER         "/.dataops"
#define POD_PLAN_FOLDER    "/.dataops-plan"
#define POD_ORDER_FOLDER   "/.dataops-order"
#define POD_MASK_FOLDER    "/.dataops-mask"
#define POD_SCRATCH_FOLDER "/.dataops-scratch"

/* What a text of the operator's is for, and so what it may become. */
enum pod_text_rule {
    TEXT_LITERAL, /* not expanded */
    TEXT_SHOWN,   /* label and annotation values: a name without a value is empty */
    TEXT_SUB_PATH,
    TEXT_MOUNT_PATH,
    TEXT_OBJECT_NAME,
    TEXT_IMAGE
};
/* Gives the text of a key, expanded by facts alone, or NULL with BLAME_CONFIG that names the key: a name in it has no
 * value for this job, or the value is not what the key is for. */
char *pod_text(const struct job_facts *facts, enum pod_text_rule rule, const char *key, const char *text,
               struct error *error);
/* "sub_path of the pvc volume cache", as messages name it. Gives a text. */
char *pod_volume_key(const struct config_volume *volume, const char *key);
/* Gives the container list: courier first, build last. */
struct cJSON *pod_containers(const struct pod_input *input, const char *image, struct error *error);
/* Gives spec.volumes, or NULL with an error. */
struct cJSON *pod_volumes(const struct pod_input *input, const char *pod_name, struct error *error);
/* Adds the mounts that configured volumes ask for, to the build container. */
int pod_add_mounts(const struct pod_input *input, struct cJSON *mounts, struct error *error);
/* A name for the index-th configured volume, unique in the pod, a DNS label. Gives a text. */
char *pod_volume_name(const struct config_volume *volume, size_t index);
/* The configured volume that takes the place of the builds emptyDir, or NULL. */
const struct config_volume *pod_builds_volume(const struct pod_input *input, size_t *index);
/* Adds requests and limits, in the order cpu, memory; nothing when none is set. */
void pod_add_resources(struct cJSON *container, const struct config_resources *wish, const char *cpu_request,
                       const char *memory_request);
/* Both containers share one uid and gid, no capability (docs/design.md section 1). */
bool pod_is_restricted(const struct config_runner *runner);

#endif
