#include "block.h"

#include "io/file.h"
#include "step/protocol.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_entry(const struct plan_pair *pair)
{
    return pair->key && *pair->key && !strchr(pair->key, '=');
}

static void block_entry(const struct plan_pair *pair, struct strbuf *out, uint32_t *count)
{
    strbuf_add_text(out, pair->key);
    strbuf_add_char(out, '=');
    strbuf_add(out, pair->value ? pair->value : "", pair->value ? strlen(pair->value) + 1 : 1);
    *count += 1;
}

static bool is_changed(const struct block_input *input, const char *key)
{
    for (size_t i = 0; i < input->changed_count; i++)
        if (strcmp(input->changed[i].key, key) == 0)
            return true;
    return false;
}

int block_render(const struct block_input *input, struct strbuf *out, struct error *error)
{
    struct step_order head = { .version = STEP_ORDER_VERSION, .folder_bytes = (uint32_t)strlen(input->folder) };
    OWNED_STRBUF struct strbuf entries = STRBUF_EMPTY;
    memcpy(head.magic, STEP_ORDER_MAGIC, sizeof head.magic);
    for (size_t i = 0; i < input->environment_count; i++)
        if (is_entry(&input->environment[i]) && !is_changed(input, input->environment[i].key))
            block_entry(&input->environment[i], &entries, &head.entries);
    for (size_t i = 0; i < input->changed_count; i++)
        block_entry(&input->changed[i], &entries, &head.entries);
    const size_t total = sizeof head + head.folder_bytes + 1 + entries.length + input->script_length;
    if (total > STEP_ORDER_MAX_BYTES || head.entries > STEP_ORDER_MAX_ENTRIES)
        return error_set(error, BLAME_INPUT, 0,
                         "script and variables take %zu bytes together, more than the %u that fit", total,
                         STEP_ORDER_MAX_BYTES);
    head.script_bytes = (uint32_t)input->script_length;
    strbuf_add(out, &head, sizeof head);
    strbuf_add(out, input->folder, head.folder_bytes + 1);
    strbuf_add(out, strbuf_text(&entries), entries.length);
    strbuf_add(out, input->script, input->script_length);
    strbuf_wipe(&entries);
    return 0;
}

int block_seal(const void *bytes, size_t length, struct error *error)
{
    const int fd = memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_errno(error, "make a memory file for the script");
    if (file_write_fd(fd, bytes, length) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        error_errno(error, "fill the memory file of the script");
        close(fd);
        return -1;
    }
    return fd;
}
