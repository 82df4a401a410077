/*
 * config.c - see config.h.
 *
 * Each setting is a row of config_table.c; everything else, reading, checking, help and the README's table, walks the rows.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "config_source.h"
#include "config_table.h"
#include "config_value.h"
#include "packageindex.h"
#include "statedir.h"

static void
set_defaults(struct config *cfg)
{
    memset(cfg, 0, sizeof(*cfg));
    cfg->config_file = xstrdup("");
    for (size_t i = 0; i < config_n_settings; i++)
        if (!config_value_read(cfg, &config_settings[i], config_settings[i].standard))
            abort(); /* a default that its own row does not allow */
    free(cfg->state_dir);
    cfg->state_dir = statedir_default();
}

static void
normalise(struct config *cfg)
{
    for (size_t len = strlen(cfg->state_dir); len > 1 && cfg->state_dir[len - 1] == '/';)
        cfg->state_dir[--len] = '\0';
}

/* A list of the packages' settings, whose name takes the place of the one that netpolicy.h's messages begin with. */
static int
check_hosts(const char *hosts, const char *name, struct err *err)
{
    struct netpolicy *policy = netpolicy_new(hosts, "", err);
    struct err why;

    netpolicy_free(policy);
    if (policy)
        return 0;
    why = *err;
    return err_field(err, ERR_CONFIG, name, "%s%s", name, why.msg + strlen(why.field));
}

/* As the proxy will read them: what it refuses would leave everybody without a network. */
static int
check_lists(const struct config *cfg, struct err *err)
{
    cleanup_free char *install = packageindex_allow(cfg->packages_index, cfg->packages_hosts);
    struct netpolicy *policy = netpolicy_new(cfg->network_allow, cfg->network_permit, err);

    netpolicy_free(policy);
    if (policy == NULL || check_hosts(cfg->packages_hosts, "packages_hosts", err) < 0)
        return -1;
    return check_hosts(install, "packages_index", err);
}

/* What no row can say by itself.  The state directory's default depends on the user's environment. */
static int
check_together(const struct config *cfg, struct err *err)
{
    const struct setting *state_dir = config_find("state_dir");

    if (!state_dir->check(cfg->state_dir))
        return config_value_refuse(state_dir, cfg->state_dir, "default", err);
    if (cfg->min_idle_workers > cfg->max_total_workers)
        return err_field(err, ERR_CONFIG, "min_idle_workers",
                         "min_idle_workers = %u is more than max_total_workers = %u",
                         cfg->min_idle_workers, cfg->max_total_workers);
    if ((cfg->tls_cert[0] == '\0') != (cfg->tls_key[0] == '\0')) {
        const char *missing = cfg->tls_cert[0] == '\0' ? "tls_cert" : "tls_key";

        return err_field(err, ERR_CONFIG, missing,
                         "%s is empty; allowed: tls_cert and tls_key both, or neither", missing);
    }
    return check_lists(cfg, err);
}

static int
load_all(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    if (config_source_flags(cfg, argc, argv, err) < 0)
        return -1;
    if (cfg->help || cfg->help_markdown || cfg->version)
        return 0;
    if (cfg->config_file[0] != '\0' && config_source_file(cfg, cfg->config_file, err) < 0)
        return -1;
    if (config_source_environment(cfg, err) < 0 || config_source_options(cfg, argc, argv, err) < 0)
        return -1;
    normalise(cfg);
    return check_together(cfg, err);
}

int
config_load(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    set_defaults(cfg);
    if (load_all(cfg, argc, argv, err) < 0) {
        config_clear(cfg);
        return -1;
    }
    return 0;
}

int
config_reload(struct config *cfg, int argc, char *const argv[], unsigned *changed, struct err *err)
{
    struct config fresh;

    *changed = 0;
    if (config_load(&fresh, argc, argv, err) < 0)
        return -1;
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *s = &config_settings[i];

        if (config_value_is_same(cfg, &fresh, s))
            continue;
        if (s->flags & SETTING_RELOAD) {
            config_value_swap(cfg, &fresh, s);
            ++*changed;
        } else {
            log_warn("config: %s has changed, which takes a restart; the old value stays", s->name);
        }
    }
    config_clear(&fresh);
    return 0;
}

bool
config_has_packages(const struct config *cfg)
{
    return cfg->packages_dir[0] || cfg->packages_index[0];
}

void
config_clear(struct config *cfg)
{
    for (size_t i = 0; i < config_n_settings; i++)
        config_value_free(cfg, &config_settings[i]);
    free(cfg->config_file);
    memset(cfg, 0, sizeof(*cfg));
}
