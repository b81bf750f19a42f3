/*
 * A pod around the real courier, for its tests: the real programs ($DATAOPS_BUILD/dataops-courier and dataops-step)
 * below a folder of their own, the log read back with the controller's record reader.
 */
#ifndef TESTS_COURIER_POD_H
#define TESTS_COURIER_POD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "job/result.h"
#include "text/gzip.h"
#include "text/json.h"
#include "text/record.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

struct pod {
    char root[64];
    char project[128], builds[128];
    struct cJSON *plan;
    pid_t courier, step;
    int log_fd;          /* courier's stdout */
    struct strbuf raw;   /* the log as it came */
    struct strbuf trace; /* the output that its records prove */
    struct record_reader reader;
    bool ended;
    struct result result; /* of the end record */
    int courier_status;
    uint64_t began_ms;
    uid_t courier_uid; /* 0: this user */
    bool old_kernel;   /* one before 5.6: without openat2 */
    bool no_landlock;  /* one before 5.13, or a container's profile that refuses it */
};

static inline uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline const char *program(const char *name)
{
    static char path[512];
    const char *build = getenv("DATAOPS_BUILD");
    snprintf(path, sizeof path, "%s/%s", build ? build : ".", name);
    if (access(path, X_OK) < 0)
        fail_msg("no program at %s: set DATAOPS_BUILD", path);
    return path;
}

static inline char *pod_path(const struct pod *pod, const char *path)
{
    static char paths[8][512];
    static unsigned next;
    char *given = paths[next++ % 8];
    snprintf(given, sizeof paths[0], "%s%s", pod->root, path);
    return given;
}

static inline void file_put(const char *path, const void *bytes, size_t length)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_msg("open %s: %s", path, strerror(errno));
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static inline void file_put_text(const char *path, const char *text)
{
    file_put(path, text, strlen(text));
}

/* Gives the content (mem_free), or NULL when there is no such file. */
static inline char *file_text(const char *path)
{
    struct strbuf text = STRBUF_EMPTY;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    for (;;) {
        char *room = strbuf_room(&text, 65536);
        const ssize_t got = read(fd, room, 65536);
        if (got <= 0)
            break;
        strbuf_wrote(&text, (size_t)got);
    }
    close(fd);
    char *taken = strbuf_take(&text, NULL);
    return taken ? taken : mem_text("");
}

/* --- the plan --- */

static inline void plan_variable(struct pod *pod, const char *key, const char *value)
{
    struct cJSON *pair = json_add(json_get(pod->plan, "environment"), json_array());
    json_add_text(pair, key);
    json_add_text(pair, value);
}

static inline void plan_file(struct pod *pod, const char *key, const char *content)
{
    struct cJSON *pair = json_add(json_get(pod->plan, "files"), json_array());
    char path[256];
    json_add_text(pair, key);
    json_add_text(pair, content);
    snprintf(path, sizeof path, "%s/.dataops/files/%s", pod->root, key);
    plan_variable(pod, key, path);
}

/* Adds a step of one line. */
static inline void plan_step_line(struct pod *pod, const char *name, const char *line)
{
    struct cJSON *step = json_add_object(json_get(pod->plan, "steps"));
    json_set_text(step, "name", name);
    json_add_text(json_set_array(step, "lines"), line);
}

static inline void plan_mask(struct pod *pod, const char *value)
{
    json_add_text(json_get(json_get(pod->plan, "mask"), "values"), value);
}

static inline struct cJSON *plan_artifact_add(struct pod *pod, const char *path)
{
    struct cJSON *artifact = json_add_object(json_get(pod->plan, "artifacts"));
    json_set_text(artifact, "name", "dist");
    json_add_text(json_set_array(artifact, "paths"), path);
    json_set_array(artifact, "exclude");
    json_set_text(artifact, "when", "on_success");
    json_set_text(artifact, "expire_in", "1 week");
    json_set_text(artifact, "type", "archive");
    json_set_text(artifact, "format", "zip");
    return artifact;
}

static inline void plan_fill(struct pod *pod)
{
    struct error error = ERROR_NONE;
    char *text = mem_format(
        "{\"version\":1,\"job\":{\"id\":90210,\"name\":\"build\",\"stage\":\"build\",\"project_id\":77,"
        "\"token\":\"glcbt-job-token-1234\"},"
        "\"server\":{\"url\":\"http://127.0.0.1:9/\",\"api\":\"http://127.0.0.1:9/api/v4\"},"
        "\"runner\":{\"name\":\"site-a\",\"short_token\":\"AbCdEfGhI\",\"system_id\":\"s_0123456789ab\","
        "\"version\":\"0.1.0\",\"revision\":\"abc\"},"
        "\"pod\":{\"name\":\"job-1\",\"namespace\":\"ns\",\"image\":\"img:1\",\"executor\":\"kubernetes\",\"attempt\":"
        "1},"
        "\"shell\":\"bash\",\"project_dir\":\"%s\",\"tmp_dir\":\"%s.tmp\",\"builds_dir\":\"%s\","
        "\"timeout_s\":120,\"script_timeout_s\":0,\"after_script_timeout_s\":300,\"after_script_ignore_errors\":true,"
        "\"output_limit_bytes\":4194304,\"trace_sections\":true,\"timestamps\":false,"
        "\"mask\":{\"values\":[\"glcbt-job-token-1234\"],\"prefixes\":[\"glpat-\"],\"folders\":[]},"
        "\"git\":{\"url\":\"http://127.0.0.1:9/g/p.git\",\"ref\":\"main\",\"sha\":\"\",\"depth\":0,\"refspecs\":[],"
        "\"object_format\":\"sha1\",\"strategy\":\"none\",\"checkout\":true,\"clean_flags\":[\"-ffdx\"],"
        "\"fetch_flags\":[\"--prune\",\"--quiet\"],\"lfs\":true,\"attempts\":1},"
        "\"hooks\":{\"pre_get_sources\":[],\"post_get_sources\":[]},"
        "\"environment\":[],\"files\":[],\"steps\":[],\"artifacts\":[],\"dependencies\":[],"
        "\"download_attempts\":1,\"direct_download\":true}",
        pod->project, pod->project, pod->builds);
    pod->plan = json_parse(text, strlen(text), &error);
    if (!pod->plan)
        fail_msg("plan: %s", error.text);
    mem_free(text);
    plan_variable(pod, "PATH", "/usr/local/bin:/usr/bin:/bin");
    plan_variable(pod, "CI", "true");
    plan_variable(pod, "HOME", "/nonexistent");
    plan_variable(pod, "CI_JOB_STATUS", "running");
}

static inline void plan_store(const struct pod *pod)
{
    struct strbuf packed = STRBUF_EMPTY;
    char *text = json_print(pod->plan);
    gzip_pack(text, strlen(text), 6, &packed);
    /* the kubelet shows a Secret volume whole */
    file_put(pod_path(pod, "/.dataops-plan/new"), strbuf_text(&packed), packed.length);
    chmod(pod_path(pod, "/.dataops-plan/new"), 0400);
    assert_int_equal(rename(pod_path(pod, "/.dataops-plan/new"), pod_path(pod, "/.dataops-plan/plan")), 0);
    strbuf_clear(&packed);
    mem_free(text);
}

/* --- life --- */

/* An empty pod whose plan is a job without steps. */
static inline void pod_init(struct pod *pod)
{
    static const char *const folders[] = { "/.dataops", "/.dataops-plan",    "/.dataops-order",
                                           "/dev",      "/.dataops-scratch", "/builds" };
    *pod = (struct pod){ .root = "/tmp/courier-test-XXXXXX", .log_fd = -1 };
    assert_non_null(mkdtemp(pod->root));
    assert_int_equal(chmod(pod->root, 0755), 0);
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        assert_int_equal(mkdir(pod_path(pod, folders[i]), 0755), 0);
    assert_int_equal(chmod(pod_path(pod, "/.dataops"), 01777), 0);
    assert_int_equal(chmod(pod_path(pod, "/builds"), 0777), 0);
    assert_int_equal(chmod(pod_path(pod, "/.dataops-scratch"), 0777), 0);
    assert_int_equal(chmod(pod_path(pod, "/.dataops-plan"), 0755), 0);
    file_put_text(pod_path(pod, "/dev/termination-log"), "");
    file_put_text(pod_path(pod, "/.dataops-order/order"), "");
    snprintf(pod->builds, sizeof pod->builds, "%s/builds", pod->root);
    snprintf(pod->project, sizeof pod->project, "%s/builds/g/p", pod->root);
    record_reader_init(&pod->reader, 0);
    plan_fill(pod);
}

/* From here on, and in what is executed, that system call does not exist. */
static inline void without_system_call(unsigned number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { .len = COUNT_OF(filter), .filter = filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(113);
}

/* What root can do in courier's container: what the pod says (tests/golden/plain/pod.json), as a set of bits. */
static inline uint64_t pod_capabilities(void)
{
    static const struct {
        const char *name;
        unsigned number;
    } known[] = { { "CHOWN", CAP_CHOWN },   { "DAC_OVERRIDE", CAP_DAC_OVERRIDE },
                  { "FOWNER", CAP_FOWNER }, { "KILL", CAP_KILL },
                  { "SETGID", CAP_SETGID }, { "SETUID", CAP_SETUID } };
    const char *tests = getenv("DATAOPS_TESTS");
    char path[512];
    uint64_t bits = 0;
    struct error error = ERROR_NONE;
    snprintf(path, sizeof path, "%s/golden/plain/pod.json", tests ? tests : ".");
    char *text = file_text(path);
    if (!text)
        fail_msg("no pod at %s: set DATAOPS_TESTS", path);
    struct cJSON *tree = json_parse(text, strlen(text), &error);
    const struct cJSON *courier = json_first(json_at(tree, "spec.containers"));
    const struct cJSON *names = json_at(courier, "securityContext.capabilities.add");
    for (const struct cJSON *name = json_first(names); name; name = json_next(name)) {
        size_t i = 0;
        while (i < COUNT_OF(known) && strcmp(known[i].name, json_item_text(name)) != 0)
            i++;
        assert_true(i < COUNT_OF(known));
        bits |= UINT64_C(1) << known[i].number;
    }
    assert_true(bits != 0);
    json_free(tree);
    mem_free(text);
    return bits;
}

/* From the next exec on. */
static inline void without_other_capabilities(uint64_t bits)
{
    for (unsigned number = 0; number < 64; number++)
        if (!(bits >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 && errno != EINVAL)
            _exit(114);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(114);
}

static inline void pod_start_courier(struct pod *pod)
{
    int ends[2];
    const char *courier = program("dataops-courier");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const uint64_t capabilities = geteuid() == 0 ? pod_capabilities() : 0;
    pod->began_ms = now_ms();
    pod->courier = fork();
    if (pod->courier == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (capabilities)
            without_other_capabilities(capabilities);
        dup2(ends[1], STDOUT_FILENO);
        if (pod->courier_uid &&
            (setgroups(0, NULL) < 0 || setgid(pod->courier_uid) < 0 || setuid(pod->courier_uid) < 0))
            _exit(112);
        if (pod->old_kernel)
            without_system_call(SYS_openat2);
        if (pod->no_landlock)
            without_system_call(SYS_landlock_create_ruleset);
        execl(courier, courier, "--root", pod->root, (char *)NULL);
        _exit(110);
    }
    close(ends[1]);
    pod->log_fd = ends[0];
}

/* The hook, then build's first process as that user. */
static inline void pod_start_step(struct pod *pod, uid_t uid)
{
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    char *step = pod_path(pod, "/.dataops/step"), *socket = pod_path(pod, "/.dataops/socket");
    while (access(step, X_OK) < 0 && now_ms() < last_ms)
        usleep(2000);
    pod->step = fork();
    if (pod->step == 0) {
        setenv("DATAOPS_SOCKET", socket, 1);
        if (geteuid() != uid && (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0))
            _exit(112);
        execl(step, "step", (char *)NULL);
        _exit(111);
    }
}

static inline void pod_take(struct pod *pod, const char *bytes, size_t length)
{
    strbuf_add(&pod->raw, bytes, length);
    while (length > 0 && !pod->ended) {
        size_t used = 0;
        const enum record_news news = record_feed(&pod->reader, bytes, length, &used);
        bytes += used;
        length -= used;
        if (news == RECORD_BROKEN)
            fail_msg("broken record in the log near byte %zu:\n%.2000s", pod->raw.length - length,
                     strbuf_text(&pod->raw) + (pod->raw.length > 2000 ? pod->raw.length - 2000 : 0));
        strbuf_add(&pod->trace, strbuf_text(&pod->reader.committed), pod->reader.committed.length);
        strbuf_drop(&pod->reader.committed, pod->reader.committed.length);
        if (news == RECORD_ENDED) {
            struct error error = ERROR_NONE;
            pod->ended = true;
            if (result_parse(strbuf_text(&pod->reader.end), pod->reader.end.length, &pod->result, &error) < 0)
                fail_msg("end record: %s", error.text);
        }
        if (news == RECORD_NOTHING)
            break;
    }
}

/* Reads the log until the trace holds words (NULL: until courier closes it). */
static inline void pod_read_until(struct pod *pod, const char *words)
{
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    static char piece[65536];
    while (!words || !strstr(strbuf_text(&pod->trace), words)) {
        struct pollfd ready = { .fd = pod->log_fd, .events = POLLIN };
        if (now_ms() >= last_ms || poll(&ready, 1, PATIENCE_MS) != 1)
            fail_msg("the log does not come to %s; trace so far:\n%s", words ? words : "its end",
                     strbuf_text(&pod->trace));
        const ssize_t got = read(pod->log_fd, piece, sizeof piece);
        if (got <= 0 && words)
            fail_msg("the log ended before %s:\n%s", words, strbuf_text(&pod->trace));
        if (got <= 0)
            return;
        pod_take(pod, piece, (size_t)got);
    }
}

static inline void pod_wait_for_file(const struct pod *pod, const char *path)
{
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    while (access(pod_path(pod, path), F_OK) < 0) {
        if (now_ms() >= last_ms)
            fail_msg("there is no %s", path);
        usleep(10000);
    }
}

static inline void child_wait(pid_t *pid, int *status)
{
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    while (*pid > 0 && now_ms() < last_ms) {
        if (waitpid(*pid, status, WNOHANG) == *pid) {
            *pid = 0;
            return;
        }
        usleep(2000);
    }
    if (*pid > 0)
        fail_msg("process %d does not end", (int)*pid);
}

/* To the end of the job. Courier must end with 0, its record must agree with the log and with the termination message.
 */
static inline void pod_finish(struct pod *pod)
{
    pod_read_until(pod, NULL);
    child_wait(&pod->courier, &pod->courier_status);
    assert_int_equal(pod->courier_status, 0);
    if (!pod->ended)
        fail_msg("no end record; log:\n%s", strbuf_text(&pod->raw));
    assert_int_equal(pod->result.bytes, pod->trace.length);
    assert_int_equal(pod->result.crc, crc32_of(0, strbuf_text(&pod->trace), pod->trace.length));
    char *message = file_text(pod_path(pod, "/dev/termination-log"));
    assert_string_equal(message, strbuf_text(&pod->reader.end));
    assert_true(strlen(message) <= 1024);
    mem_free(message);
}

/* The whole job, build as that user. */
static inline void pod_run(struct pod *pod, uid_t uid)
{
    plan_store(pod);
    pod_start_courier(pod);
    pod_start_step(pod, uid);
    pod_finish(pod);
}

static inline void pod_clear(struct pod *pod)
{
    char command[128];
    int status;
    if (pod->courier > 0) {
        kill(pod->courier, SIGKILL);
        child_wait(&pod->courier, &status);
    }
    if (pod->step > 0)
        child_wait(&pod->step, &status);
    if (pod->log_fd >= 0)
        close(pod->log_fd);
    json_free(pod->plan);
    record_reader_clear(&pod->reader);
    strbuf_clear(&pod->raw);
    strbuf_clear(&pod->trace);
    snprintf(command, sizeof command, "rm -rf '%s'", pod->root);
    assert_int_equal(system(command), 0);
}

/* --- looking at the trace --- */

/* Its end, as much as a message of a failed test holds. Borrows. */
static inline const char *trace_end(const struct pod *pod)
{
    return strbuf_text(&pod->trace) + (pod->trace.length > 700 ? pod->trace.length - 700 : 0);
}

/* The trace with the times of its section markers replaced by 0; mem_free. */
static inline char *trace_timeless(const struct pod *pod)
{
    struct strbuf out = STRBUF_EMPTY;
    const char *text = strbuf_text(&pod->trace);
    while (*text) {
        const bool start = strncmp(text, "section_start:", 14) == 0, end = strncmp(text, "section_end:", 12) == 0;
        const size_t length = start ? 14 : end ? 12 : 1;
        strbuf_add(&out, text, length);
        text += length;
        if (start || end) {
            text += strspn(text, "0123456789");
            strbuf_add_char(&out, '0');
        }
    }
    char *taken = strbuf_take(&out, NULL);
    return taken ? taken : mem_text("");
}

static inline void trace_has(const struct pod *pod, const char *words)
{
    if (!memmem(strbuf_text(&pod->trace), pod->trace.length, words, strlen(words)))
        fail_msg("no \"%s\" in the trace:\n%s", words, trace_end(pod));
}

static inline void trace_has_no(const struct pod *pod, const char *words)
{
    if (memmem(strbuf_text(&pod->trace), pod->trace.length, words, strlen(words)))
        fail_msg("\"%s\" is in the trace:\n%s", words, trace_end(pod));
    if (memmem(strbuf_text(&pod->raw), pod->raw.length, words, strlen(words)))
        fail_msg("\"%s\" is in the log:\n%s", words, trace_end(pod));
}

/* An order as the kubelet brings it: a new file in place of the old one. */
static inline void pod_order(const struct pod *pod, const char *word)
{
    file_put_text(pod_path(pod, "/.dataops-order/new"), word);
    assert_int_equal(rename(pod_path(pod, "/.dataops-order/new"), pod_path(pod, "/.dataops-order/order")), 0);
}

/* Plan, courier and step, the job's user being one's own. */
static inline void pod_begin(struct pod *pod)
{
    plan_store(pod);
    pod_start_courier(pod);
    pod_start_step(pod, geteuid());
}

/* A server that takes connections and says nothing. Its descriptor and port. */
static inline int silent_server(unsigned *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

#endif
