/* Who this process is among those that share a runner token (docs/reference/dataops.md, "A process among those that
 * share a token"). */
#ifndef CLI_SYSTEM_ID_H
#define CLI_SYSTEM_ID_H

#include "base/error.h"

#include <stdbool.h>

#define SYSTEM_ID_SIZE 15

bool system_id_is_valid(const char *text);
/* "s_" + 12 hex of HMAC-SHA256(machine id, "gitlab-runner"), as the stock runner makes it. */
void system_id_of_machine(const char *machine_id, char id[SYSTEM_ID_SIZE]);
/* "s_" + 12 hex of SHA-256("<namespace>/<release>/<slot>"): the same after every restart of a pod. */
void system_id_of_slot(const char *ns, const char *release, unsigned slot, char id[SYSTEM_ID_SIZE]);
/* What .runner_system_id beside the configuration says; made, and written there (0600), when it is missing or
 * malformed. An id that could not be written still holds for this process: -1 and an error then. */
int system_id_load(const char *config_path, char id[SYSTEM_ID_SIZE], struct error *error);

#endif
