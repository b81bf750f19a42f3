/* Where the cluster is and who we are there: from host and files, a kubeconfig, or a pod's service account. */
#ifndef KUBE_ACCESS_H
#define KUBE_ACCESS_H

#include "kube/client.h"

struct kube_access {
    char *server;     /* "https://host:port/prefix", without slash at the end */
    char *ns;         /* NULL unknown */
    char *token;      /* NULL none */
    char *token_file; /* read again from time to time; NULL: the token is fixed */
    char *ca_pem;     /* NULL: the system's */
    char *ca_file;    /* read again from time to time; NULL: fixed */
    char *cert_pem, *key_pem;
    char *server_name;  /* name to verify, NULL: the host's */
    const char *ca_key; /* configuration key of the CA, for TLS errors; NULL in a pod, where nobody sets it */
    bool insecure;
};

/* Fills access (access_clear also after a failure). BLAME_CONFIG names file, key or variable. */
int access_find(struct kube_access *access, const struct kube_place *place, struct error *error) MUST_CHECK;
/* Reads token and CA files again; what cannot be read, or is empty, keeps its old value. */
void access_refresh(struct kube_access *access);
void access_clear(struct kube_access *access);

/* A file of at most 1 MiB without white space around it; NULL with BLAME_CONFIG when it cannot be read or is empty. */
char *access_read_file(const char *path, struct error *error);
/* kubeconfig.c: one file or several, separated by colons; context NULL: the current one. */
int kubeconfig_load(struct kube_access *access, const char *files, const char *context, struct error *error) MUST_CHECK;

#endif
