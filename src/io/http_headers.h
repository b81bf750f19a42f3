/* Header lines, without libcurl. */
#ifndef IO_HTTP_HEADERS_H
#define IO_HTTP_HEADERS_H

#include <stdbool.h>

/* "Name: value" may be sent to a host the caller did not name (after a redirect). */
bool header_travels(const char *line);
/* The line's name is name, in any case. */
bool header_is(const char *line, const char *name);
/* Status of "HTTP/1.1 204 No Content"; 0 when the line is none. */
int header_status(const char *line);

#endif
