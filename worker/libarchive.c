/* libarchive.c - see libarchive.h. */
#include "libarchive.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

struct libarchive libarchive;

static const struct {
    const char *name;
    size_t at; /* in struct libarchive */
} functions[] = {
#define X(name) {#name, offsetof(struct libarchive, name)},
    LIBARCHIVE_FUNCTIONS(X)
#undef X
};

bool
libarchive_load(void)
{
    void *library = dlopen(LIBARCHIVE_FILE, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *function = dlsym(library, functions[i].name);

        if (function == NULL)
            return false;
        memcpy((char *)&libarchive + functions[i].at, &function, sizeof(function));
    }
    return library != NULL;
}
