/* What tests/faults/faults.c counts, in a file that the test shares with the program. */
#ifndef FAULTS_H
#define FAULTS_H

struct fault_count {
    unsigned calls; /* of the call that is meant, so far */
    unsigned hit;   /* 1: one of them was made to fail */
};

#endif
