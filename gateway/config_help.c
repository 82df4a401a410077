/* config_help.c - what config.h has to say about the settings: --help, and README.md's table. */
#include "config.h"

#include "config_table.h"
#include "config_value.h"

static const char *
shown_default(const struct setting *s)
{
    return s->standard[0] == '\0' ? "empty" : s->standard;
}

void
config_print_help(FILE *out)
{
    char name[64], allowed[80];

    fprintf(out, "Usage: tci-gateway [--config FILE] [--SETTING VALUE ...]\n\n"
                 "Serves code execution over HTTP, in containers; logs on stderr.\n\n"
                 "A setting is an option as below, a line `some_setting = value` of the\n"
                 "configuration file, or a variable TCI_SOME_SETTING of the environment.\n"
                 "Options go over the environment, and that over the file.\n\n"
                 "Options:\n  --config FILE\n        read settings from this file\n");
    for (size_t i = 0; i < config_n_flags; i++)
        fprintf(out, "  --%s\n        %s\n", config_flags[i].name, config_flags[i].help);
    fprintf(out, "\nSettings (* SIGHUP may change it):\n");
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *s = &config_settings[i];

        config_option_name(s->name, name, sizeof(name));
        fprintf(out, "  --%s VALUE%s\n        %s\n        default: %s; allowed: %s\n", name,
                (s->flags & SETTING_RELOAD) ? " *" : "", s->help, shown_default(s),
                config_value_allowed(s, allowed, sizeof(allowed)));
    }
}

void
config_print_markdown(FILE *out)
{
    char name[64], allowed[80];

    fprintf(out, "| Setting | Default | Allowed | SIGHUP | Meaning |\n"
                 "| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *s = &config_settings[i];

        config_env_name(s->name, name, sizeof(name));
        fprintf(out, "| `%s` | %s%s%s | %s | %s | %s |\n", name, s->standard[0] == '\0' ? "" : "`",
                shown_default(s), s->standard[0] == '\0' ? "" : "`",
                config_value_allowed(s, allowed, sizeof(allowed)),
                (s->flags & SETTING_RELOAD) ? "yes" : "no", s->help);
    }
}
