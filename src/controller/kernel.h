/* What the kernels of nodes lack to confine courier's children, told where the operator looks. */
#ifndef CONTROLLER_KERNEL_H
#define CONTROLLER_KERNEL_H

#include "job/result.h"

struct kube;
struct sealed_job;

/* By the end record of a job on that node ("": not known): says in the controller's log what its kernel lacks, what
 * follows, and what to do. Each lack is said once, of the first node that shows it: all nodes of a kind share it. */
void kernel_tell(const struct sealed_job *job, struct kube *kube, const char *node, const struct result *result);

#endif
