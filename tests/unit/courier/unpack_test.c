/* The child that unpacks, alone: what a hostile archive may take from the node, and which key the message names. */
#include "courier/pod.h"

#include <sys/resource.h>

#define MIB_KIB 1024 /* rusage counts KiB */

struct unpacking {
    struct pod pod;
    char archive[300];
    char *output; /* what it said */
    int status;
    long memory_kib; /* the most it had at once */
};

static void unpacking_init(struct unpacking *unpacking)
{
    *unpacking = (struct unpacking){ .status = -1 };
    pod_init(&unpacking->pod);
    snprintf(unpacking->archive, sizeof unpacking->archive, "%s/archive", unpacking->pod.root);
}

static void unpacking_clear(struct unpacking *unpacking)
{
    mem_free(unpacking->output);
    pod_clear(&unpacking->pod);
}

/* Writes an archive with Python; `g(name, ...)` appends one gzip member with a tar entry, as often as it is told. */
static void archive_make(const struct unpacking *unpacking, const char *script)
{
    struct strbuf command = STRBUF_EMPTY;
    strbuf_format(&command,
                  "python3 -c 'import gzip,io,sys,tarfile\nout=open(sys.argv[1],\"wb\")\n"
                  "def g(name,times=1,size=0,link=None,kind=None):\n"
                  " i=tarfile.TarInfo(name); i.size=size; i.mode=0o644\n"
                  " if link: i.type=tarfile.SYMTYPE; i.linkname=link\n"
                  " if kind: i.type=kind\n"
                  " one=gzip.compress(i.tobuf(tarfile.PAX_FORMAT)); [out.write(one) for _ in range(times)]\n"
                  "def zeros(mib):\n one=gzip.compress(bytes(8<<20),1); [out.write(one) for _ in range(mib//8)]\n"
                  "%s\nout.write(gzip.compress(bytes(1024)))' %s",
                  script, unpacking->archive);
    if (system(strbuf_text(&command)) != 0)
        fail_msg("%s", strbuf_text(&command));
    strbuf_clear(&command);
}

static _Noreturn void become_courier(const struct unpacking *unpacking, const int input[2], const int output[2])
{
    const char *path = program("dataops-courier");
    const int archive = open(unpacking->archive, O_RDONLY);
    dup2(input[0], 0);
    dup2(output[1], 1);
    dup2(output[1], 2);
    dup2(archive, 3);
    for (int fd = 4; fd < 64; fd++)
        close(fd);
    setenv("ASAN_OPTIONS", "quarantine_size_mb=4", 1); /* what was given back shall not count */
    execl(path, path, "--unpack", (char *)NULL);
    _exit(127);
}

/* Unpacks into the pod's project folder; limits: the JSON object of the request, "{}" for the defaults. */
static void unpack(struct unpacking *unpacking, const char *limits)
{
    int input[2], output[2];
    struct rusage used = { 0 };
    struct strbuf said = STRBUF_EMPTY;
    OWNED_TEXT char *request = mem_format("{\"builds_dir\":\"%s\",\"folder\":\"%s\",\"limits\":%s}",
                                          unpacking->pod.builds, unpacking->pod.project, limits);
    mkdir(pod_path(&unpacking->pod, "/builds/g"), 0755);
    mkdir(unpacking->pod.project, 0755);
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    const pid_t pid = fork();
    if (pid == 0)
        become_courier(unpacking, input, output);
    close(input[0]);
    close(output[1]);
    assert_int_equal(write(input[1], request, strlen(request)), strlen(request));
    close(input[1]);
    for (ssize_t got = 1; got > 0;) {
        char *room = strbuf_room(&said, 4096);
        got = read(output[0], room, 4096);
        strbuf_wrote(&said, got > 0 ? (size_t)got : 0);
    }
    close(output[0]);
    assert_int_equal(wait4(pid, &unpacking->status, 0, &used), pid);
    unpacking->memory_kib = used.ru_maxrss;
    mem_free(unpacking->output);
    unpacking->output = strbuf_take(&said, NULL);
    if (!unpacking->output)
        unpacking->output = mem_text("");
}

static void says(const struct unpacking *unpacking, const char *words)
{
    if (!strstr(unpacking->output, words))
        fail_msg("it did not say \"%s\" but: %.2000s", words, unpacking->output);
}

static void takes_less_than(const struct unpacking *unpacking, long mib)
{
    if (unpacking->memory_kib >= mib * MIB_KIB)
        fail_msg("it took %ld MiB", unpacking->memory_kib / MIB_KIB);
}

static void link_targets_that_no_path_can_have_are_not_kept(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "g(\"l\",4000,link=\"a\"*60000)\ng(\"good\",link=\"there\")");
    unpack(&unpacking, "{}");
    assert_int_equal(unpacking.status, 0);
    takes_less_than(&unpacking, 96);
    says(&unpacking, "WARNING: l: the link's target is longer than a path can be, left out");
    says(&unpacking, "3980 more entries had the like");
    char target[32] = "";
    OWNED_TEXT char *good = mem_format("%s/good", unpacking.pod.project);
    assert_int_equal(readlink(good, target, sizeof target - 1), 5);
    assert_string_equal(target, "there");
    unpacking_clear(&unpacking);
}

static void what_is_kept_until_the_end_has_a_ceiling(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "g(\"l\",20000,link=\"a\"*4000)");
    unpack(&unpacking, "{\"memory_bytes\":67108864}");
    assert_int_equal(WEXITSTATUS(unpacking.status), 1);
    takes_less_than(&unpacking, 96);
    says(&unpacking, "the names of its folders and links take more than 16 MiB: raise artifact_memory_limit in "
                     "[runners.kubernetes]");
    unpacking_clear(&unpacking);
}

static void folders_count_like_links(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "g(\"d\",2000,kind=tarfile.DIRTYPE)");
    unpack(&unpacking, "{\"memory_bytes\":400000}");
    assert_int_equal(WEXITSTATUS(unpacking.status), 1);
    says(&unpacking, "raise artifact_memory_limit");
    unpacking_clear(&unpacking);
}

static int64_t project_file_bytes(const struct unpacking *unpacking, const char *name)
{
    struct stat status = { 0 };
    OWNED_TEXT char *path = mem_format("%s/%s", unpacking->pod.project, name);
    return stat(path, &status) == 0 ? (int64_t)status.st_blocks * 512 : -1;
}

static void a_bomb_of_ten_gibibytes_is_stopped_at_the_ceiling(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "g(\"before\")\ng(\"bomb\",size=10<<30)\nzeros(10240)");
    unpack(&unpacking, "{\"unpacked_bytes\":104857600}");
    assert_int_equal(WEXITSTATUS(unpacking.status), 1);
    takes_less_than(&unpacking, 96);
    says(&unpacking, "its files have more than 100 MiB: raise artifact_unpacked_limit in [runners.kubernetes]");
    /* what came of it is no file of the job's, and takes no place */
    assert_int_equal(project_file_bytes(&unpacking, "before"), 0);
    assert_int_equal(project_file_bytes(&unpacking, "bomb"), -1);
    unpacking_clear(&unpacking);
}

static void many_files_have_one_ceiling_together(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "for n in range(5): g(\"f%d\" % n,size=8<<20); zeros(8)");
    unpack(&unpacking, "{\"unpacked_bytes\":41943040}");
    assert_int_equal(unpacking.status, 0);
    unpack(&unpacking, "{\"unpacked_bytes\":41943039}");
    assert_int_equal(WEXITSTATUS(unpacking.status), 1);
    says(&unpacking, "raise artifact_unpacked_limit");
    unpacking_clear(&unpacking);
}

static void more_than_a_gibibyte_may_not_come_out_of_next_to_nothing(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "g(\"bomb\",size=1200<<20)\nzeros(1200)");
    unpack(&unpacking, "{}");
    assert_int_equal(WEXITSTATUS(unpacking.status), 1);
    says(&unpacking, "its files have more than 200 times the size of the archive (");
    says(&unpacking, "raise artifact_ratio_limit in [runners.kubernetes] if that is right");
    unpacking_clear(&unpacking);
}

static void entries_are_counted(void **state)
{
    struct unpacking unpacking;
    (void)state;
    unpacking_init(&unpacking);
    archive_make(&unpacking, "g(\"f\",4)");
    unpack(&unpacking, "{\"entries\":4}");
    assert_int_equal(unpacking.status, 0);
    unpack(&unpacking, "{\"entries\":3}");
    assert_int_equal(WEXITSTATUS(unpacking.status), 1);
    says(&unpacking, "it has more than 3 entries: raise artifact_entries_limit in [runners.kubernetes]");
    unpacking_clear(&unpacking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(link_targets_that_no_path_can_have_are_not_kept),
        cmocka_unit_test(what_is_kept_until_the_end_has_a_ceiling),
        cmocka_unit_test(folders_count_like_links),
        cmocka_unit_test(a_bomb_of_ten_gibibytes_is_stopped_at_the_ceiling),
        cmocka_unit_test(many_files_have_one_ceiling_together),
        cmocka_unit_test(more_than_a_gibibyte_may_not_come_out_of_next_to_nothing),
        cmocka_unit_test(entries_are_counted),
    };
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
