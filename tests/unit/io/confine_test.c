/* Rules as kernels of each age can hold them; what they do to a child is told in child_test.c. */
#include "io/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#define ROUNDS 200

struct place {
    char folder[64], file[96], inner[96], other[96];
};

static int set_up(void **state)
{
    static struct place place;
    snprintf(place.folder, sizeof place.folder, "/tmp/confine-test-XXXXXX");
    if (!mkdtemp(place.folder))
        return -1;
    snprintf(place.file, sizeof place.file, "%s/file", place.folder);
    snprintf(place.other, sizeof place.other, "%s/folder/file", place.folder);
    *state = &place;
    const int fd = open(place.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    snprintf(place.inner, sizeof place.inner, "%s/folder", place.folder);
    return fd < 0 ? -1 : mkdir(place.inner, 0755);
}

static int tear_down(void **state)
{
    const struct place *place = *state;
    unlink(place->file);
    unlink(place->other);
    return rmdir(place->inner) < 0 || rmdir(place->folder) < 0 ? -1 : 0;
}

/* The exit code of work in a process under the rules of a kernel of that abi. */
static int confined(const struct confinement *confinement, int abi, const struct place *place,
                    int (*work)(const struct place *place))
{
    struct error error = ERROR_NONE;
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        const int rules = confine_rules(confinement, -1, abi, &error);
        if (rules < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confine_self(rules) < 0)
            _exit(99);
        _exit(work(place));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int read_it(const struct place *place)
{
    return open(place->file, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
}

static int empty_it(const struct place *place)
{
    return truncate(place->file, 0) == 0 ? 0 : errno;
}

static int move_it(const struct place *place)
{
    return rename(place->file, place->other) == 0 ? 0 : errno;
}

static int use_the_system(const struct place *place)
{
    (void)place;
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 && open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 &&
                   open("/dev/urandom", O_RDONLY | O_CLOEXEC) >= 0 && open("/usr/bin", O_RDONLY | O_CLOEXEC) >= 0
               ? 0
               : errno;
}

#define EACH_ABI(abi) for (int abi = 1; abi <= confine_abi(); abi++)

static void a_kernel_of_any_age_keeps_what_was_not_allowed(void **state)
{
    static const struct confinement nothing;
    EACH_ABI(abi)
    {
        assert_int_equal(confined(&nothing, abi, *state, read_it), EACCES);
        assert_int_equal(confined(&nothing, abi, *state, use_the_system), 0);
    }
}

static void and_gives_what_was(void **state)
{
    const struct place *place = *state;
    const struct confinement reads = { .places = { { place->folder, CONFINE_READ } } };
    EACH_ABI(abi)
    {
        assert_int_equal(confined(&reads, abi, place, read_it), 0);
        assert_int_equal(confined(&reads, abi, place, move_it), EACCES);
        assert_int_equal(confined(&reads, abi, place, empty_it), abi < 3 ? 0 : EACCES);
    }
}

static void files_move_between_folders_where_the_kernel_can_tell(void **state)
{
    const struct place *place = *state;
    const struct confinement all = { .places = { { place->folder, CONFINE_WRITE | CONFINE_REMOVE } } };
    EACH_ABI(abi)
    {
        assert_int_equal(confined(&all, abi, place, move_it), abi < 2 ? EXDEV : 0);
        rename(place->other, place->file);
    }
}

static void a_place_can_be_a_file_or_missing(void **state)
{
    const struct place *place = *state;
    const struct confinement file = { .places = { { "/no/such/place", CONFINE_READ },
                                                  { place->file, CONFINE_LIST | CONFINE_READ | CONFINE_REMOVE } } };
    EACH_ABI(abi)
    assert_int_equal(confined(&file, abi, place, read_it), 0);
}

/* Not a limit, a figure: it goes into the log of the tests. */
static void what_rules_cost(void **state)
{
    const struct place *place = *state;
    const struct confinement two = { .places = { { place->folder, CONFINE_READ }, { "/tmp", CONFINE_WRITE } } };
    struct timespec before, after;
    struct error error = ERROR_NONE;
    if (confine_abi() == 0)
        skip();
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const int rules = confine_rules(&two, -1, confine_abi(), &error);
        assert_true(rules >= 0);
        close(rules);
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    const double us = (double)(after.tv_sec - before.tv_sec) * 1e6 + (double)(after.tv_nsec - before.tv_nsec) / 1e3;
    print_message("[ NOTE ] rules of a child: %.0f us\n", us / ROUNDS);
    assert_true(us / ROUNDS < 20000);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_kernel_of_any_age_keeps_what_was_not_allowed),
        CASE(and_gives_what_was),
        CASE(files_move_between_folders_where_the_kernel_can_tell),
        CASE(a_place_can_be_a_file_or_missing),
        CASE(what_rules_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
