#include "git.h"
#include "job/plan.h"
#include "text/quote.h"

#include <string.h>

#define FLAG_MOST    100
#define REFUSED_MOST 1000

enum flag_value { VALUE_NONE, VALUE_NUMBER, VALUE_PLAIN, VALUE_ANY };

/* A flag that a job may add. Only what is written out here passes: git takes abbreviations, so a list of what is
 * forbidden is never whole. */
struct flag {
    const char *name;
    char letter;
    enum flag_value value;
};

static const struct flag fetch_flags[] = {
    { "--prune", 'p', VALUE_NONE },
    { "--prune-tags", 'P', VALUE_NONE },
    { "--tags", 't', VALUE_NONE },
    { "--no-tags", 'n', VALUE_NONE },
    { "--quiet", 'q', VALUE_NONE },
    { "--verbose", 'v', VALUE_NONE },
    { "--force", 'f', VALUE_NONE },
    { "--append", 'a', VALUE_NONE },
    { "--ipv4", '4', VALUE_NONE },
    { "--ipv6", '6', VALUE_NONE },
    { "--jobs", 'j', VALUE_NUMBER },
    { "--filter", 0, VALUE_PLAIN },
    { "--depth", 0, VALUE_NUMBER },
    { "--deepen", 0, VALUE_NUMBER },
    { "--shallow-since", 0, VALUE_ANY },
    { "--shallow-exclude", 0, VALUE_PLAIN },
    { "--unshallow", 0, VALUE_NONE },
    { "--update-shallow", 0, VALUE_NONE },
    { "--progress", 0, VALUE_NONE },
    { "--no-progress", 0, VALUE_NONE },
    { "--no-prune", 0, VALUE_NONE },
    { "--no-prune-tags", 0, VALUE_NONE },
    { "--no-force", 0, VALUE_NONE },
    { "--no-filter", 0, VALUE_NONE },
    { "--no-recurse-submodules", 0, VALUE_NONE },
    { "--no-auto-gc", 0, VALUE_NONE },
    { "--no-auto-maintenance", 0, VALUE_NONE },
    { "--show-forced-updates", 0, VALUE_NONE },
    { "--no-show-forced-updates", 0, VALUE_NONE },
    { "--atomic", 0, VALUE_NONE },
    { 0 },
};

static const struct flag clean_flags[] = {
    { "--force", 'f', VALUE_NONE },
    { NULL, 'd', VALUE_NONE },
    { NULL, 'x', VALUE_NONE },
    { NULL, 'X', VALUE_NONE },
    { "--quiet", 'q', VALUE_NONE },
    { "--exclude", 'e', VALUE_ANY },
    { 0 },
};

static bool is_end(const struct flag *flag)
{
    return !flag->name && !flag->letter;
}

static bool value_fits(enum flag_value kind, const char *value)
{
    static const char digits[] = "0123456789";
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:=+,._/%@-";
    switch (kind) {
    case VALUE_NUMBER:
        return *value && strlen(value) <= 9 && strspn(value, digits) == strlen(value);
    case VALUE_PLAIN:
        return *value && *value != '-' && strspn(value, plain) == strlen(value);
    case VALUE_ANY:
        return *value != 0;
    case VALUE_NONE:
        break;
    }
    return false;
}

/* Adds flag and value as one word, so that git cannot take the value for a flag of its own. */
static bool pass_value(const struct flag *flag, const char *value, struct words *words)
{
    if (!value || !value_fits(flag->value, value))
        return false;
    OWNED_TEXT char *word = mem_format("%s=%s", flag->name, value);
    words_add(words, word);
    return true;
}

/* How many of given were used; 0: the first may not pass. */
static size_t pass_long(const struct flag *flags, char *const *given, size_t count, struct words *words)
{
    const size_t length = strcspn(given[0], "=");
    for (const struct flag *flag = flags; !is_end(flag); flag++) {
        if (!flag->name || strlen(flag->name) != length || strncmp(flag->name, given[0], length) != 0)
            continue;
        if (flag->value == VALUE_NONE) {
            if (given[0][length])
                return 0;
            words_add(words, flag->name);
            return 1;
        }
        if (given[0][length])
            return pass_value(flag, given[0] + length + 1, words) ? 1 : 0;
        return count > 1 && pass_value(flag, given[1], words) ? 2 : 0;
    }
    return 0;
}

static const struct flag *flag_of_letter(const struct flag *flags, char letter)
{
    for (; !is_end(flags); flags++)
        if (flags->letter == letter)
            return flags;
    return NULL;
}

/* How many letters at the beginning stand for flags without a value. */
static size_t letters_without_value(const struct flag *flags, const char *letters)
{
    size_t count = 0;
    for (const struct flag *flag; letters[count]; count++) {
        flag = flag_of_letter(flags, letters[count]);
        if (!flag || flag->value != VALUE_NONE)
            break;
    }
    return count;
}

/* Letters together: the one that takes a value is the last, and the rest of the word, or the next one, is its value. */
static size_t pass_short(const struct flag *flags, char *const *given, size_t count, struct words *words)
{
    const char *letters = given[0] + 1;
    const size_t without = letters_without_value(flags, letters);
    const struct flag *last = letters[without] ? flag_of_letter(flags, letters[without]) : NULL;
    const bool is_inside = last && letters[without + 1] != 0;
    const char *value = is_inside ? letters + without + 1 : last && count > 1 ? given[1] : NULL;
    if (letters[without] && (!value || !value_fits(last->value, value)))
        return 0;
    if (without > 0) {
        OWNED_TEXT char *word = mem_format("-%.*s", (int)without, letters);
        words_add(words, word);
    }
    if (last && !pass_value(last, value, words))
        return 0;
    return last && !is_inside ? 2 : 1;
}

static void pass_allowed(const struct flag *flags, char *const *given, size_t count, struct words *words,
                         struct words *refused)
{
    for (size_t at = 0; at < count;) {
        size_t used = 0;
        if (strncmp(given[at], "--", 2) == 0)
            used = pass_long(flags, given + at, count - at, words);
        else if (given[at][0] == '-' && given[at][1])
            used = pass_short(flags, given + at, count - at, words);
        if (used == 0)
            words_add(refused, given[at]);
        at += used ? used : 1;
    }
}

static bool names_a_depth(const struct words *words)
{
    static const char *const depths[] = { "--depth=", "--deepen=", "--shallow-", "--unshallow" };
    for (size_t i = 0; i < words->count; i++)
        for (size_t k = 0; k < COUNT_OF(depths); k++)
            if (strncmp(words->items[i], depths[k], strlen(depths[k])) == 0)
                return true;
    return false;
}

/* There are no refs that tell the server what is there: they cannot be proven (tidy.c). */
static void tips_add(const char *tips, struct words *words)
{
    while (tips && *tips) {
        const size_t length = strcspn(tips, "\n");
        OWNED_TEXT char *name = mem_copy(tips, length);
        OWNED_TEXT char *word = mem_format("--negotiation-tip=%s", name);
        if (git_is_object_name(name))
            words_add(words, word);
        tips += length + (tips[length] == '\n');
    }
}

void git_fetch_words(const struct plan *plan, const struct git_kept *kept, struct words *words, struct words *refused)
{
    words_add(words, "git");
    words_add(words, "fetch");
    pass_allowed(fetch_flags, plan->fetch_flags, plan->fetch_flag_count, words, refused);
    const bool has_depth = names_a_depth(words);
    if (!has_depth && plan->depth > 0) {
        OWNED_TEXT char *depth = mem_format("--depth=%lld", (long long)plan->depth);
        words_add(words, depth);
    } else if (!has_depth && kept->is_shallow) {
        words_add(words, "--unshallow");
    }
    tips_add(kept->tips, words);
    /* git takes the last word of each flag: ours */
    words_add(words, "--no-recurse-submodules");
    words_add(words, "--no-auto-maintenance");
    words_add(words, "--no-write-commit-graph");
    words_add(words, "--");
    words_add(words, "origin");
    for (size_t i = 0; i < plan->refspec_count; i++)
        words_add(words, plan->refspecs[i]);
}

void git_clean_words(const struct plan *plan, struct words *words, struct words *refused)
{
    words_add(words, "git");
    words_add(words, "clean");
    pass_allowed(clean_flags, plan->clean_flags, plan->clean_flag_count, words, refused);
    words_add(words, "--");
}

static void allowed_add(const struct flag *flag, struct strbuf *text)
{
    static const char *const values[] = { "", "=NUMBER", "=VALUE", "=TEXT" };
    for (; !is_end(flag); flag++) {
        if (flag->letter)
            strbuf_format(text, " -%c", flag->letter);
        if (flag->name)
            strbuf_format(text, " %s%s", flag->name, values[flag->value]);
    }
}

char *git_refused_for_people(bool is_fetch, const struct words *refused)
{
    struct strbuf text = STRBUF_EMPTY;
    if (refused->count == 0)
        return NULL;
    strbuf_format(&text, "%s: not passed to git %s: ", is_fetch ? "GIT_FETCH_EXTRA_FLAGS" : "GIT_CLEAN_FLAGS",
                  is_fetch ? "fetch" : "clean");
    for (size_t i = 0; i < refused->count && text.length < REFUSED_MOST; i++) {
        strbuf_add_text(&text, i ? ", " : "");
        quote_for_people(refused->items[i], FLAG_MOST, &text);
    }
    strbuf_add_text(&text, ". The flags that may be given are:");
    allowed_add(is_fetch ? fetch_flags : clean_flags, &text);
    return strbuf_take(&text, NULL);
}
