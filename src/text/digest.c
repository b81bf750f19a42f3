#include "text/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdlib.h>
#include <string.h>

#define SHA256_BYTES 32

/* The library fails here only for want of memory, or when it was built without the algorithm. */
static void must(bool worked)
{
    if (!worked)
        abort();
}

static void to_hex(const uint8_t bytes[SHA256_BYTES], char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * SHA256_BYTES] = '\0';
}

void digest_sha256_hex(const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    uint8_t digest[SHA256_BYTES];
    must(EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL) == 1);
    to_hex(digest, hex);
}

void digest_hmac_sha256_hex(const void *key, size_t key_length, const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    uint8_t digest[SHA256_BYTES];
    must(HMAC(EVP_sha256(), key_length > 0 ? key : "", (int)key_length, bytes, length, digest, NULL) != NULL);
    to_hex(digest, hex);
}

void base64_encode(const void *bytes, size_t length, struct strbuf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = bytes;
    size_t written = (length + 2) / 3 * 4;
    char *to = strbuf_room(out, written);

    if (!to)
        return;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group =
            (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0u);
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[group & 63] : '=';
    }
    strbuf_wrote(out, written);
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(const char *text, size_t length, struct strbuf *out)
{
    size_t before = out->length;
    size_t padding =
        length >= 4 ? (size_t)(text[length - 1] == '=') + (text[length - 1] == '=' && text[length - 2] == '=') : 0;
    uint32_t bits = 0;

    if (length % 4 != 0)
        return -1;
    char *to = strbuf_room(out, length / 4 * 3);
    if (!to)
        return -1;
    for (size_t i = 0; i < length - padding; i++) {
        int value = digit_value(text[i]);
        if (value < 0)
            return strbuf_cut(out, before), -1;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 > 0)
            *to++ = (char)(bits >> (6 - i % 4 * 2));
    }
    /* Bits that stand for no byte are zero, so that every sequence of bytes has one spelling. */
    if ((padding == 1 && (bits & 3) != 0) || (padding == 2 && (bits & 15) != 0))
        return strbuf_cut(out, before), -1;
    strbuf_wrote(out, length / 4 * 3 - padding);
    return 0;
}

void seal(const uint8_t key[SEAL_KEY], const uint8_t nonce[SEAL_NONCE], const char *additional, const void *bytes,
          size_t length, struct strbuf *out)
{
    int written = 0, last = 0;
    uint8_t *to = (uint8_t *)strbuf_room(out, SEAL_NONCE + length + SEAL_TAG);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    if (to) {
        memcpy(to, nonce, SEAL_NONCE);
        must(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1);
        must(EVP_EncryptUpdate(context, NULL, &written, (const uint8_t *)additional, (int)strlen(additional)) == 1);
        must(EVP_EncryptUpdate(context, to + SEAL_NONCE, &written, bytes, (int)length) == 1);
        must(EVP_EncryptFinal_ex(context, to + SEAL_NONCE + written, &last) == 1);
        must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, SEAL_TAG, to + SEAL_NONCE + length) == 1);
        strbuf_wrote(out, SEAL_NONCE + length + SEAL_TAG);
    }
    EVP_CIPHER_CTX_free(context);
}

int seal_open(const uint8_t key[SEAL_KEY], const char *additional, const void *sealed, size_t length,
              struct strbuf *out)
{
    const uint8_t *from = sealed;
    uint8_t tag[SEAL_TAG];
    int written = 0, last = 0;

    if (length < SEAL_NONCE + SEAL_TAG || length > INT32_MAX)
        return -1;
    size_t inner = length - SEAL_NONCE - SEAL_TAG;
    uint8_t *to = (uint8_t *)strbuf_room(out, inner);
    if (!to)
        return -1;
    memcpy(tag, from + SEAL_NONCE + inner, SEAL_TAG);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    must(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, from) == 1);
    must(EVP_DecryptUpdate(context, NULL, &written, (const uint8_t *)additional, (int)strlen(additional)) == 1);
    must(EVP_DecryptUpdate(context, to, &written, from + SEAL_NONCE, (int)inner) == 1);
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, SEAL_TAG, tag) == 1);
    bool genuine = EVP_DecryptFinal_ex(context, to + written, &last) == 1;
    EVP_CIPHER_CTX_free(context);
    strbuf_wrote(out, genuine ? inner : 0);
    return genuine ? 0 : -1;
}

void digest_random(void *bytes, size_t length)
{
    must(RAND_bytes(bytes, (int)length) == 1);
}
