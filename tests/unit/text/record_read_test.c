#include "text/record.h"
#include "text/gzip.h"
#include "text/soup.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#define END_JSON "{\"v\":1,\"result\":\"success\"}"

/* A job's output, the log that courier wrote of it, and a reader with what it gave away (its place in the output). */
struct trial {
    struct strbuf output, log;
    struct record_reader reader;
    char *seen; /* one byte for each byte of output: 1 when given away */
    unsigned ends, broken;
};

static void trial_begin(struct trial *trial, uint32_t *seed, size_t most_bytes)
{
    struct record_writer writer;
    *trial = (struct trial){ 0 };
    record_writer_init(&writer);
    soup_add(seed, most_bytes, &trial->output);
    for (size_t at = 0; at < trial->output.length;) {
        size_t count = soup_random(seed) % (soup_random(seed) % 4 ? 200 : 20000) + 1;
        if (count > trial->output.length - at)
            count = trial->output.length - at;
        record_put(&writer, trial->output.bytes + at, count);
        at += count;
        if (soup_random(seed) % 2)
            record_flush(&writer, &trial->log);
        if (soup_random(seed) % 10 == 0 && record_pending(&writer) == 0)
            record_heartbeat(&writer, &trial->log);
    }
    assert_int_equal(record_end(&writer, END_JSON, &trial->log), 0);
    assert_int_equal(writer.crc, crc32_of(0, strbuf_text(&trial->output), trial->output.length));
    record_writer_clear(&writer);
    record_reader_init(&trial->reader, 0);
    trial->seen = mem_new(trial->output.length + 1);
}

static void trial_end(struct trial *trial)
{
    strbuf_clear(&trial->output);
    strbuf_clear(&trial->log);
    record_reader_clear(&trial->reader);
    mem_free(trial->seen);
}

/* Takes what is committed; every byte must be the output's, at its place, and given away once. */
static void trial_take(struct trial *trial)
{
    struct strbuf *committed = &trial->reader.committed;
    uint64_t at = record_committed_at(&trial->reader);
    assert_true(at + committed->length <= trial->output.length);
    if (committed->length > 0)
        assert_memory_equal(committed->bytes, trial->output.bytes + at, committed->length);
    for (size_t i = 0; i < committed->length; i++) {
        if (trial->seen[at + i]++)
            fail_msg("byte %zu was given away twice", (size_t)at + i);
    }
    strbuf_drop(committed, committed->length);
}

/* Feeds one read of the log, in pieces of random size; stops when the reader says broken. */
static void trial_feed(struct trial *trial, const char *bytes, size_t length, uint32_t *seed)
{
    size_t most_piece = soup_random(seed) % 3 ? 5000 : 7;
    while (length > 0) {
        size_t piece = soup_random(seed) % most_piece + 1, used = 0;
        piece = piece < length ? piece : length;
        enum record_news news;
        while ((news = record_feed(&trial->reader, bytes, piece, &used)) != RECORD_NOTHING) {
            trial_take(trial);
            if (news == RECORD_BROKEN) {
                trial->broken++;
                return;
            }
            if (news == RECORD_ENDED) {
                assert_string_equal(strbuf_text(&trial->reader.end), END_JSON);
                trial->ends++;
            }
        }
        assert_int_equal(used, piece);
        bytes += piece;
        length -= piece;
    }
}

static size_t trial_seen(const struct trial *trial)
{
    size_t count = 0;
    for (size_t i = 0; i < trial->output.length; i++)
        count += (size_t)trial->seen[i];
    return count;
}

static void expect_whole(const struct trial *trial)
{
    assert_int_equal(trial_seen(trial), trial->output.length);
    assert_int_equal(trial->reader.known_at, trial->output.length);
    assert_int_equal(trial->reader.known_crc, crc32_of(0, strbuf_text(&trial->output), trial->output.length));
    assert_int_equal(trial->reader.hole_bytes, 0);
}

/* containerd removes one CR before each LF. */
static void eat_carriage_returns(struct strbuf *log)
{
    size_t to = 0;
    for (size_t i = 0; i < log->length; i++) {
        if (!(log->bytes[i] == '\r' && i + 1 < log->length && log->bytes[i + 1] == '\n'))
            log->bytes[to++] = log->bytes[i];
    }
    strbuf_cut(log, to);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct trial trial;
        uint32_t random = seed;
        trial_begin(&trial, &random, 60000);
        if (seed % 2)
            eat_carriage_returns(&trial.log);
        trial_feed(&trial, trial.log.bytes, trial.log.length, &random);
        assert_int_equal(trial.broken, 0);
        assert_int_equal(trial.ends, 1);
        assert_int_equal(trial.reader.foreign_lines, 0);
        expect_whole(&trial);
        trial_end(&trial);
    }
}

static void reading_goes_on_at_any_offset(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct trial trial;
        uint32_t random = seed;
        trial_begin(&trial, &random, 60000);
        uint64_t wanted = soup_random(&random) % (trial.output.length + 1);
        record_reader_clear(&trial.reader);
        record_reader_init(&trial.reader, wanted);
        assert_int_equal(record_committed_at(&trial.reader), wanted);
        trial_feed(&trial, trial.log.bytes, trial.log.length, &random);
        assert_int_equal(trial.broken, 0);
        assert_int_equal(trial_seen(&trial), trial.output.length - wanted);
        assert_int_equal(trial.reader.known_at, trial.output.length);
        trial_end(&trial);
    }
}

static const char *after_line(const struct strbuf *log, const char *at)
{
    const char *lf = memchr(at, '\n', (size_t)(log->bytes + log->length - at));
    return lf ? lf + 1 : at;
}

/* One thing that may happen to the bytes of a log. */
static void damage(struct strbuf *log, uint32_t *seed)
{
    static const char foreign[] = "failed to try resolving symlinks in path \"/var/log/pods\": no such file\n";
    size_t at = soup_random(seed) % log->length;
    const char *line = after_line(log, log->bytes + at), *end = after_line(log, line);
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    size_t head = at, tail = at; /* the log up to head, then something, then the log from tail */

    switch (soup_random(seed) % 8) {
    case 0: /* a byte replaced */
        log->bytes[at] = (char)(log->bytes[at] ^ (char)(1 + soup_random(seed) % 255));
        return;
    case 1: /* a byte dropped */
        tail = at + 1;
        break;
    case 2: /* a byte doubled */
        head = at + 1;
        break;
    case 3: /* a line dropped */
        head = (size_t)(line - log->bytes);
        tail = (size_t)(end - log->bytes);
        break;
    case 4: /* a line doubled */
        head = (size_t)(end - log->bytes);
        tail = (size_t)(line - log->bytes);
        break;
    case 5: /* two lines glued */
        head = (size_t)(line - log->bytes) - 1;
        tail = head + 1;
        break;
    case 6: /* torn: some bytes lost in the middle */
        tail = at + 1 + soup_random(seed) % (log->length - at);
        break;
    default:
        head = tail = soup_random(seed) % 2 ? at : (size_t)(line - log->bytes);
        break;
    }
    strbuf_add(&out, log->bytes, head);
    if (head == tail)
        strbuf_add_text(&out, foreign);
    strbuf_add(&out, log->bytes + tail, log->length - tail);
    strbuf_cut(log, 0);
    strbuf_add(log, out.bytes, out.length);
}

static void damage_is_never_given_away_and_is_repaired(void **state)
{
    (void)state;
    unsigned broken = 0;
    for (uint32_t seed = 1; seed <= 1500; seed++) {
        struct trial trial;
        uint32_t random = seed;
        trial_begin(&trial, &random, 8000);
        OWNED_STRBUF struct strbuf bad = STRBUF_EMPTY;
        strbuf_add(&bad, trial.log.bytes, trial.log.length);
        damage(&bad, &random);
        trial_feed(&trial, bad.bytes, bad.length, &random);
        broken += trial.broken;
        record_reader_restart(&trial.reader, true);
        trial.broken = trial.ends = 0;
        trial_feed(&trial, trial.log.bytes, trial.log.length, &random);
        assert_int_equal(trial.broken, 0);
        assert_int_equal(trial.ends, 1);
        expect_whole(&trial);
        trial_end(&trial);
    }
    assert_true(broken > 500); /* the damage was real */
}

static void every_single_byte_is_guarded(void **state)
{
    (void)state;
    uint32_t random = 11;
    struct trial trial;
    do
        trial_begin(&trial, &random, 1500);
    while (trial.log.length < 1500 && (trial_end(&trial), true));
    for (size_t at = 0; at < trial.log.length; at++) {
        for (int bit = 0; bit < 8; bit++) {
            OWNED_STRBUF struct strbuf bad = STRBUF_EMPTY;
            strbuf_add(&bad, trial.log.bytes, trial.log.length);
            bad.bytes[at] = (char)(bad.bytes[at] ^ 1 << bit);
            memset(trial.seen, 0, trial.output.length);
            record_reader_clear(&trial.reader);
            record_reader_init(&trial.reader, 0);
            size_t used = 0;
            while (record_feed(&trial.reader, bad.bytes, bad.length, &used) != RECORD_NOTHING && !trial.reader.broken)
                trial_take(&trial);
            trial_take(&trial);
        }
    }
    trial_end(&trial);
}

static void damage_that_stays_becomes_a_hole_of_known_size(void **state)
{
    (void)state;
    unsigned holes = 0;
    for (uint32_t seed = 1; seed <= 1000; seed++) {
        struct trial trial;
        uint32_t random = seed;
        trial_begin(&trial, &random, 30000);
        OWNED_STRBUF struct strbuf bad = STRBUF_EMPTY;
        strbuf_add(&bad, trial.log.bytes, trial.log.length);
        damage(&bad, &random);
        for (int i = 0; i < 20 && trial.ends == 0; i++) {
            if (i > 2)
                record_reader_accept_hole(&trial.reader);
            record_reader_restart(&trial.reader, i % 2 == 0);
            trial_feed(&trial, bad.bytes, bad.length, &random);
        }
        assert_int_equal(trial_seen(&trial) + trial.reader.hole_bytes, trial.reader.wanted);
        holes += trial.reader.hole_bytes > 0;
        trial_end(&trial);
    }
    assert_true(holes > 250);
}

/* The connection breaks anywhere, any number of times; the next read begins anywhere at or before what we have. */
static void reconnects_lose_and_repeat_nothing(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 500; seed++) {
        struct trial trial;
        uint32_t random = seed;
        trial_begin(&trial, &random, 60000);
        size_t from = 0;
        for (int i = 0; i < 8; i++) {
            size_t to = from + soup_random(&random) % (trial.log.length - from + 1);
            trial_feed(&trial, trial.log.bytes + from, to - from, &random);
            assert_int_equal(trial.broken, 0);
            /* sinceTime gives whole lines, a torn file does not; both begin before the newest mark */
            size_t proven = 0, known = (size_t)trial.reader.known_at;
            OWNED_STRBUF struct strbuf mark = STRBUF_EMPTY;
            strbuf_format(&mark, "\033_Dm%zx,%08x\033\\\n", known, trial.reader.known_crc);
            const char *at = memmem(trial.log.bytes, trial.log.length, mark.bytes, mark.length);
            proven = at ? (size_t)(at - trial.log.bytes) : 0;
            from = proven > 0 ? soup_random(&random) % proven : 0;
            record_reader_restart(&trial.reader, from == 0);
        }
        trial_feed(&trial, trial.log.bytes + from, trial.log.length - from, &random);
        assert_int_equal(trial.broken, 0);
        expect_whole(&trial);
        trial_end(&trial);
    }
}

/* Adoption after a rotation: byte 0 is gone, DataOps has everything up to an offset of its own. */
static void a_rotated_log_goes_on_where_it_can(void **state)
{
    (void)state;
    unsigned whole = 0;
    for (uint32_t seed = 1; seed <= 500; seed++) {
        struct trial trial;
        uint32_t random = seed;
        trial_begin(&trial, &random, 100000);
        uint64_t wanted = soup_random(&random) % (trial.output.length + 1);
        size_t cut = soup_random(&random) % (trial.log.length / 2 + 1);
        record_reader_clear(&trial.reader);
        record_reader_init(&trial.reader, wanted);
        if (seed % 2)
            record_reader_restart(&trial.reader, false);
        trial_feed(&trial, trial.log.bytes + cut, trial.log.length - cut, &random);
        if (trial.broken > 0) {
            record_reader_accept_hole(&trial.reader);
            record_reader_restart(&trial.reader, false);
            trial_feed(&trial, trial.log.bytes + cut, trial.log.length - cut, &random);
        }
        whole += trial.reader.hole_bytes == 0;
        /* without a second mark the rest stays unproven, else all is seen or counted */
        assert_int_equal(trial_seen(&trial) + trial.reader.hole_bytes, trial.reader.wanted - wanted);
        assert_int_equal(trial.ends, 1);
        trial_end(&trial);
    }
    assert_true(whole > 100 && whole < 450);
}

static enum record_news feed_text(struct record_reader *reader, const char *text)
{
    size_t used = 0;
    return record_feed(reader, text, strlen(text), &used);
}

static void grammar_is_strict(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum record_news news;
    } rows[] = {
        { "a\033Eb\n", RECORD_NOTHING },
        { "colour \033[0m\n", RECORD_NOTHING },
        { "\033_Dm0,00000000\033\\\n", RECORD_NOTHING },
        { "\033_Dn\033\\\033_Dm0,00000000\033\\\n", RECORD_NOTHING },
        { "\033_Db\033\\\033_Dm0,00000000\033\\\n", RECORD_NOTHING },
        { "stray end \033\\\n", RECORD_BROKEN },
        { "ESC at the end\033\n", RECORD_BROKEN },
        { "open \033_Dx0d\n", RECORD_BROKEN },
        { "open \033_Dx0d\033\n", RECORD_BROKEN },
        { "other string \033_Xx0d\033\\\n", RECORD_BROKEN },
        { "no kind \033_D\033\\\n", RECORD_BROKEN },
        { "nothing \033_\033\\\n", RECORD_BROKEN },
        { "kind \033_Dz\033\\\n", RECORD_BROKEN },
        { "hex \033_Dx\033\\\n", RECORD_BROKEN },
        { "hex \033_Dx0\033\\\n", RECORD_BROKEN },
        { "hex \033_Dx0D\033\\\n", RECORD_BROKEN },
        { "after n \033_Dn\033\\text\n", RECORD_BROKEN },
        { "after n \033_Dn\033\\\033E\n", RECORD_BROKEN },
        { "twice \033_Dn\033\\\033_Dn\033\\\n", RECORD_BROKEN },
        { "n \033_Dnn\033\\\n", RECORD_BROKEN },
        { "late \033_DbYQ==\033\\\n", RECORD_BROKEN },
        { "\033_DbYQ=\033\\\n", RECORD_BROKEN },
        { "\033_DbYQ==\033\\x\n", RECORD_BROKEN },
        { "\033_Dm0,00000000\033\\x\n", RECORD_BROKEN },
        { "\033_Dm0,00000000\033\\\033_Dm0,00000000\033\\\n", RECORD_BROKEN },
        { "\033_Dm00,00000000\033\\\n", RECORD_BROKEN },
        { "\033_Dm,00000000\033\\\n", RECORD_BROKEN },
        { "\033_Dm0,0000000\033\\\n", RECORD_BROKEN },
        { "\033_Dm10000000000000000,00000000\033\\\n", RECORD_BROKEN },
        { "\033_Dm20000000000000,00000000\033\\\n", RECORD_BROKEN },
        { "\033_Dm0,00000001\033\\\n", RECORD_BROKEN },
        { "\033_De{\"v\":1}\033\\\n", RECORD_BROKEN },
        { "\033_De84dbe73d,{\"v\":1\033\\\n", RECORD_BROKEN },
        { "\033_De84dbe73d,{\"v\":1}\n", RECORD_BROKEN },
        { "\033_De\033\\\n", RECORD_BROKEN },
        { "\033_De00000000\033\\\n", RECORD_BROKEN },
        { "\033_De84dbe73d,{\"v\":1}\033\\\n", RECORD_ENDED },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record_reader reader;
        record_reader_init(&reader, 0);
        if (feed_text(&reader, rows[i].line) != rows[i].news)
            fail_msg("row %zu: %s", i, rows[i].line);
        record_reader_clear(&reader);
    }
}

static void a_mark_commits_what_stands_before_it(void **state)
{
    (void)state;
    struct record_reader reader;
    record_reader_init(&reader, 0);
    assert_int_equal(feed_text(&reader, "123456789"), RECORD_NOTHING);
    assert_int_equal(reader.committed.length, 0);
    assert_int_equal(feed_text(&reader, "\033_Dn\033\\\033_Dm9,cbf43926\033\\"), RECORD_NOTHING);
    assert_int_equal(feed_text(&reader, "\n"), RECORD_COMMITTED);
    assert_string_equal(strbuf_text(&reader.committed), "123456789");
    assert_int_equal(feed_text(&reader, "kubelet's own error, never marked\n"), RECORD_NOTHING);
    assert_string_equal(strbuf_text(&reader.committed), "123456789");
    assert_int_equal(feed_text(&reader, "\033_Dm9,cbf43926\033\\\n"),
                     RECORD_NOTHING);  /* no more than we have: goes on */
    assert_int_equal(reader.marks, 1); /* and proves nothing new */
    assert_int_equal(feed_text(&reader, "\033_Dm9,cbf43926\033\\\n"), RECORD_NOTHING); /* a heartbeat does */
    assert_int_equal(reader.marks, 2);
    assert_int_equal(feed_text(&reader, "again\n\033_Dm9,cbf43927\033\\\n"), RECORD_BROKEN);
    assert_int_equal(feed_text(&reader, "\033_Dea3a6bf43,{}\033\\\n"), RECORD_NOTHING); /* not before a restart */
    assert_false(reader.ended);
    record_reader_clear(&reader);
}

/* "one\n" lies before the mark at 4, "two\n" before 8, "three\n" before e. */
#define ONE   "one\033_Dm4,f817a89f\033\\\n"
#define TWO   "two\033_Dm8,12ba0be6\033\\\n"
#define THREE "three\033_Dme,25e6d5b6\033\\\n"

static void a_hole_is_accepted_once(void **state)
{
    (void)state;
    struct record_reader reader;
    record_reader_init(&reader, 0);
    record_reader_accept_hole(&reader);
    assert_int_equal(feed_text(&reader, TWO), RECORD_NOTHING); /* one mark alone proves no hole */
    assert_int_equal(reader.hole_bytes, 0);
    assert_int_equal(feed_text(&reader, THREE), RECORD_COMMITTED);
    assert_int_equal(reader.hole_bytes, 8);
    assert_int_equal(record_committed_at(&reader), 8);
    assert_string_equal(strbuf_text(&reader.committed), "three\n");
    assert_int_equal(feed_text(&reader, "\033_Dm20,00000000\033\\\n"), RECORD_BROKEN);
    record_reader_clear(&reader);
}

static void an_offset_that_no_log_has_is_no_mark(void **state)
{
    (void)state;
    static const char *const lines[] = { "\033_Dmffffffffffffffff,00000000\033\\\n",
                                         "\033_Dm20000000000001,00000000\033\\\n" };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct record_reader reader;
        record_reader_init(&reader, 0);
        assert_int_equal(feed_text(&reader, ONE), RECORD_COMMITTED);
        strbuf_cut(&reader.committed, 0);
        record_reader_accept_hole(&reader);
        record_reader_restart(&reader, false);
        assert_int_equal(feed_text(&reader, lines[i]), RECORD_NOTHING);
        assert_int_equal(reader.batch_at, 0);
        /* a hole that begins there would be 18446744073709551611 bytes long */
        assert_int_equal(feed_text(&reader, TWO), RECORD_NOTHING);
        assert_int_equal(feed_text(&reader, THREE), RECORD_COMMITTED);
        assert_int_equal(reader.hole_bytes, 4);
        record_reader_clear(&reader);
    }
}

static void a_hole_waits_until_the_rest_was_taken(void **state)
{
    (void)state;
    struct record_reader reader;
    record_reader_init(&reader, 0);
    assert_int_equal(feed_text(&reader, ONE), RECORD_COMMITTED);
    for (int taken = 0; taken < 2; taken++) {
        record_reader_accept_hole(&reader);
        record_reader_restart(&reader, false);
        assert_int_equal(feed_text(&reader, TWO), RECORD_NOTHING);
        assert_int_equal(feed_text(&reader, THREE), taken ? RECORD_COMMITTED : RECORD_BROKEN);
        assert_int_equal(record_committed_at(&reader), taken ? 8 : 0);
        strbuf_drop(&reader.committed, 4);
    }
    assert_int_equal(reader.hole_bytes, 4);
    record_reader_clear(&reader);
}

static void damage_is_harmless_where_nobody_waits(void **state)
{
    (void)state;
    struct record_reader reader;
    record_reader_init(&reader, 8);
    assert_int_equal(feed_text(&reader, "torn \033\\\n" TWO), RECORD_NOTHING);
    assert_int_equal(reader.foreign_lines, 1);
    assert_int_equal(feed_text(&reader, THREE), RECORD_COMMITTED);
    assert_int_equal(feed_text(&reader, "torn \033\\\n"), RECORD_BROKEN);
    record_reader_clear(&reader);
}

static void lines_without_an_end_do_not_fill_the_memory(void **state)
{
    (void)state;
    struct record_reader reader;
    char block[4096];
    memset(block, 'x', sizeof(block));
    for (int synced = 0; synced < 2; synced++) {
        record_reader_init(&reader, 0);
        record_reader_restart(&reader, synced);
        for (int i = 0; i < 1000; i++) {
            size_t used = 0;
            enum record_news news = record_feed(&reader, block, sizeof(block), &used);
            assert_int_equal(news, synced && i == 0 ? RECORD_BROKEN : RECORD_NOTHING);
        }
        assert_true(reader.line.capacity <= 3 * RECORD_MOST);
        assert_int_equal(reader.foreign_lines, synced ? 0 : 1);
        assert_int_equal(feed_text(&reader, "\n\033_Dea3a6bf43,{}\033\\\n"), synced ? RECORD_NOTHING : RECORD_ENDED);
        record_reader_clear(&reader);
    }
}

static void output_without_marks_does_not_fill_the_memory(void **state)
{
    (void)state;
    struct record_reader reader;
    char line[1025];
    enum record_news news = RECORD_NOTHING;
    memset(line, 'x', 1024);
    line[1023] = '\n';
    line[1024] = '\0';
    record_reader_init(&reader, 0);
    for (int i = 0; i < 1100 && news == RECORD_NOTHING; i++)
        news = feed_text(&reader, line);
    assert_int_equal(news, RECORD_BROKEN);
    assert_true(reader.batch.capacity <= MIB + 1);
    record_reader_clear(&reader);
}

static void large_logs_are_read_in_linear_time(void **state)
{
    (void)state;
    struct record_writer writer;
    struct record_reader reader;
    OWNED_STRBUF struct strbuf log = STRBUF_EMPTY;
    record_writer_init(&writer);
    record_reader_init(&reader, 0);
    for (int i = 0; i < 200000; i++) {
        record_put(&writer, "some twenty bytes..\n", 20);
        if (i % 200 == 0)
            record_flush(&writer, &log);
    }
    record_flush(&writer, &log);
    clock_t begin = clock();
    size_t used = 0;
    while (record_feed(&reader, log.bytes, log.length, &used) != RECORD_NOTHING)
        ;
    assert_int_equal(reader.committed.length, 4000000);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0);
    record_writer_clear(&writer);
    record_reader_clear(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(reading_goes_on_at_any_offset),
        cmocka_unit_test(damage_is_never_given_away_and_is_repaired),
        cmocka_unit_test(every_single_byte_is_guarded),
        cmocka_unit_test(damage_that_stays_becomes_a_hole_of_known_size),
        cmocka_unit_test(reconnects_lose_and_repeat_nothing),
        cmocka_unit_test(a_rotated_log_goes_on_where_it_can),
        cmocka_unit_test(grammar_is_strict),
        cmocka_unit_test(a_mark_commits_what_stands_before_it),
        cmocka_unit_test(a_hole_is_accepted_once),
        cmocka_unit_test(an_offset_that_no_log_has_is_no_mark),
        cmocka_unit_test(a_hole_waits_until_the_rest_was_taken),
        cmocka_unit_test(damage_is_harmless_where_nobody_waits),
        cmocka_unit_test(lines_without_an_end_do_not_fill_the_memory),
        cmocka_unit_test(output_without_marks_does_not_fill_the_memory),
        cmocka_unit_test(large_logs_are_read_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
