#include "log_lines.h"

#include <string.h>
#include <time.h>

/* --- times --- */

static int number(const char *digits, size_t count)
{
    int value = 0;

    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return -1;
        value = value * 10 + digits[i] - '0';
    }
    return value;
}

/* "Z" or "+05:45" behind the fraction, in seconds; false: neither. */
static bool zone_of(const char *text, size_t length, int64_t *seconds)
{
    *seconds = 0;
    if (length == 1)
        return text[0] == 'Z';
    if (length != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
        return false;
    int hours = number(text + 1, 2), minutes = number(text + 4, 2);
    *seconds = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return hours >= 0 && minutes >= 0;
}

/* RFC 3339 with a fraction of any length, without the space behind it. */
static bool time_of(const char *text, size_t length, int64_t *unix_s)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t at = sizeof form - 1;
    int64_t zone_s;

    if (length <= at)
        return false;
    for (size_t i = 0; i < at; i++)
        if (form[i] == 'd' ? number(text + i, 1) < 0 : text[i] != form[i])
            return false;
    if (text[at] == '.')
        for (at++; at < length && number(text + at, 1) >= 0;)
            at++;
    if (!zone_of(text + at, length - at, &zone_s))
        return false;
    struct tm parts = { .tm_year = number(text, 4) - 1900,
                        .tm_mon = number(text + 5, 2) - 1,
                        .tm_mday = number(text + 8, 2),
                        .tm_hour = number(text + 11, 2),
                        .tm_min = number(text + 14, 2),
                        .tm_sec = number(text + 17, 2) };
    *unix_s = (int64_t)timegm(&parts) - zone_s;
    return true;
}

/* Gathers the head of a line; true: it is known whether it is a time, and what to pass on of it. */
static bool head_whole(struct log_lines *lines, char byte)
{
    if (byte != ' ')
        lines->head[lines->head_length++] = byte;
    if (byte != ' ' && byte != '\n' && lines->head_length < LOG_TIME_MOST - 1)
        return false;
    if (byte == ' ' && time_of(lines->head, lines->head_length, &lines->written_s)) {
        lines->head_length = 0;
        return true;
    }
    lines->written_s = 0;
    if (byte == ' ')
        lines->head[lines->head_length++] = byte;
    return true;
}

bool log_lines_next(struct log_lines *lines, const char *bytes, size_t length, size_t *used, struct log_piece *piece)
{
    while (!lines->inside && *used < length) {
        char byte = bytes[(*used)++];
        if (!head_whole(lines, byte))
            continue;
        *piece = (struct log_piece){ lines->head, lines->head_length };
        lines->head_length = 0;
        lines->inside = byte != '\n';
        if (piece->length > 0)
            return true;
    }
    if (*used >= length)
        return false;
    const char *lf = memchr(bytes + *used, '\n', length - *used);
    size_t count = lf ? (size_t)(lf - bytes) + 1 - *used : length - *used;
    *piece = (struct log_piece){ bytes + *used, count };
    *used += count;
    lines->inside = lf == NULL;
    return true;
}

/* --- the end --- */

void log_tail_keep(struct log_tail *tail, const char *bytes, size_t length)
{
    if (length >= LOG_TAIL_MOST) {
        memcpy(tail->bytes, bytes + length - LOG_TAIL_MOST, LOG_TAIL_MOST);
        tail->length = LOG_TAIL_MOST;
        return;
    }
    size_t kept = tail->length + length > LOG_TAIL_MOST ? LOG_TAIL_MOST - length : tail->length;
    memmove(tail->bytes, tail->bytes + tail->length - kept, kept);
    memcpy(tail->bytes + kept, bytes, length);
    tail->length = kept + length;
}

const char *log_tail_no_follow(struct log_tail *tail)
{
    /* cri-client's log reader, after it gave everything: no inotify instance is left, or no watch */
    static const char *const words[] = { "failed to create fsnotify watcher:", "failed to watch directory" };

    if (tail->length > 0 && tail->bytes[tail->length - 1] == '\n')
        tail->length--;
    tail->bytes[tail->length] = '\0';
    char *lf = memrchr(tail->bytes, '\n', tail->length);
    char *line = lf ? lf + 1 : tail->bytes;
    for (char *at = line; at < tail->bytes + tail->length; at++) /* a NUL, too, so that nothing hides behind it */
        if ((unsigned char)*at < ' ' || *at == '"' || *at == 0x7f)
            *at = '\'';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *found = strstr(line, words[i]);
        if (found)
            return found;
    }
    return NULL;
}
