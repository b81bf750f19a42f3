/* Every setting of git that starts a program, names one, or names a file or server that leads to one, and what stops
 * it. tests/unit/courier/git_settings_test.c walks the settings that the installed git knows and fails when one of that
 * kind is missing here. */
#ifndef COURIER_GIT_SETTINGS_H
#define COURIER_GIT_SETTINGS_H

#include <stddef.h>

enum git_means {
    GIT_BY_VALUE,   /* a value on the command's level, where it wins over every file */
    GIT_BY_FILES,   /* only files could set it: the system's and the user's are off, the repository's are made anew */
    GIT_BY_COMMAND, /* none of the commands that courier runs reads it (init, remote, index-pack, fetch, read-tree,
                       checkout, clean, grep, ls-files) */
};

struct git_setting {
    const char *key;   /* as `git help --config` writes it: a part in <> or * stands for any name */
    const char *value; /* of GIT_BY_VALUE; NULL otherwise */
    enum git_means means;
};

extern const struct git_setting git_settings[];
extern const size_t git_setting_count;

#endif
