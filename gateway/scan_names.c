#include "scan_names.h"

/* What a name stands for. */
struct scan_binding {
    uint64_t name; /* its hash */
    struct scan_chain chain;
};

/* --- chains ------------------------------------------------------------------------------- */

void
scan_chain_forget(struct scan_chain *chain)
{
    chain->text[0] = '?';
    chain->len = 1;
    chain->known = false;
    chain->decoded = NULL;
}

static void
chain_put(struct scan_chain *chain, const char *text, size_t len, bool known)
{
    if (len >= SCAN_NAME_LEN) {
        scan_chain_forget(chain);
        return;
    }
    chain->decoded = NULL;
    chain->len = len;
    chain->known = known;
    memcpy(chain->text, text, len);
}

void
scan_chain_set(struct scan_chain *chain, const struct scan_rules *rules, const char *text,
               size_t len)
{
    const char *dot = memchr(text, '.', len);
    size_t first = dot ? (size_t)(dot - text) : len;

    chain_put(chain, text, len, scan_rules_find(rules, ROLE_PART, text, first) != NULL);
}

void
scan_chain_add(struct scan_chain *chain, const char *text, size_t len)
{
    if (chain->len + 1 + len >= SCAN_NAME_LEN)
        scan_chain_forget(chain);
    if (chain->len + 1 + len >= SCAN_NAME_LEN)
        return;
    chain->text[chain->len] = '.';
    memcpy(chain->text + chain->len + 1, text, len);
    chain->len += 1 + len;
}

void
scan_chain_call(struct scan_chain *chain)
{
    if (!chain->known || chain->text[chain->len - 1] == ')' || chain->len + 2 >= SCAN_NAME_LEN) {
        scan_chain_forget(chain);
        return;
    }
    memcpy(chain->text + chain->len, "()", 2);
    chain->len += 2;
}

/* --- names of the code -------------------------------------------------------------------- */

void
scan_names_init(struct scan_names *names, const struct scan_rules *rules)
{
    memset(names, 0, offsetof(struct scan_names, stars));
    names->rules = rules;
}

void
scan_names_clear(struct scan_names *names)
{
    free(names->bindings);
    names->bindings = NULL;
}

struct scan_name
scan_name_of(const struct scan_rules *rules, const char *text, size_t len)
{
    uint64_t hash = scan_hash(SCAN_HASH, text, len);

    return (struct scan_name){
        .hash = hash | (hash == 0),
        .known = scan_rules_find_hashed(rules, ROLE_PART, hash, text, len) != NULL,
    };
}

/* The slot of the name: its own, or the free one where it would go. */
static uint16_t *
find_slot(struct scan_names *names, uint64_t name)
{
    size_t i = (size_t)(name >> 32) % SCAN_NAME_SLOTS;

    while (names->slots[i] != 0 && names->bindings[names->slots[i] - 1].name != name)
        i = (i + 1) % SCAN_NAME_SLOTS;
    return &names->slots[i];
}

static bool
is_below_pattern(const struct scan_rules *rules, const struct scan_chain *chain)
{
    uint64_t hash = SCAN_HASH;

    for (size_t i = 0; i < chain->len; i++) {
        if (chain->text[i] == '.' &&
            scan_rules_find_hashed(rules, ROLE_CALL_BELOW, hash, chain->text, i))
            return true;
        hash = scan_hash(hash, &chain->text[i], 1);
    }
    return false;
}

/* Whether some rule is about the object or something of it.  What is not, need not be followed. */
static bool
is_of_interest(const struct scan_names *names, const struct scan_chain *chain)
{
    return chain->decoded ||
           (chain->known && (scan_rules_find(names->rules, ROLE_PART, chain->text, chain->len) ||
                             is_below_pattern(names->rules, chain)));
}

static struct scan_binding *
add_binding(struct scan_names *names, uint64_t name, uint16_t *slot)
{
    if (names->n_bindings == SCAN_MAX_BINDINGS)
        return NULL;
    if ((names->n_bindings & (names->n_bindings - 1)) == 0) /* doubles */
        names->bindings =
            xrealloc(names->bindings,
                     (names->n_bindings ? names->n_bindings * 2 : 1) * sizeof(*names->bindings));
    names->bindings[names->n_bindings].name = name;
    *slot = (uint16_t)++names->n_bindings;
    return &names->bindings[names->n_bindings - 1];
}

/* A name that rules know is followed as well when it comes to mean something else. */
static bool
is_worth_following(const struct scan_names *names, const struct scan_name *name,
                   const struct scan_chain *chain)
{
    const bool itself = scan_hash(SCAN_HASH, chain->text, chain->len) == name->hash;

    return !itself &&
           (is_of_interest(names, chain) || (name->known && !scan_chain_is_unknown(chain)));
}

int
scan_names_bind(struct scan_names *names, const struct scan_name *name,
                const struct scan_chain *chain)
{
    uint16_t *slot = find_slot(names, name->hash);
    struct scan_binding *binding;

    if (*slot == 0 && !is_worth_following(names, name, chain))
        return 0;
    binding = *slot ? &names->bindings[*slot - 1] : add_binding(names, name->hash, slot);
    if (binding == NULL)
        return -1;
    scan_chain_copy(&binding->chain, chain);
    return 0;
}

void
scan_names_import_all(struct scan_names *names, const struct scan_chain *module)
{
    if (names->n_stars < SCAN_MAX_STARS && is_of_interest(names, module))
        names->stars[names->n_stars++] = *module;
}

void
scan_names_resolve(struct scan_names *names, const char *text, size_t len, struct scan_name *name,
                   struct scan_chain *chain)
{
    const uint16_t *slot;

    *name = scan_name_of(names->rules, text, len);
    slot = find_slot(names, name->hash);
    if (*slot) {
        scan_chain_copy(chain, &names->bindings[*slot - 1].chain);
        return;
    }
    for (unsigned i = 0; i < names->n_stars; i++) {
        scan_chain_copy(chain, &names->stars[i]);
        scan_chain_add(chain, text, len);
        if (is_of_interest(names, chain))
            return;
    }
    chain_put(chain, text, len, name->known);
}
