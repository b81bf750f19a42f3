/* Cutting an entry out of config.toml: by lines, so that everything else stays byte for byte, yet with an eye for
 * strings and arrays that go over several lines. */
#include "config/write.h"

#include <string.h>

/* Where a scan stands in TOML text: inside a string of several lines, or inside an array. */
struct toml_scan {
    const char *quotes; /* what ends the string: "\"\"\"" or "'''"; NULL outside */
    unsigned brackets;
};

/* Past a string that begins at c and ends in its line, or sets scan->quotes for one that may not. */
static const char *skip_string(struct toml_scan *scan, const char *c, const char *end)
{
    char quote = *c;

    if (end - c >= 3 && c[1] == quote && c[2] == quote) {
        scan->quotes = quote == '"' ? "\"\"\"" : "'''";
        return c + 3;
    }
    for (c++; c < end && *c != quote; c++)
        if (*c == '\\' && quote == '"' && c + 1 < end)
            c++;
    return c < end ? c + 1 : c;
}

static const char *skip_inside_string(struct toml_scan *scan, const char *c, const char *end)
{
    for (; c < end; c++) {
        if (*c == '\\' && scan->quotes[0] == '"' && c + 1 < end) {
            c++;
        } else if (end - c >= 3 && strncmp(c, scan->quotes, 3) == 0) {
            scan->quotes = NULL;
            return c + 3;
        }
    }
    return c;
}

/* Goes over one line that is no header; strings and brackets may stay open at its end. */
static void scan_line(struct toml_scan *scan, const char *c, const char *end)
{
    while (c < end) {
        if (scan->quotes != NULL) {
            c = skip_inside_string(scan, c, end);
        } else if (*c == '"' || *c == '\'') {
            c = skip_string(scan, c, end);
        } else if (*c == '#') {
            return;
        } else {
            if (*c == '[')
                scan->brackets++;
            else if (*c == ']' && scan->brackets > 0)
                scan->brackets--;
            c++;
        }
    }
}

enum header { HEADER_NONE, HEADER_RUNNERS, HEADER_BELOW_RUNNERS, HEADER_OTHER };

/* Past blanks and quotes, which may stand anywhere around the words of a header. */
static const char *skip_around(const char *line, const char *end)
{
    while (line < end && strchr("\"' \t", *line) != NULL)
        line++;
    return line;
}

/* What a line opens: [[runners]], something below it such as [runners.docker], or another table. */
static enum header header_of(const char *line, const char *end)
{
    const char *name, *first = skip_around(line, end);
    size_t length = 0;

    if (first == end || *first != '[')
        return HEADER_NONE;
    for (name = first; name < end && *name == '['; name++)
        ;
    name = skip_around(name, end);
    while (name + length < end && strchr("].\"' \t", name[length]) == NULL)
        length++;
    if (length != strlen("runners") || strncmp(name, "runners", length) != 0)
        return HEADER_OTHER;
    line = skip_around(name + length, end);
    return line < end && *line == '.' ? HEADER_BELOW_RUNNERS : HEADER_RUNNERS;
}

static bool is_comment(const char *line)
{
    line += strspn(line, " \t");
    return *line == '#';
}

/* The walk over the file's lines: what is being cut, and what was copied. */
struct cut {
    struct toml_scan scan;
    size_t index, seen;
    bool cutting, found;
    const char *comments; /* first of the comment lines just above: they belong to what follows */
    struct strbuf *out;
};

/* A table begins at line: the entry to cut does, or it ends here. Comments above go where their table goes. */
static void cut_at_table(struct cut *cut, const char *line, bool is_runner)
{
    bool was_cutting = cut->cutting;
    size_t above = cut->comments != NULL ? (size_t)(line - cut->comments) : 0;

    cut->cutting = is_runner && cut->seen++ == cut->index;
    cut->found = cut->found || cut->cutting;
    if (was_cutting && !cut->cutting)
        strbuf_add(cut->out, line - above, above);
    else if (!was_cutting && cut->cutting)
        strbuf_cut(cut->out, cut->out->length - above);
}

static void cut_line(struct cut *cut, const char *line, const char *end, const char *next)
{
    bool inside = cut->scan.quotes != NULL || cut->scan.brackets > 0;
    enum header header = inside ? HEADER_NONE : header_of(line, end);

    if (header == HEADER_RUNNERS || header == HEADER_OTHER)
        cut_at_table(cut, line, header == HEADER_RUNNERS);
    if (header == HEADER_NONE)
        scan_line(&cut->scan, line, end);
    if (!cut->cutting)
        strbuf_add(cut->out, line, (size_t)(next - line));
    if (inside || !is_comment(line))
        cut->comments = NULL;
    else if (cut->comments == NULL)
        cut->comments = line;
}

bool config_write_less(const char *existing, size_t index, struct strbuf *out)
{
    struct cut cut = { .index = index, .out = out };

    for (const char *line = existing, *next; *line != '\0'; line = next) {
        const char *end = line + strcspn(line, "\n");

        next = *end == '\n' ? end + 1 : end;
        cut_line(&cut, line, end, next);
    }
    return cut.found;
}
