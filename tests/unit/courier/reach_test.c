/* A program of the job that was started as courier's child all the same: this program itself, in its mode "attack".
 * What it reaches is said line by line, under Landlock and on a kernel without it. */
#include "courier/pod.h"

#include "context.h"
#include "io/loop.h"
#include "job/plan.h"
#include "reach.h"
#include "relay.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/un.h>

#define OWN_ADDRESS "reach-test"

/* --- the attack --- */

static void say(const char *what, bool reached)
{
    printf("%s %s\n", what, reached ? "REACHED" : "refused");
    fflush(stdout);
}

static void try_open(const char *what, const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    say(what, fd >= 0);
    if (fd >= 0)
        close(fd);
}

static const char *below(const char *root, const char *path)
{
    static char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    return whole;
}

static void attack_files(const char *root)
{
    static const struct {
        const char *what, *path;
        int flags;
    } all[] = {
        { "plan", "/.dataops-plan/plan", O_RDONLY },
        { "plan-folder", "/.dataops-plan", O_RDONLY | O_DIRECTORY },
        { "order", "/.dataops-order/order", O_RDONLY },
        { "mask", "/.dataops-mask/secret", O_RDONLY },
        { "shared", "/.dataops", O_RDONLY | O_DIRECTORY },
        { "step", "/.dataops/step", O_WRONLY | O_CREAT },
        { "termination-log", "/dev/termination-log", O_WRONLY },
        { "termination-log-emptied", "/dev/termination-log", O_WRONLY | O_TRUNC },
        { "scratch-write", "/scratch/new", O_WRONLY | O_CREAT },
    };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        try_open(all[i].what, below(root, all[i].path), all[i].flags);
    try_open("program", "/usr/bin/env", O_WRONLY);
    try_open("kernel", "/proc/sys/kernel/hostname", O_RDONLY);
}

static void attack_courier(pid_t courier)
{
    static const char *const files[][2] = {
        { "courier-status", "status" }, { "courier-fds", "fd" },          { "courier-fd", "fd/0" },
        { "courier-mem", "mem" },       { "courier-environ", "environ" }, { "courier-maps", "maps" },
        { "courier-root", "root/etc" }, { "courier-cwd", "cwd/etc" },
    };
    char path[64], byte;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)courier, files[i][1]);
        try_open(files[i][0], path, O_RDONLY | O_NONBLOCK);
    }
    struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)&OWN_ADDRESS, 1 };
    say("courier-read", process_vm_readv(courier, &here, 1, &there, 1, 0) == 1);
    say("courier-ptrace", ptrace(PTRACE_SEIZE, courier, 0, 0) == 0);
    say("courier-signal", kill(courier, SIGURG) == 0); /* one that is ignored; the right is the same for all */
}

static void attack_sockets(unsigned port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0" OWN_ADDRESS };
    struct sockaddr_in server = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port) };
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int local = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const int remote = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    say("abstract", connect(local, (struct sockaddr *)&address,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof OWN_ADDRESS)) == 0);
    say("tcp", connect(remote, (struct sockaddr *)&server, sizeof server) == 0);
    say("tcp-listen", bind(own, (struct sockaddr *)&any, sizeof any) == 0);
}

static void attack_builds(const char *root)
{
    char from[512], to[512];
    static const char *const words[] = { "true", NULL };
    union {
        const char *const *kept;
        char *const *given;
    } arguments = { .kept = words };
    snprintf(from, sizeof from, "%s/builds/made", root);
    snprintf(to, sizeof to, "%s/builds/folder/moved", root);
    try_open("builds-read", below(root, "/builds/there"), O_RDONLY);
    try_open("builds-write", from, O_WRONLY | O_CREAT);
    mkdir(below(root, "/builds/folder"), 0777);
    say("builds-move", rename(from, to) == 0);
    say("builds-remove", unlink(below(root, "/builds/old")) == 0);
    say("builds-device", mknod(below(root, "/builds/fifo"), S_IFIFO | 0600, 0) == 0);
    try_open("scratch-read", below(root, "/scratch/key.pem"), O_RDONLY);
    execv(below(root, "/builds/evil"), arguments.given);
    say("builds-run", errno != EACCES);
}

static int attack(char **words)
{
    attack_files(words[0]);
    attack_courier((pid_t)strtol(words[1], NULL, 10));
    attack_sockets((unsigned)strtoul(words[2], NULL, 10));
    attack_builds(words[0]);
    say("attack", true);
    return 0;
}

/* Connects to the control socket as step does, and waits for what courier says to its hello. */
static int pretend(char **words)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const struct step_hello hello = { STEP_HELLO, STEP_PROTOCOL_VERSION, -1 };
    char answer[8];
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.dataops/socket", words[0]);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const bool said = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                      send(fd, &hello, sizeof hello, MSG_NOSIGNAL) > 0;
    say("control", said && recv(fd, answer, sizeof answer, 0) > 0);
    return 0;
}

/* --- the scene: this process is courier --- */

struct scene {
    char root[64];
    char *builds, *scratch;
    struct plan plan;
    struct context context;
    struct loop *loop;
    struct strbuf output;
    unsigned port;
    int abstract, server;
    bool ended;
};

/* Whose courier and whose job it is. */
enum shape { JOB_IS_ROOT, JOB_IS_1000, RESTRICTED };

static void took(void *owner, const char *bytes, size_t length)
{
    struct scene *scene = owner;
    strbuf_add(&scene->output, bytes, length);
}

static void child_over(void *owner, int status, bool timed_out UNUSED)
{
    struct scene *scene = owner;
    scene->ended = true;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the attacker ended with %x:\n%s", (unsigned)status, strbuf_text(&scene->output));
}

static const struct child_events child_events = { took, child_over };

static void make(const struct scene *scene, const char *path, mode_t mode, uid_t owner)
{
    const char *whole = below(scene->root, path);
    file_put_text(whole, "secret\n");
    assert_int_equal(chmod(whole, mode), 0);
    assert_int_equal(chown(whole, owner, owner), 0);
}

static void scene_fill(const struct scene *scene, uid_t courier, uid_t job)
{
    static const char *const folders[] = { "/.dataops", "/.dataops-plan", "/.dataops-order", "/.dataops-mask",
                                           "/dev",      "/builds",        "/scratch" };
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        assert_int_equal(mkdir(below(scene->root, folders[i]), 0755), 0);
        assert_int_equal(chmod(below(scene->root, folders[i]), 0777), 0);
    }
    make(scene, "/.dataops-plan/plan", 0400, courier);
    make(scene, "/.dataops-order/order", 0644, courier);
    make(scene, "/.dataops-mask/secret", 0644, courier);
    make(scene, "/dev/termination-log", 0666, 0);
    make(scene, "/builds/there", 0644, job);
    make(scene, "/builds/old", 0644, job);
    make(scene, "/builds/evil", 0755, job);
    make(scene, "/scratch/key.pem", 0600, job);
}

static void scene_listen(struct scene *scene)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0" OWN_ADDRESS };
    scene->abstract = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(scene->abstract, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof OWN_ADDRESS)),
                     0);
    assert_int_equal(listen(scene->abstract, 8), 0);
    scene->server = silent_server(&scene->port);
}

static void scene_open(struct scene *scene, enum shape shape, const char *root)
{
    const uid_t job = shape == JOB_IS_ROOT ? 0 : 1000, courier = shape == RESTRICTED ? 1000 : 0;
    *scene = (struct scene){ 0 };
    snprintf(scene->root, sizeof scene->root, "%s", root);
    scene_fill(scene, courier, job);
    scene_listen(scene);
    if (courier)
        assert_true(setgroups(0, NULL) == 0 && setgid(courier) == 0 && setuid(courier) == 0);
    scene->builds = mem_format("%s/builds", scene->root);
    scene->scratch = mem_format("%s/scratch", scene->root);
    scene->plan = (struct plan){ .builds_dir = scene->builds };
    scene->loop = loop_new();
    scene->context = (struct context){ .loop = scene->loop,
                                       .plan = &scene->plan,
                                       .scratch = scene->scratch,
                                       .program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC),
                                       .is_root = courier == 0,
                                       .user_known = true,
                                       .uid = job,
                                       .gid = job };
}

static void scene_close(struct scene *scene)
{
    close(scene->context.program_fd);
    close(scene->abstract);
    close(scene->server);
    strbuf_clear(&scene->output);
    mem_free(scene->builds);
    mem_free(scene->scratch);
    loop_free(scene->loop);
}

/* Runs this program in that mode as a child of that kind. */
static void scene_attack(struct scene *scene, enum child_kind kind, const char *mode)
{
    char courier[16], port[16];
    struct error error = ERROR_NONE;
    struct confinement reach;
    snprintf(courier, sizeof courier, "%d", (int)getpid());
    snprintf(port, sizeof port, "%u", scene->port);
    const char *const words[] = { "dataops-courier", mode, scene->root, courier, port, NULL };
    struct child_start start = {
        .argv = words, .program_fd = &scene->context.program_fd, .folder = "/", .output_fd = -1, .pass_fd = -1
    };
    scene->ended = false;
    reach_set(&scene->context, kind, &reach, &start);
    if (!child_start(scene->loop, &start, &child_events, scene, &error))
        fail_msg("%s", error.text);
    while (!scene->ended)
        loop_turn(scene->loop, 20);
}

static void reached(const struct scene *scene, const char *what, bool expected)
{
    char line[96];
    snprintf(line, sizeof line, "%s %s\n", what, expected ? "REACHED" : "refused");
    const char *found = strstr(strbuf_text(&scene->output), line);
    if (!found || (found > strbuf_text(&scene->output) && found[-1] != '\n'))
        fail_msg("not \"%.80s\" in:\n%s", line, strbuf_text(&scene->output));
}

static void in_shape(enum shape shape, void (*look)(struct scene *scene))
{
    char root[64] = "/tmp/reach-test-XXXXXX", command[128];
    int status;
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        struct scene scene;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        scene_open(&scene, shape, root);
        look(&scene);
        scene_close(&scene);
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
    assert_int_equal(status, 0);
}

/* --- what holds --- */

static const char *const never[] = {
    "plan",        "plan-folder",   "order",         "mask",        "shared",          "step",
    "kernel",      "scratch-write", "program",       "courier-mem", "courier-fd",      "courier-environ",
    "courier-cwd", "courier-maps",  "courier-root",  "abstract",    "courier-signal",  "courier-ptrace",
    "tcp-listen",  "courier-read",  "builds-device", "builds-run",  "termination-log", "termination-log-emptied",
};

static void only_the_volume(struct scene *scene, enum child_kind kind, bool can_read, bool can_write, bool can_remove)
{
    scene_attack(scene, kind, "attack");
    reached(scene, "attack", true);
    for (size_t i = 0; i < COUNT_OF(never); i++)
        reached(scene, never[i], false);
    reached(scene, "builds-read", can_read);
    reached(scene, "builds-write", can_write);
    reached(scene, "builds-move", can_write);
    reached(scene, "builds-remove", can_remove);
    reached(scene, "scratch-read", kind == CHILD_GIT);
    reached(scene, "tcp", kind == CHILD_GIT);
    strbuf_cut(&scene->output, 0);
}

/* Landlock alone: this courier could be dumped, and its uid is the job's. */
static void look_at_git(struct scene *scene)
{
    prctl(PR_SET_DUMPABLE, 1);
    only_the_volume(scene, CHILD_GIT, true, true, true);
}

static void look_at_pack(struct scene *scene)
{
    prctl(PR_SET_DUMPABLE, 1);
    only_the_volume(scene, CHILD_PACK, true, false, false);
}

static void look_at_unpack(struct scene *scene)
{
    prctl(PR_SET_DUMPABLE, 1);
    only_the_volume(scene, CHILD_UNPACK, true, true, true);
}

static void look_at_tidy(struct scene *scene)
{
    prctl(PR_SET_DUMPABLE, 1);
    only_the_volume(scene, CHILD_TIDY, true, true, true);
}

/* With all of courier's capabilities, which is what they are for. */
static void look_at_clear(struct scene *scene)
{
    prctl(PR_SET_DUMPABLE, 1);
    only_the_volume(scene, CHILD_CLEAR, false, false, true);
}

static bool is_possible(void)
{
    if (geteuid() == 0 && confine_abi() >= 6)
        return true;
    print_message("[ NOTE ] this case needs root and a kernel with Landlock of ABI 6\n");
    return false;
}

static void in_every_shape(void (*look)(struct scene *scene))
{
    if (!is_possible())
        skip();
    for (enum shape shape = JOB_IS_ROOT; shape <= RESTRICTED; shape++)
        in_shape(shape, look);
}

static void git_reaches_the_volume_and_its_keys_only(void **state)
{
    (void)state;
    in_every_shape(look_at_git);
}

static void packing_only_reads_the_volume(void **state)
{
    (void)state;
    in_every_shape(look_at_pack);
}

static void unpacking_reaches_the_volume_only(void **state)
{
    (void)state;
    in_every_shape(look_at_unpack);
}

static void tidying_works_in_the_volume_only(void **state)
{
    (void)state;
    in_every_shape(look_at_tidy);
}

static void clearing_only_removes_in_the_volume_whatever_its_rights(void **state)
{
    (void)state;
    in_every_shape(look_at_clear);
}

static void only_the_oldest_landlock_makes_exceptions(void **state)
{
    (void)state;
    for (enum child_kind kind = CHILD_GIT; kind <= CHILD_UNPACK; kind++) {
        assert_int_equal(reach_exception(kind, 1) != NULL,
                         kind == CHILD_LFS || kind == CHILD_TIDY || kind == CHILD_UNPACK);
        assert_null(reach_exception(kind, 2));
    }
}

/* --- what holds without Landlock --- */

static void look_without_landlock(struct scene *scene)
{
    static const char *const courier[] = { "courier-mem", "courier-environ", "courier-fd",     "courier-maps",
                                           "courier-cwd", "courier-root",    "courier-ptrace", "courier-read" };
    prctl(PR_SET_DUMPABLE, 0);
    without_system_call(SYS_landlock_create_ruleset);
    assert_int_equal(confine_abi(), 0);
    scene_attack(scene, CHILD_GIT, "attack");
    reached(scene, "attack", true);
    for (size_t i = 0; i < COUNT_OF(courier); i++)
        reached(scene, courier[i], false);
    /* who is courier's user and has no rules can read it (docs/design.md section 1) */
    reached(scene, "plan", scene->context.uid == 0 || !scene->context.is_root);
    reached(scene, "courier-signal", scene->context.uid == 0 || !scene->context.is_root);
    reached(scene, "termination-log", true);
}

static void without_landlock_courier_itself_stays_out_of_reach(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    for (enum shape shape = JOB_IS_ROOT; shape <= RESTRICTED; shape++)
        in_shape(shape, look_without_landlock);
}

/* --- the control socket --- */

static void greeted(void *owner, uid_t uid UNUSED, gid_t gid UNUSED)
{
    *(bool *)owner = true;
}

static void lost(void *owner UNUSED, const char *why UNUSED)
{
}

static void look_at_the_socket(struct scene *scene)
{
    static const struct relay_events events = { .connected = greeted, .lost = lost };
    struct error error = ERROR_NONE;
    bool is_taken = false;
    char *path = mem_format("%s/.dataops/socket", scene->root);
    struct relay *relay = relay_new(scene->loop, path, &events, &is_taken, &error);
    assert_non_null(relay);
    scene_attack(scene, CHILD_GIT, "pretend");
    reached(scene, "control", false);
    assert_false(is_taken);
    assert_int_equal(access(path, F_OK), 0); /* the true step still finds it */
    relay_free(relay);
    mem_free(path);
}

static void a_child_is_not_taken_for_the_build_container(void **state)
{
    (void)state;
    in_shape(geteuid() == 0 ? JOB_IS_1000 : JOB_IS_ROOT, look_at_the_socket);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(git_reaches_the_volume_and_its_keys_only),
        cmocka_unit_test(packing_only_reads_the_volume),
        cmocka_unit_test(unpacking_reaches_the_volume_only),
        cmocka_unit_test(tidying_works_in_the_volume_only),
        cmocka_unit_test(clearing_only_removes_in_the_volume_whatever_its_rights),
        cmocka_unit_test(only_the_oldest_landlock_makes_exceptions),
        cmocka_unit_test(without_landlock_courier_itself_stays_out_of_reach),
        cmocka_unit_test(a_child_is_not_taken_for_the_build_container),
    };
    signal(SIGURG, SIG_IGN);
    if (argc > 4 && strcmp(argv[1], "attack") == 0)
        return attack(argv + 2);
    if (argc > 4 && strcmp(argv[1], "pretend") == 0)
        return pretend(argv + 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
