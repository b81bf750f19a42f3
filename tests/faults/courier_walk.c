/* A whole small job in which one call of courier fails: each in turn, and with each error that fits it. The job ends,
 * never with a success that it did not have, and what is only a delay (EINTR, a short write) is not noticed.
 *
 * The quick walk takes a sample; DATAOPS_FAULTS=all takes every point, DATAOPS_FAULTS_CALL=open those of one call, and
 * DATAOPS_FAULTS_TELL=1 says how each of them ended. */
#include "courier/pod.h"

#include "faults.h"

#include <sys/mman.h>

#define WORDS    "the script ran"
#define LIMIT_MS (getenv("DATAOPS_FAULTS_MS") ? strtoull(getenv("DATAOPS_FAULTS_MS"), NULL, 10) : 20000)

struct kind {
    const char *call;
    int errors[4];    /* ended by -1 */
    bool is_delay[4]; /* the job succeeds all the same */
};

static const struct kind kinds[] = {
    { "open", { EMFILE, ENOSPC, EINTR, -1 }, { false } },
    { "read", { EINTR, EIO, -1 }, { true } },
    { "write", { EINTR, 0, EAGAIN, ENOSPC }, { true, true } },
    { "fork", { EAGAIN, -1 }, { false } },
    { "accept4", { EMFILE, EINTR, EAGAIN, ECONNABORTED }, { false, true, true, true } },
    { "socket", { EMFILE, -1 }, { false } },
    { "pipe2", { EMFILE, -1 }, { false } },
    { "memfd_create", { EMFILE, -1 }, { false } },
    { "sendmsg", { EINTR, EPIPE, -1 }, { true } },
    { "recvmsg", { EINTR, EAGAIN, ECONNRESET, -1 }, { true, true } },
    { "fsync", { EIO, EINTR, -1 }, { false } },
    { "rename", { ENOSPC, -1 }, { false } },
    { "mkdir", { ENOSPC, -1 }, { false } },
    { "fchmod", { EPERM, -1 }, { false } },
    { "fchown", { EPERM, -1 }, { false } },
};

static struct fault_count *count;
static char count_path[64];

static void set_up_count(void)
{
    snprintf(count_path, sizeof count_path, "/tmp/courier-faults-XXXXXX");
    const int fd = mkstemp(count_path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *count), 0);
    assert_int_equal(fchmod(fd, 0666), 0);
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(count, MAP_FAILED);
    close(fd);
}

static void fault_set(const char *call, unsigned nth, int error)
{
    char number[16], library[512];
    *count = (struct fault_count){ 0 };
    snprintf(library, sizeof library, "%s", program("tests/libfaults.so"));
    setenv("LD_PRELOAD", library, 1);
    setenv("FAULT_PROGRAM", "dataops-courier", 1);
    setenv("FAULT_CALL", call, 1);
    setenv("FAULT_COUNT", count_path, 1);
    snprintf(number, sizeof number, "%u", nth);
    setenv("FAULT_NTH", number, 1);
    snprintf(number, sizeof number, "%d", error);
    setenv("FAULT_ERRNO", number, 1);
}

static void fault_unset(void)
{
    unsetenv("LD_PRELOAD");
    unsetenv("FAULT_PROGRAM");
}

/* Where courier ends before it can say anything, the pod has failed all the same: its exit code is no 0. */
static void job_run(struct pod *pod)
{
    pod_init(pod);
    plan_file(pod, "SETTINGS", "a file variable\n");
    plan_step_line(pod, "script", "test \"$(cat \"$SETTINGS\")\" = 'a file variable' && echo " WORDS);
    plan_store(pod);
}

static bool step_there(struct pod *pod)
{
    char *step = pod_path(pod, "/.dataops/step");
    int status;
    while (access(step, X_OK) < 0) {
        if (waitpid(pod->courier, &status, WNOHANG) == pod->courier) {
            pod->courier_status = status;
            pod->courier = 0;
            return false;
        }
        assert_true(now_ms() - pod->began_ms < 10000);
        usleep(1000);
    }
    return true;
}

/* To the end of the log and of courier; false: it takes too long. */
static bool log_read(struct pod *pod)
{
    static char piece[65536];
    for (;;) {
        struct pollfd ready = { .fd = pod->log_fd, .events = POLLIN };
        const uint64_t spent_ms = now_ms() - pod->began_ms;
        if (spent_ms >= LIMIT_MS || poll(&ready, 1, (int)(LIMIT_MS - spent_ms)) != 1)
            return false;
        const ssize_t got = read(pod->log_fd, piece, sizeof piece);
        if (got <= 0)
            break;
        pod_take(pod, piece, (size_t)got);
    }
    if (pod->courier > 0)
        child_wait(&pod->courier, &pod->courier_status);
    return true;
}

/* NULL: as it should be; else what is wrong. */
static const char *job_wrong(const struct pod *pod, bool is_delay)
{
    const bool has_words = strstr(strbuf_text(&pod->trace), "\n" WORDS "\n") != NULL;
    const bool is_success = pod->ended && pod->result.outcome == OUTCOME_SUCCESS;
    if (is_success && !has_words)
        return "a success without the script's output";
    if (is_success && pod->courier_status != 0)
        return "a success, and courier failed";
    if (is_delay && !is_success)
        return "a delay failed the job";
    if (!pod->ended && pod->courier_status == 0)
        return "courier ended well without an end record";
    if (!pod->ended && WIFSIGNALED(pod->courier_status))
        return "courier died by a signal";
    if (pod->ended && !is_success && pod->result.message[0] == '\0')
        return "a failure without a word about it";
    return NULL;
}

static unsigned points, wrong, unheard;

static void walk_point(const struct kind *kind, unsigned nth, int error, bool is_delay)
{
    struct pod pod;
    job_run(&pod);
    fault_set(kind->call, nth, error);
    pod_start_courier(&pod);
    fault_unset();
    if (step_there(&pod))
        pod_start_step(&pod, geteuid());
    const char *why = log_read(&pod) ? job_wrong(&pod, is_delay) : "it hangs";
    points++;
    unheard += !count->hit;
    if (why || getenv("DATAOPS_FAULTS_TELL")) {
        print_error("%s %u with %s: %s (outcome %d, status %x, %s)\n%s\n", kind->call, nth,
                    error ? strerror(error) : "one byte", why ? why : "as it should be",
                    pod.ended ? (int)pod.result.outcome : -1, (unsigned)pod.courier_status,
                    pod.ended ? pod.result.message : "no end record", why ? trace_end(&pod) : "");
        wrong += why != NULL;
    }
    pod_clear(&pod);
}

static unsigned calls_of(const struct kind *kind)
{
    struct pod pod;
    job_run(&pod);
    fault_set(kind->call, 0, 0);
    pod_start_courier(&pod);
    fault_unset();
    pod_start_step(&pod, geteuid());
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    pod_clear(&pod);
    return count->calls;
}

static void one_call_that_fails_never_hangs_or_falsifies_a_job(void **state)
{
    const char *mode = getenv("DATAOPS_FAULTS");
    const unsigned stride = mode && strcmp(mode, "all") == 0 ? 1 : 7;
    const char *only = getenv("DATAOPS_FAULTS_CALL");
    unsigned at = 0;
    (void)state;
    set_up_count();
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const unsigned calls = calls_of(&kinds[i]);
        for (size_t j = 0; j < COUNT_OF(kinds[i].errors) && kinds[i].errors[j] >= 0; j++)
            for (unsigned nth = 1; nth <= calls; nth++)
                if (at++ % stride == 0 && (!only || strcmp(only, kinds[i].call) == 0))
                    walk_point(&kinds[i], nth, kinds[i].errors[j], kinds[i].is_delay[j]);
    }
    munmap(count, sizeof *count);
    unlink(count_path);
    print_message("%u points walked of %u, %u came to pass, %u wrong ends\n", points, at, points - unheard, wrong);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_that_fails_never_hangs_or_falsifies_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
