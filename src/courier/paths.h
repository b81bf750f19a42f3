/* Where things lie in courier's container (docs/formats.md section 1), all below a root that tests may set. */
#ifndef COURIER_PATHS_H
#define COURIER_PATHS_H

struct paths {
    char *shared;      /* /.dataops: the memory volume shared with build */
    char *socket;      /* /.dataops/socket */
    char *step;        /* /.dataops/step */
    char *files;       /* /.dataops/files */
    char *plan_folder; /* /.dataops-plan */
    char *plan;        /* /.dataops-plan/plan */
    char *orders;      /* /.dataops-order, the folder */
    char *scratch;     /* /.dataops-scratch: a memory volume of courier's own, for secrets that must be files */
    char *termination; /* /dev/termination-log */
    char *root;        /* "" or what --root said, without trailing slash */
};

/* Fills paths (paths_clear); root is "" or NULL for the real ones. */
void paths_init(struct paths *paths, const char *root);
void paths_clear(struct paths *paths);
/* Gives the path below the root for an absolute path of the plan that is courier's own (mask folders); mem_free. */
char *paths_below_root(const struct paths *paths, const char *path);

#endif
