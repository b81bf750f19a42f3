/* Help as people see it, compared with the texts in help/. HELP_WRITE=1 writes them anew. */
#include "command.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *golden_path(const char *name)
{
    const char *folder = getenv("DATAOPS_TESTS");

    return mem_format("%s/unit/cli/help/%s.txt", folder != NULL ? folder : ".", name);
}

static void check(const char *name, const struct strbuf *text)
{
    OWNED_TEXT char *path = golden_path(name);
    OWNED_STRBUF struct strbuf expected = STRBUF_EMPTY;
    bool writes = getenv("HELP_WRITE") != NULL;
    FILE *file = fopen(path, writes ? "w" : "r");

    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    if (writes) {
        fputs(strbuf_text(text), file);
    } else {
        char *room = strbuf_room(&expected, 64 * KIB);
        strbuf_wrote(&expected, fread(room, 1, 64 * KIB, file));
    }
    fclose(file);
    if (!writes)
        assert_string_equal(strbuf_text(text), strbuf_text(&expected));
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i] != NULL; i++) {
        OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

        help_command(commands[i], &text);
        check(commands[i]->name, &text);
    }
}

static void the_program_lists_its_commands(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    help_program(&text);
    check("program", &text);
}

static void every_command_has_two_examples_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i] != NULL; i++) {
        OWNED_TEXT char *own = mem_format("  dataops-runner %s", commands[i]->name);
        const char *first = strstr(commands[i]->examples, own);

        assert_non_null(first);
        assert_non_null(strstr(first + 1, own));
    }
}

static void no_line_is_wider_than_a_terminal_of_120(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i] != NULL; i++) {
        OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

        help_command(commands[i], &text);
        for (const char *line = strbuf_text(&text); *line != '\0'; line += strcspn(line, "\n") + 1)
            assert_true(strcspn(line, "\n") <= 120);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(the_program_lists_its_commands),
        cmocka_unit_test(every_command_has_two_examples_of_its_own),
        cmocka_unit_test(no_line_is_wider_than_a_terminal_of_120),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
