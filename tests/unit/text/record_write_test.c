#include "text/record.h"
#include "text/gzip.h"
#include "text/soup.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

static void expect(const char *output, const char *records)
{
    struct record_writer writer;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY, expected = STRBUF_EMPTY;
    record_writer_init(&writer);
    record_put(&writer, output, strlen(output));
    assert_int_equal(record_pending(&writer), strlen(output));
    record_flush(&writer, &out);
    assert_int_equal(record_pending(&writer), 0);
    strbuf_format(&expected, "%s\033_Dm%zx,%08x\033\\\n", records, strlen(output), crc32_of(0, output, strlen(output)));
    assert_string_equal(strbuf_text(&out), strbuf_text(&expected));
    assert_int_equal(writer.file_bytes, out.length + RECORD_PREFIX);
    assert_int_equal(writer.offset, strlen(output));
    record_writer_clear(&writer);
}

static void text_stays_as_it_is_and_the_rest_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *output, *record;
    } rows[] = {
        { "hello\n", "hello" },
        { "one\ntwo\nthree\n", "one\033Etwo\033Ethree" },
        { "no end", "no end\033_Dn\033\\" },
        { "\n", "\033E\033_Dn\033\\" },
        { "\n\n", "\033E" },
        { "a\r\n", "a\033_Dx0d\033\\" },
        { "a\r\nb\n", "a\r\033Eb" },
        { "50%\r", "50%\r\033_Dn\033\\" },
        { "\033[32mgreen\033[0m\n", "\033[32mgreen\033[0m" },
        { "this line ends in ESC\033\n", "this line ends in ESC\033_Dx1b\033\\" },
        { "this output ends in ESC\033", "this output ends in ESC\033_Dx1b\033\\\033_Dn\033\\" },
        { "a forged \033Enew line\n", "a forged \033_Dx1b\033\\Enew line" },
        { "ESC before a line end\033\n.\n", "ESC before a line end\033\033E." },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(rows[i].output, rows[i].record);
}

static void a_job_cannot_forge_a_record(void **state)
{
    (void)state;
    expect("and so the job prints: \033_Dm4,00000000\033\\ and goes on\n",
           "and so the job prints: \033_Dx1b\033\\_Dm4,00000000\033_Dx1b\033\\\\ and goes on");
    expect("\033_De{}\033\\", "\033_DbG19EZXt9G1w=\033\\"); /* escaped it would be three times as long */
}

static void nothing_pending_writes_nothing(void **state)
{
    (void)state;
    struct record_writer writer;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    record_writer_init(&writer);
    record_put(&writer, "", 0);
    record_flush(&writer, &out);
    assert_int_equal(out.length, 0);
    record_heartbeat(&writer, &out);
    assert_string_equal(strbuf_text(&out), "\033_Dm0,00000000\033\\\n");
    record_writer_clear(&writer);
}

static void the_end_record_comes_after_everything(void **state)
{
    (void)state;
    struct record_writer writer;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    record_writer_init(&writer);
    record_put(&writer, "x\n", 2);
    assert_int_equal(record_end(&writer, "{\"a\":\n1}", &out), -1);
    assert_int_equal(record_end(&writer, "{\"\033\":1}", &out), -1);
    assert_int_equal(record_end(&writer, "[]", &out), -1);
    char longer[RECORD_END_MOST + 2];
    memset(longer, '{', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(record_end(&writer, longer, &out), -1);
    assert_int_equal(out.length, 0);
    assert_int_equal(record_end(&writer, "{\"v\":1}", &out), 0);
    assert_non_null(strstr(strbuf_text(&out), "x\033_Dm2,"));
    assert_string_equal(strbuf_text(&out) + out.length - 23, "\033_De84dbe73d,{\"v\":1}\033\\\n");
    record_writer_clear(&writer);
}

/* The size rules, for any output: records under 4 KiB, marks at least every 16 KiB, nothing grows by more than a third.
 */
static void check_sizes(const struct strbuf *output, const struct strbuf *out, uint64_t file_bytes)
{
    size_t records = 0, last_mark_at = 0;
    for (const char *at = out->bytes, *end = out->bytes + out->length; at < end; records++) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(lf);
        assert_true(lf + 1 - at <= RECORD_MOST);
        const char *mark = memmem(at, (size_t)(lf - at), "\033_Dm", 4);
        size_t offset = 0;
        if (mark && sscanf(mark, "\033_Dm%zx,", &offset) == 1) {
            assert_true(offset - last_mark_at <= RECORD_BATCH_MOST);
            last_mark_at = offset;
        }
        at = lf + 1;
    }
    assert_int_equal(last_mark_at, output->length);
    assert_int_equal(file_bytes, out->length + records * RECORD_PREFIX);
    assert_true(out->length <= output->length * 4 / 3 + records * 50);
    assert_true(records <= output->length / 1900 + 1);
}

static void sizes_hold_for_every_soup(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct record_writer writer;
        uint32_t random = seed;
        OWNED_STRBUF struct strbuf output = STRBUF_EMPTY, out = STRBUF_EMPTY;
        soup_add(&random, 100000, &output);
        strbuf_add_char(&output, '.');
        record_writer_init(&writer);
        record_put(&writer, output.bytes, output.length);
        record_flush(&writer, &out);
        check_sizes(&output, &out, writer.file_bytes);
        record_writer_clear(&writer);
    }
}

static void only_line_feeds_stay_readable_again(void **state)
{
    (void)state;
    struct record_writer writer;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    record_writer_init(&writer);
    char *room = strbuf_room(&writer.pending, 3 * MIB);
    memset(room, '\n', 3 * MIB);
    strbuf_wrote(&writer.pending, 3 * MIB);
    record_flush(&writer, &out);
    assert_true(writer.file_bytes < 5 * MIB);
    record_writer_clear(&writer);
}

/* As courier does it: what came in 20 ms, some KiB, is flushed together. */
static void short_lines_stay_readable_again(void **state)
{
    (void)state;
    struct record_writer writer;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    char line[16];
    record_writer_init(&writer);
    clock_t begin = clock();
    for (int i = 1; i <= 400000; i++) {
        record_put(&writer, line, (size_t)snprintf(line, sizeof(line), "%d\n", i));
        if (record_pending(&writer) >= 4096)
            record_flush(&writer, &out);
    }
    record_flush(&writer, &out);
    assert_int_equal(writer.offset, 2688895);
    assert_true(writer.file_bytes < 4 * MIB);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 10.0);
    assert_non_null(strstr(strbuf_text(&out), "123456\033E123457\033E"));
    record_writer_clear(&writer);
}

static void long_output_is_cut_at_line_ends(void **state)
{
    (void)state;
    struct record_writer writer;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    record_writer_init(&writer);
    for (int i = 0; i < 1000; i++)
        record_put(&writer, "a line of ordinary output of a compiler\n", 40);
    record_flush(&writer, &out);
    assert_null(strstr(strbuf_text(&out), "\033_Dn"));
    assert_null(strstr(strbuf_text(&out), "\033_Db"));
    assert_null(strstr(strbuf_text(&out), "\033_Dx"));
    record_writer_clear(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_as_it_is_and_the_rest_is_escaped),
        cmocka_unit_test(a_job_cannot_forge_a_record),
        cmocka_unit_test(nothing_pending_writes_nothing),
        cmocka_unit_test(the_end_record_comes_after_everything),
        cmocka_unit_test(sizes_hold_for_every_soup),
        cmocka_unit_test(only_line_feeds_stay_readable_again),
        cmocka_unit_test(short_lines_stay_readable_again),
        cmocka_unit_test(long_output_is_cut_at_line_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
