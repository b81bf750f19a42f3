/* OpenSSL, wrapped once: digests, base64, sealing. Pure: randomness comes from the caller, except digest_random. */
#ifndef TEXT_DIGEST_H
#define TEXT_DIGEST_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGEST_HEX 65 /* SHA-256 as lower-case hex with NUL */
#define SEAL_KEY   32
#define SEAL_NONCE 12
#define SEAL_TAG   16

void digest_sha256_hex(const void *bytes, size_t length, char hex[DIGEST_HEX]);
void digest_hmac_sha256_hex(const void *key, size_t key_length, const void *bytes, size_t length, char hex[DIGEST_HEX]);
/* Standard alphabet with padding, no line breaks. */
void base64_encode(const void *bytes, size_t length, struct strbuf *out);
/* Strict: standard alphabet, padding required, no blanks; -1 on anything else (out keeps what it had). */
int base64_decode(const char *text, size_t length, struct strbuf *out) MUST_CHECK;
/* AES-256-GCM. Appends nonce, ciphertext and tag to out. */
void seal(const uint8_t key[SEAL_KEY], const uint8_t nonce[SEAL_NONCE], const char *additional, const void *bytes,
          size_t length, struct strbuf *out);
/* Opens what seal wrote; -1 when key, additional data or a byte differ. */
int seal_open(const uint8_t key[SEAL_KEY], const char *additional, const void *sealed, size_t length,
              struct strbuf *out) MUST_CHECK;
/* Random bytes from OpenSSL. Aborts when there are none: nothing here may go on with guessable keys. */
void digest_random(void *bytes, size_t length);

#endif
