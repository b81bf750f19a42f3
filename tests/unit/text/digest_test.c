#include "text/digest.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void knows_the_published_digests(void **state)
{
    (void)state;
    char hex[DIGEST_HEX];
    digest_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256_hex(NULL, 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    /* RFC 4231, case 2 */
    digest_hmac_sha256_hex("Jefe", 4, "what do ya want for nothing?", 28, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    digest_hmac_sha256_hex(NULL, 0, "", 0, hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void base64_is_strict_and_reversible(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xFB\xEF\xFF", "++//" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        base64_encode(rows[i].bytes, strlen(rows[i].bytes), &out);
        assert_string_equal(strbuf_text(&out), rows[i].text);
        OWNED_STRBUF struct strbuf back = STRBUF_EMPTY;
        assert_int_equal(base64_decode(rows[i].text, strlen(rows[i].text), &back), 0);
        assert_string_equal(strbuf_text(&back), rows[i].bytes);
    }
    static const char *const wrong[] = { "Z",    "Zg",   "Zg=",    "Zh==", "Zm9=", "=m9v",
                                         "Zm=v", "====", "Zm9v\n", "Zm 9", "Zm-_", "Zg==Zg==" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        OWNED_STRBUF struct strbuf back = STRBUF_EMPTY;
        strbuf_add_text(&back, "kept");
        assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), &back), -1);
        assert_string_equal(strbuf_text(&back), "kept");
    }
}

static void sealed_text_opens_only_whole_and_in_its_place(void **state)
{
    (void)state;
    uint8_t key[SEAL_KEY], nonce[SEAL_NONCE];
    OWNED_STRBUF struct strbuf sealed = STRBUF_EMPTY, opened = STRBUF_EMPTY;
    digest_random(key, sizeof(key));
    digest_random(nonce, sizeof(nonce));
    strbuf_add_text(&sealed, "v1.");
    seal(key, nonce, "ns/job-1", "glcbt-secret", 12, &sealed);
    assert_int_equal(sealed.length, 3 + SEAL_NONCE + 12 + SEAL_TAG);
    strbuf_drop(&sealed, 3);
    assert_null(memmem(sealed.bytes, sealed.length, "secret", 6));
    assert_int_equal(seal_open(key, "ns/job-1", sealed.bytes, sealed.length, &opened), 0);
    assert_string_equal(strbuf_text(&opened), "glcbt-secret");
    assert_int_equal(seal_open(key, "ns/job-2", sealed.bytes, sealed.length, &opened), -1);
    for (size_t i = 0; i < sealed.length; i++) {
        sealed.bytes[i] ^= 1;
        assert_int_equal(seal_open(key, "ns/job-1", sealed.bytes, sealed.length, &opened), -1);
        sealed.bytes[i] ^= 1;
        assert_int_equal(seal_open(key, "ns/job-1", sealed.bytes, i, &opened), -1);
    }
    assert_string_equal(strbuf_text(&opened), "glcbt-secret");
    strbuf_clear(&sealed);
    seal(key, nonce, "", NULL, 0, &sealed);
    strbuf_clear(&opened);
    assert_int_equal(seal_open(key, "", sealed.bytes, sealed.length, &opened), 0);
    assert_int_equal(opened.length, 0);
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t first[32], second[32];
    digest_random(first, sizeof(first));
    digest_random(second, sizeof(second));
    assert_memory_not_equal(first, second, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_published_digests),
        cmocka_unit_test(base64_is_strict_and_reversible),
        cmocka_unit_test(sealed_text_opens_only_whole_and_in_its_place),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
