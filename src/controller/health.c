/* Probes and the first metrics: /healthz (the loop turns), /readyz (Kubernetes listed, DataOps answered lately),
 * /metrics. */
#include "parts.h"

#include "base/log.h"
#include "io/listen.h"

#include <inttypes.h>
#include <string.h>

#define READY_WITHOUT_ANSWER_MS 120000

static bool health_is_ready(const struct controller *controller, const char **why)
{
    uint64_t now_ms = loop_now_ms(controller->loop);

    LIST_EACH(node, &controller->clusters)
    {
        const struct cluster *cluster = list_of(node, struct cluster, node);
        if (!cluster->listed || cluster->in_trouble) {
            *why = "Kubernetes has not answered yet, or not lately";
            return false;
        }
    }
    for (size_t i = 0; i < controller->intake_count; i++) {
        const struct intake *intake = &controller->intakes[i];
        /* who is full, or asks seldom, waits for no answer; who took over jobs may be full from the start */
        bool silent = intake->asked_since_ms != 0 && now_ms - intake->asked_since_ms > READY_WITHOUT_ANSWER_MS;
        bool unknown = !intake->was_answered && controller->run_count == 0;

        if (silent || unknown) {
            *why = "DataOps has not answered yet, or not lately";
            return false;
        }
    }
    return true;
}

static void health_metrics(const struct controller *controller, struct strbuf *body)
{
    strbuf_format(body,
                  "# HELP dataops_runner_jobs Jobs this controller has now.\n# TYPE dataops_runner_jobs "
                  "gauge\ndataops_runner_jobs %u\n",
                  controller->run_count);
    strbuf_format(body,
                  "# HELP dataops_runner_jobs_limit Most jobs at once.\n# TYPE dataops_runner_jobs_limit "
                  "gauge\ndataops_runner_jobs_limit %" PRId64 "\n",
                  controller->options.config->concurrent);
    strbuf_format(body,
                  "# HELP dataops_runner_jobs_received_total Jobs taken from DataOps.\n# TYPE "
                  "dataops_runner_jobs_received_total counter\n"
                  "dataops_runner_jobs_received_total %" PRIu64 "\n",
                  controller->jobs_received);
    strbuf_format(
        body,
        "# HELP dataops_runner_jobs_finished_total Jobs reported.\n# TYPE dataops_runner_jobs_finished_total counter\n"
        "dataops_runner_jobs_finished_total{result=\"success\"} %" PRIu64 "\n"
        "dataops_runner_jobs_finished_total{result=\"failed\"} %" PRIu64 "\n",
        controller->jobs_succeeded, controller->jobs_failed);
}

static int health_answer(void *owner, const char *path, struct strbuf *body, const char **content_type)
{
    struct controller *controller = owner;
    const char *why = "";

    *content_type = "text/plain; charset=utf-8";
    if (strcmp(path, "/healthz") == 0) {
        strbuf_add_text(body, "ok\n");
        return 200;
    }
    if (strcmp(path, "/readyz") == 0) {
        bool ready = health_is_ready(controller, &why);
        strbuf_format(body, "%s\n", ready ? "ok" : why);
        return ready ? 200 : 503;
    }
    if (strcmp(path, "/metrics") == 0) {
        *content_type = "text/plain; version=0.0.4; charset=utf-8";
        health_metrics(controller, body);
        return 200;
    }
    strbuf_add_text(body, "not found: /healthz /readyz /metrics\n");
    return 404;
}

int health_start(struct controller *controller, struct error *error)
{
    const char *address = controller->options.listen_address != NULL ? controller->options.listen_address
                                                                     : controller->options.config->listen_address;

    if (address == NULL || address[0] == '\0')
        return 0;
    controller->listen = listen_start(controller->loop, address, health_answer, controller, error);
    if (controller->listen == NULL)
        return error_within(error, "listen_address %s", address);
    log_event(LOG_INFO, "listening", LOG_NUMBER("port", listen_port(controller->listen)));
    return 0;
}
