#include "select.h"

#include "folders.h"
#include "text/glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- paths --- */

/* Takes away the last step of what was cleaned so far; -1 when there is none. */
static int step_back(struct strbuf *clean)
{
    if (clean->length == 0)
        return -1;
    const char *text = strbuf_text(clean);
    const char *slash = memrchr(text, '/', clean->length);
    strbuf_cut(clean, slash ? (size_t)(slash - text) : 0);
    return 0;
}

static int steps_clean(const char *path, struct strbuf *clean)
{
    while (*path) {
        const size_t length = strcspn(path, "/");
        if (length == 2 && strncmp(path, "..", 2) == 0) {
            if (step_back(clean) < 0)
                return -1;
        } else if (length > 0 && !(length == 1 && *path == '.')) {
            if (clean->length > 0)
                strbuf_add_char(clean, '/');
            strbuf_add(clean, path, length);
        }
        path += length;
        path += *path == '/';
    }
    return 0;
}

int select_clean(const char *folder, const char *pattern, struct strbuf *out)
{
    OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY;
    if (*pattern != '/') {
        if (steps_clean(pattern, &clean) < 0)
            return -1;
        return strbuf_add(out, strbuf_text(&clean), clean.length);
    }
    OWNED_STRBUF struct strbuf whole = STRBUF_EMPTY;
    strbuf_add_char(&whole, '/');
    if (steps_clean(pattern, &clean) < 0)
        return -1;
    strbuf_add_text(&whole, strbuf_text(&clean));
    const char *below = folder_below(folder, strbuf_text(&whole));
    return below ? strbuf_add_text(out, below) : -1;
}

/* --- walking --- */

/* Names of a folder's entries; the descriptor is closed again, so that depth costs none. */
struct names {
    char **items;
    size_t count;
};

/* What a name takes: its text, what malloc adds, a place in an array or a map. */
static size_t name_cost(const char *name)
{
    return strlen(name) + 64;
}

static void names_clear(struct selection *selection, struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        selection->bytes -= name_cost(names->items[i]);
        mem_free(names->items[i]);
    }
    mem_free(names->items);
}

/* Whether one more name fits. */
static bool names_fit(struct selection *selection, const char *name)
{
    selection->too_long = selection->too_long || selection->bytes + name_cost(name) > selection->bytes_most;
    return !selection->too_long;
}

static bool is_full(const struct selection *selection)
{
    return selection->too_many || selection->too_long;
}

static void names_read(struct selection *selection, const char *path, struct names *names)
{
    const struct dirent *entry;
    size_t capacity = 0;
    const int fd = open_beneath(selection->folder, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!names_fit(selection, entry->d_name))
            break;
        selection->bytes += name_cost(entry->d_name);
        if (names->count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            names->items = mem_grow(names->items, capacity * sizeof *names->items);
        }
        names->items[names->count++] = mem_text(entry->d_name);
    }
    closedir(stream);
}

static bool is_there(struct selection *selection, const char *path, bool *is_folder)
{
    struct stat status;
    const int fd = open_beneath(selection->folder, path, O_PATH | O_NOFOLLOW, 0, 0);
    selection->escaped = selection->escaped || (fd < 0 && (errno == EXDEV || errno == ELOOP));
    if (fd < 0)
        return false;
    const bool seen = fstat(fd, &status) == 0;
    *is_folder = seen && S_ISDIR(status.st_mode);
    close(fd);
    return seen;
}

static bool is_excluded(const struct selection *selection, const char *path)
{
    for (size_t i = 0; i < selection->exclude_count; i++)
        if (glob_match(selection->excludes[i], path))
            return true;
    return false;
}

static bool choose(struct selection *selection, const char *path)
{
    if (!*path || is_excluded(selection, path))
        return false;
    if (strmap_has(&selection->names, path))
        return true;
    if (selection->names.live >= selection->entries_most)
        selection->too_many = true;
    if (is_full(selection) || !names_fit(selection, path))
        return false;
    selection->bytes += name_cost(path);
    strmap_set(&selection->names, path, selection);
    return true;
}

bool selection_add_path(struct selection *selection, const char *path)
{
    bool is_folder;
    return is_there(selection, path, &is_folder) && choose(selection, path);
}

/* Walks what lies in a folder. pattern NULL: everything is chosen. The path grows and shrinks in place. */
static size_t walk(struct selection *selection, const char *pattern, struct strbuf *path)
{
    struct names names = { 0 };
    size_t found = 0;
    const size_t length = path->length;
    names_read(selection, strbuf_text(path), &names);
    for (size_t i = 0; i < names.count && !is_full(selection); i++) {
        bool is_folder = false;
        if (length > 0)
            strbuf_add_char(path, '/');
        strbuf_add_text(path, names.items[i]);
        const bool matched = !pattern || glob_match(pattern, strbuf_text(path));
        if ((matched || glob_may_match_below(pattern, strbuf_text(path))) &&
            is_there(selection, strbuf_text(path), &is_folder)) {
            if (matched)
                found += choose(selection, strbuf_text(path));
            if (is_folder)
                found += walk(selection, matched ? NULL : pattern, path);
        }
        strbuf_cut(path, length);
    }
    names_clear(selection, &names);
    return found;
}

size_t selection_add(struct selection *selection, const char *pattern)
{
    OWNED_STRBUF struct strbuf path = STRBUF_EMPTY;
    bool is_folder = false;
    if (!glob_is_plain(pattern))
        return walk(selection, pattern, &path);
    if (!is_there(selection, pattern, &is_folder))
        return 0;
    size_t found = choose(selection, pattern);
    strbuf_add_text(&path, pattern);
    if (is_folder)
        found += walk(selection, NULL, &path);
    return found;
}

/* --- the result --- */

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

const char **selection_sorted(const struct selection *selection, size_t *count)
{
    const char **names = mem_new_array(selection->names.live + 1, sizeof *names);
    size_t position = 0;
    *count = 0;
    for (struct strmap_entry *entry; (entry = strmap_next(&selection->names, &position));)
        names[(*count)++] = entry->key;
    qsort(names, *count, sizeof *names, by_name);
    return names;
}

void selection_clear(struct selection *selection)
{
    strmap_clear(&selection->names);
}
