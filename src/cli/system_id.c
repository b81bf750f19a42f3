#include "system_id.h"

#include "base/strbuf.h"
#include "io/file.h"
#include "text/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ID_LETTERS 12

bool system_id_is_valid(const char *text)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return (text[0] == 's' || text[0] == 'r') && text[1] == '_' && strlen(text) == 2 + ID_LETTERS &&
           strspn(text + 2, letters) == ID_LETTERS;
}

void system_id_of_machine(const char *machine_id, char id[SYSTEM_ID_SIZE])
{
    static const char message[] = "gitlab-runner";
    char hex[DIGEST_HEX];

    digest_hmac_sha256_hex(machine_id, strlen(machine_id), message, strlen(message), hex);
    snprintf(id, SYSTEM_ID_SIZE, "s_%.12s", hex);
}

void system_id_of_slot(const char *ns, const char *release, unsigned slot, char id[SYSTEM_ID_SIZE])
{
    OWNED_TEXT char *name = mem_format("%s/%s/%u", ns, release, slot);
    char hex[DIGEST_HEX];

    digest_sha256_hex(name, strlen(name), hex);
    snprintf(id, SYSTEM_ID_SIZE, "s_%.12s", hex);
}

/* No machine id, as in many containers: random letters and digits. */
static void system_id_random(char id[SYSTEM_ID_SIZE])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint8_t bytes[ID_LETTERS];

    digest_random(bytes, sizeof(bytes));
    memcpy(id, "r_", 2);
    for (size_t i = 0; i < ID_LETTERS; i++)
        id[2 + i] = letters[bytes[i] % (sizeof(letters) - 1)];
    id[2 + ID_LETTERS] = '\0';
}

/* What a small file holds, without blanks and line ends around it; false when that is nothing or too long. */
static bool read_trimmed(const char *path, char *word, size_t size)
{
    OWNED_STRBUF struct strbuf text = STRBUF_UP_TO(4 * KIB);
    struct error ignored = ERROR_NONE;
    const char *start;
    size_t length;

    if (!file_exists(path) || file_read(path, &text, &ignored) < 0)
        return false;
    start = strbuf_text(&text);
    start += strspn(start, " \t\r\n");
    length = strlen(start);
    while (length > 0 && strchr(" \t\r\n", start[length - 1]) != NULL)
        length--;
    if (length == 0 || length >= size)
        return false;
    memcpy(word, start, length);
    word[length] = '\0';
    return true;
}

static void system_id_make(char id[SYSTEM_ID_SIZE])
{
    char machine_id[256];

    if (read_trimmed("/var/lib/dbus/machine-id", machine_id, sizeof(machine_id)) ||
        read_trimmed("/etc/machine-id", machine_id, sizeof(machine_id)))
        system_id_of_machine(machine_id, id);
    else
        system_id_random(id);
}

int system_id_load(const char *config_path, char id[SYSTEM_ID_SIZE], struct error *error)
{
    const char *slash = strrchr(config_path, '/');
    OWNED_TEXT char *folder = mem_copy(config_path, slash != NULL ? (size_t)(slash + 1 - config_path) : 0);
    OWNED_TEXT char *path = mem_format("%s.runner_system_id", folder);

    if (read_trimmed(path, id, SYSTEM_ID_SIZE) && system_id_is_valid(id))
        return 0;
    system_id_make(id);
    if (folder[0] != '\0' && file_make_folders(folder, 0700, error) < 0)
        return -1;
    return file_write(path, id, strlen(id), 0600, error);
}
