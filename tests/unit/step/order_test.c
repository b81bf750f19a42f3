/* The order block: what is taken, and every way in which it can be wrong. */
#include "order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step/protocol.h"

/* A block: the head's numbers, and what stands behind the head. */
struct row {
    const char *name;
    uint32_t version, folder_bytes, entries, script_bytes;
    const char *body;
    size_t body_bytes;
};

#define BODY(text) text, sizeof(text) - 1

/* Parses the row as a block of exactly its size, so that the sanitizer sees any byte read too much. */
static int parse(struct order *order, const struct row *row, char **block)
{
    struct step_order head = { STEP_ORDER_MAGIC, row->version, row->folder_bytes, row->entries, row->script_bytes };
    *block = malloc(sizeof head + row->body_bytes);
    memcpy(*block, &head, sizeof head);
    memcpy(*block + sizeof head, row->body, row->body_bytes);
    return order_parse(order, *block, sizeof head + row->body_bytes);
}

static void a_block_comes_apart(void **state)
{
    (void)state;
    const struct row row = { "good", 1, 2, 3, 7, BODY("/b\0A=1\0B=\0C(D.E)==\0echo\0hi") };
    struct order order;
    char *block;
    assert_int_equal(parse(&order, &row, &block), 0);
    assert_string_equal(order.folder, "/b");
    assert_int_equal(order.entries_count, 3);
    assert_memory_equal(order.entries, "A=1\0B=\0C(D.E)==\0", 16);
    assert_int_equal(order.script_bytes, 7);
    assert_memory_equal(order.script, "echo\0hi", 7);
    free(block);
}

static void every_wrong_block_is_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "version", 2, 2, 0, 1, BODY("/b\0:") },
        { "nothing behind the head", 1, 0, 0, 0, BODY("") },
        { "folder without NUL", 1, 2, 0, 0, BODY("/b") },
        { "folder empty", 1, 0, 0, 1, BODY("\0:") },
        { "folder relative", 1, 1, 0, 1, BODY("b\0:") },
        { "folder shorter than said", 1, 3, 0, 1, BODY("/b\0:") },
        { "folder longer than said", 1, 1, 0, 1, BODY("/b\0:") },
        { "folder with a NUL in it", 1, 3, 0, 1, BODY("/\0b\0:") },
        { "folder length absurd", 1, UINT32_MAX, 0, 1, BODY("/b\0:") },
        { "entry without NUL", 1, 2, 1, 0, BODY("/b\0A=1") },
        { "entry missing", 1, 2, 2, 0, BODY("/b\0A=1\0") },
        { "entry without =", 1, 2, 1, 1, BODY("/b\0A\0:") },
        { "entry without name", 1, 2, 1, 1, BODY("/b\0=1\0:") },
        { "entry empty", 1, 2, 1, 1, BODY("/b\0\0:") },
        { "more entries than allowed", 1, 2, STEP_ORDER_MAX_ENTRIES + 1, 1, BODY("/b\0:") },
        { "script shorter than said", 1, 2, 0, 2, BODY("/b\0:") },
        { "script longer than said", 1, 2, 0, 1, BODY("/b\0::") },
        { "script length absurd", 1, 2, 0, UINT32_MAX, BODY("/b\0:") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct order order;
        char *block;
        if (parse(&order, &rows[i], &block) == 0)
            fail_msg("taken: %s", rows[i].name);
        free(block);
    }
}

static void so_many_entries_are_taken_and_not_one_more(void **state)
{
    (void)state;
    for (uint32_t entries = STEP_ORDER_MAX_ENTRIES; entries <= STEP_ORDER_MAX_ENTRIES + 1; entries++) {
        struct order order;
        char *block;
        char *body = calloc(entries + 1, 3);
        memcpy(body, "/b", 3);
        for (uint32_t i = 1; i <= entries; i++)
            memcpy(body + (size_t)3 * i, "A=", 3);
        const struct row row = { "many", 1, 2, entries, 0, body, (size_t)3 * (entries + 1) };
        assert_int_equal(parse(&order, &row, &block), entries > STEP_ORDER_MAX_ENTRIES ? -1 : 0);
        free(body);
        free(block);
    }
}

static void a_cut_or_unmarked_block_is_refused(void **state)
{
    (void)state;
    const struct row row = { "good", 1, 2, 2, 1, BODY("/b\0A=1\0B=\0:") };
    struct order order;
    char *block;
    assert_int_equal(parse(&order, &row, &block), 0);
    for (size_t bytes = 0; bytes < sizeof(struct step_order) + row.body_bytes; bytes++) {
        char *cut = malloc(bytes + 1);
        memcpy(cut, block, bytes);
        char *exact = realloc(cut, bytes ? bytes : 1);
        assert_int_equal(order_parse(&order, exact, bytes), -1);
        free(exact);
    }
    block[3] = 'X';
    assert_int_equal(order_parse(&order, block, sizeof(struct step_order) + row.body_bytes), -1);
    free(block);
}

static void the_environment_is_the_orders_and_the_rest_of_the_images(void **state)
{
    (void)state;
    const struct row row = { "good", 1, 2, 4, 0, BODY("/b\0PATH=/bin\0HOM=1\0HOME2=\0A=\0") };
    char path[] = "PATH=/usr/local/go/bin";
    char home[] = "HOME=/root";
    char odd[] = "odd";
    char *own[] = { path, home, odd, NULL };
    struct order order;
    char *block;
    assert_int_equal(parse(&order, &row, &block), 0);
    char **environment = order_environment(&order, own);
    assert_string_equal(environment[0], "PATH=/bin");
    assert_string_equal(environment[1], "HOM=1");
    assert_string_equal(environment[2], "HOME2=");
    assert_string_equal(environment[3], "A=");
    assert_ptr_equal(environment[4], home);
    assert_ptr_equal(environment[5], odd);
    assert_null(environment[6]);
    free(environment);
    free(block);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_apart),
        cmocka_unit_test(every_wrong_block_is_refused),
        cmocka_unit_test(so_many_entries_are_taken_and_not_one_more),
        cmocka_unit_test(a_cut_or_unmarked_block_is_refused),
        cmocka_unit_test(the_environment_is_the_orders_and_the_rest_of_the_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
