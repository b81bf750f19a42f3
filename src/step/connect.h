/* The socket to courier: packets of step/protocol.h, never blocking. */
#ifndef SRC_STEP_CONNECT_H
#define SRC_STEP_CONNECT_H

#include <stddef.h>

#include "step/protocol.h"

/* A packet from courier. */
struct packet {
    union {
        uint32_t kind;
        struct step_run run;
        struct step_stop stop;
        struct step_bye bye;
    };
    int fd; /* came with RUN, closed on exec, the receiver closes it; else -1 */
};

/* Connects to the listening socket at path, trying for STEP_CONNECT_LIMIT_MS. The descriptor, or -1 and errno. */
int courier_connect(const char *path);

/* Sends one message, and a descriptor with it unless fd is -1 (borrowed). 0, or -1 when courier is lost. */
int courier_send(int courier, const void *message, size_t size, int fd);

/*
 * Receives one packet, checked for kind, size and number of descriptors. 1: packet is filled; 0: nothing there;
 * -1: courier is lost or talks nonsense, *why (static text) says which.
 */
int courier_receive(int courier, struct packet *packet, const char **why);

#endif
