/*
 * Resource limits as the container runtime set them. A process of the job may change those of step with prlimit();
 * a later script must not inherit that.
 */
#ifndef SRC_STEP_LIMITS_H
#define SRC_STEP_LIMITS_H

/* Remembers the soft limits of this process. Once, at start. */
void limits_keep(void);

/* Sets them again, each as far as its hard limit still allows. */
void limits_restore(void);

#endif
