#include "workload.h"

#include "cluster.h"
#include "dataops/api.h"
#include "job/plan.h"
#include "pod/render.h"
#include "text/gzip.h"
#include "text/json.h"

int workload_init(struct workload *workload, const struct entry *entry, struct job *job, struct error *error)
{
    const struct pod_merge_input input = {
        .job = job,
        .runner = entry->runner,
        .short_token = entry->short_token,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
        .ca_pem = entry->ca_pem,
    };

    *workload = (struct workload){ .entry = entry, .job = job };
    if (pod_merge(&input, &workload->facts, &workload->variables, error) < 0)
        return -1;
    workload->image = pod_image(job, &workload->variables, entry->runner, error);
    return workload->image == NULL ? -1 : 0;
}

void workload_clear(struct workload *workload)
{
    variables_clear(&workload->variables);
    job_facts_clear(&workload->facts);
    job_free(workload->job);
    mem_free(workload->image);
    *workload = (struct workload){ 0 };
}

static struct pod_input pod_input_of(const struct workload *workload, const struct workload_pod *pod)
{
    const struct entry *entry = workload->entry;

    return (struct pod_input){
        .job = workload->job,
        .facts = &workload->facts,
        .variables = &workload->variables,
        .runner = entry->runner,
        .ns = cluster_namespace(entry->cluster),
        .release = entry->frame->options.release,
        .slot = "0",
        .short_token = entry->short_token,
        .version = DATAOPS_VERSION,
        .attempt = pod->attempt,
        .sealed = pod->sealed,
        .notes = pod->notes,
    };
}

struct cJSON *workload_render_pod(const struct workload *workload, const struct workload_pod *pod, struct error *error)
{
    const struct pod_input input = pod_input_of(workload, pod);
    struct cJSON *given = NULL;

    return pod_render(&input, &given, error) < 0 ? NULL : given;
}

static struct plan_limits limits_of(const struct config_kubernetes *keys)
{
    return (struct plan_limits){
        .upload_bytes = keys->artifact_upload_limit,
        .download_bytes = keys->artifact_download_limit,
        .unpacked_bytes = keys->artifact_unpacked_limit,
        .memory_bytes = keys->artifact_memory_limit,
        .entries = keys->artifact_entries_limit,
        .ratio = keys->artifact_ratio_limit,
    };
}

static int render_plan(const struct workload *workload, const struct workload_pod *pod, struct strbuf *packed,
                       struct error *error)
{
    const struct entry *entry = workload->entry;
    const struct config_runner *runner = entry->runner;
    struct strbuf plan = STRBUF_UP_TO(PLAN_MOST);
    char **folders = pod_mask_folders(runner);
    struct plan_settings settings = {
        .server_url = runner->url,
        .api_root = dataops_api_root(entry->dataops),
        .ca_pem = entry->ca_pem,
        .cert_pem = entry->cert_pem,
        .key_pem = entry->key_pem,
        .runner_name = runner->name,
        .short_token = entry->short_token,
        .system_id = entry->frame->options.system_id,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
        .pod_name = pod->name,
        .ns = cluster_namespace(entry->cluster),
        .image = workload->image,
        .attempt = pod->attempt,
        .shell = runner->shell,
        .facts = &workload->facts,
        .output_limit_bytes = (uint64_t)runner->output_limit_kib * KIB,
        .limits = limits_of(&runner->kubernetes),
        .mask_folders = (const char *const *)folders,
        .clone_url = runner->clone_url,
    };
    int result = plan_render(workload->job, &workload->variables, &settings, &plan, error);

    if (result == 0)
        gzip_pack(plan.bytes, plan.length, 6, packed);
    strbuf_wipe(&plan);
    for (size_t i = 0; folders[i] != NULL; i++)
        mem_free(folders[i]);
    mem_free(folders);
    return result;
}

struct cJSON *workload_render_secret(const struct workload *workload, const struct workload_pod *pod, const char *uid,
                                     struct error *error)
{
    const struct pod_input input = pod_input_of(workload, pod);
    struct strbuf packed = STRBUF_EMPTY;
    struct cJSON *given = NULL;

    if (render_plan(workload, pod, &packed, error) == 0 &&
        pod_secret_render(&input, uid, packed.bytes, packed.length, &given, error) < 0)
        given = NULL;
    strbuf_wipe(&packed);
    return given;
}
