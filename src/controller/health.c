#include "health.h"

#include "base/log.h"
#include "io/listen.h"

#include <inttypes.h>
#include <string.h>

struct health {
    const struct health_events *events;
    void *owner;
    struct listen_server *server;
};

static void health_metrics(const struct health_numbers *numbers, struct strbuf *body)
{
    strbuf_format(body,
                  "# HELP dataops_runner_jobs Jobs this controller has now.\n# TYPE dataops_runner_jobs "
                  "gauge\ndataops_runner_jobs %u\n",
                  numbers->jobs);
    strbuf_format(body,
                  "# HELP dataops_runner_jobs_limit Most jobs at once.\n# TYPE dataops_runner_jobs_limit "
                  "gauge\ndataops_runner_jobs_limit %" PRId64 "\n",
                  numbers->jobs_limit);
    strbuf_format(body,
                  "# HELP dataops_runner_jobs_received_total Jobs taken from DataOps.\n# TYPE "
                  "dataops_runner_jobs_received_total counter\n"
                  "dataops_runner_jobs_received_total %" PRIu64 "\n",
                  numbers->received);
    strbuf_format(
        body,
        "# HELP dataops_runner_jobs_finished_total Jobs reported.\n# TYPE dataops_runner_jobs_finished_total counter\n"
        "dataops_runner_jobs_finished_total{result=\"success\"} %" PRIu64 "\n"
        "dataops_runner_jobs_finished_total{result=\"failed\"} %" PRIu64 "\n",
        numbers->succeeded, numbers->failed);
}

static int health_answer(void *owner, const char *path, struct strbuf *body, const char **content_type)
{
    const struct health *health = owner;
    struct health_numbers numbers = { 0 };

    *content_type = "text/plain; charset=utf-8";
    if (strcmp(path, "/healthz") == 0) {
        strbuf_add_text(body, "ok\n");
        return 200;
    }
    if (strcmp(path, "/readyz") == 0) {
        const char *why = health->events->why_unready(health->owner);
        strbuf_format(body, "%s\n", why == NULL ? "ok" : why);
        return why == NULL ? 200 : 503;
    }
    if (strcmp(path, "/metrics") == 0) {
        *content_type = "text/plain; version=0.0.4; charset=utf-8";
        health->events->count(health->owner, &numbers);
        health_metrics(&numbers, body);
        return 200;
    }
    strbuf_add_text(body, "not found: /healthz /readyz /metrics\n");
    return 404;
}

int health_start(const struct frame *frame, const struct health_events *events, void *owner, struct health **given,
                 struct error *error)
{
    const char *address =
        frame->options.listen_address != NULL ? frame->options.listen_address : frame->options.config->listen_address;
    struct health *health;

    *given = NULL;
    if (address == NULL || address[0] == '\0')
        return 0;
    health = mem_new(sizeof(*health));
    health->events = events;
    health->owner = owner;
    health->server = listen_start(frame->loop, address, health_answer, health, error);
    if (health->server == NULL) {
        mem_free(health);
        return error_within(error, "listen_address %s", address);
    }
    log_event(LOG_INFO, "listening", LOG_NUMBER("port", listen_port(health->server)));
    *given = health;
    return 0;
}

void health_stop(struct health *health)
{
    if (health == NULL)
        return;
    listen_stop(health->server);
    mem_free(health);
}
