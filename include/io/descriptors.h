/* How many files and connections this process may have open. */
#ifndef IO_DESCRIPTORS_H
#define IO_DESCRIPTORS_H

#include <stdint.h>

/* Raises the soft limit to the hard one, which needs no right. Gives what holds from now on; UINT64_MAX: no limit. */
uint64_t descriptors_raise(void);
/* What holds now. */
uint64_t descriptors_most(void);

#endif
