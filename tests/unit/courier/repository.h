/* A job with a real repository behind a real git server. */
#ifndef TESTS_COURIER_REPOSITORY_H
#define TESTS_COURIER_REPOSITORY_H

#include "courier/web.h"

#define TOKEN "glcbt-job-token-1234"

struct repository {
    struct pod pod;
    struct web web;
    char sha[64], old_sha[64];
};

static inline void shell(const char *format, ...) PRINTF_LIKE(1, 2);
static inline void shell(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static inline void text_line(char *out, size_t size, const char *path)
{
    char *text = file_text(path);
    assert_non_null(text);
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
    mem_free(text);
}

/* A bare repository with three commits on main, and a job that clones it. */
static inline void repository_make_with(struct repository *all, const struct web_rule *rules, size_t count)
{
    struct pod *pod = &all->pod;
    *all = (struct repository){ .web = { .git_token = TOKEN, .rule_count = count } };
    for (size_t i = 0; i < count; i++)
        all->web.rules[i] = rules[i];
    pod_init(pod);
    web_start(&all->web, pod);
    shell(
        "set -e; cd %s; export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a "
        "GIT_COMMITTER_EMAIL=a@b; git init -q -b main work; cd work; "
        "for i in 1 2 3; do echo $i > file; echo x > run.sh; chmod 755 run.sh; git add .; git commit -q -m $i; "
        "git rev-parse HEAD > ../sha-$i; done; mkdir -p ../web/git/g; git clone -q --bare . ../web/git/g/p.git; "
        "cd ../web/git/g/p.git; git config uploadpack.allowAnySHA1InWant false",
        pod->root);
    text_line(all->sha, sizeof all->sha, pod_path(pod, "/sha-3"));
    text_line(all->old_sha, sizeof all->old_sha, pod_path(pod, "/sha-1"));
    struct cJSON *git = json_get(pod->plan, "git");
    json_set_text(git, "sha", all->sha);
    json_set_text(git, "strategy", "clone");
    json_add_text(json_set_array(git, "refspecs"), "+refs/heads/main:refs/remotes/origin/main");
}

static inline void repository_make(struct repository *all)
{
    repository_make_with(all, NULL, 0);
}

static inline void repository_clear(struct repository *all)
{
    web_stop(&all->web);
    pod_clear(&all->pod);
}

static inline struct cJSON *git_of(struct repository *all)
{
    return json_get(all->pod.plan, "git");
}

static inline uid_t job_user(void)
{
    return geteuid() == 0 ? 1000 : geteuid();
}

#endif
