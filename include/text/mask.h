/* Masking of a byte stream, whatever the chunking (docs/reference/dataops.md, "Masking"): phrases (longest match first,
 * overlaps found: Aho-Corasick), token prefixes (prefix stays, the following run of [-._=A-Za-z0-9] goes), URL
 * parameters (private_token, authenticity_token, rss_token, x-amz-signature, x-amz-credential, x-amz-security-token,
 * after ? or &, any case; the value up to ? & blank or control byte goes). Replacement is "[MASKED]". */
#ifndef TEXT_MASK_H
#define TEXT_MASK_H

#include "base/strbuf.h"

struct mask;

struct mask *mask_new(void);
/* Adds a phrase: trimmed of white space at both ends, empties and duplicates dropped. Copies. Before the first feed.
 * One of up to 1 KiB is found percent-encoded (RFC 3986, with upper and lower hexadecimal digits, and in the three
 * other sets of characters that Python, JavaScript and Go leave as they are) and as part of a JSON string, too. Base64
 * of it is not found, nor a part of it. */
void mask_add_phrase(struct mask *mask, const char *bytes, size_t length);
/* Adds a token prefix such as "glpat-". Before the first feed. */
void mask_add_prefix(struct mask *mask, const char *prefix);
/* Feeds bytes; appends what is decided to out. Holds back only a possible match. */
void mask_feed(struct mask *mask, const char *bytes, size_t length, struct strbuf *out);
/* How many bytes are held back now. */
size_t mask_held(const struct mask *mask);
/* The end of a stream: flushes what is held back, and what comes next is no part of a value, token or name that had
 * begun. */
void mask_flush(struct mask *mask, struct strbuf *out);
/* Appends a whole text, masked. The text may have been cut somewhere on its way, with or without "..." at its end: a
 * phrase of which at least 4 bytes stand there is masked, too. For texts one at a time, between two streams. */
void mask_whole(struct mask *mask, const char *text, struct strbuf *out);
void mask_free(struct mask *mask);

#endif
