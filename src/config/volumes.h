/* Volumes: the five kinds of [runners.kubernetes.volumes], and what [runners.docker] volumes entries become. */
#ifndef CONFIG_VOLUMES_H
#define CONFIG_VOLUMES_H

#include "read.h"

/* Reads [runners.kubernetes.volumes]. */
int volumes_read(const struct reading *reading, const struct tree *table, struct config_volumes *volumes);
/* Reads [runners.docker]: image, and "host:container:mode" volumes for the folders that DataOps jobs need. A path that
 * is mounted already stays as it is. */
int volumes_read_docker(const struct reading *reading, const struct tree *docker, struct config_runner *runner);
void volumes_clear(struct config_volumes *volumes);

#endif
