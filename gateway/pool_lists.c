#include "pool_lists.h"

#include <string.h>
#include <utlist.h>

#include "caller.h"
#include "clock.h"
#include "kernels.h"
#include "mem.h"

/* Into the list of a state, and out of the one that it is in: members and users alike, heads and counts being theirs. */
#define ENTER(heads, counts, one, state)                                                           \
    do {                                                                                           \
        (one)->list = (state);                                                                     \
        (one)->since = clock_now();                                                                \
        DL_APPEND((heads)[state], one);                                                            \
        (counts)[state]++;                                                                         \
    } while (0)

#define LEAVE(heads, counts, one)                                                                  \
    do {                                                                                           \
        DL_DELETE((heads)[(one)->list], one);                                                      \
        (counts)[(one)->list]--;                                                                   \
    } while (0)

/* --- workers ------------------------------------------------------------------------------ */

struct member *
member_new(struct pool_lists *lists, struct kernel_kind *kind, unsigned slot)
{
    struct member *m = xcalloc(1, sizeof(*m));

    m->pool = lists->pool;
    m->kind = kind;
    m->slot = slot;
    ENTER(lists->members, lists->n_members, m, STARTING);
    return m;
}

void
member_move(struct pool_lists *lists, struct member *m, enum member_list list)
{
    LEAVE(lists->members, lists->n_members, m);
    ENTER(lists->members, lists->n_members, m, list);
}

void
member_free(struct pool_lists *lists, struct member *m)
{
    LEAVE(lists->members, lists->n_members, m);
    free(m);
}

unsigned
pool_lists_alive(const struct pool_lists *lists)
{
    return lists->n_members[STARTING] + lists->n_members[WARM] + lists->n_members[ASSIGNED];
}

static bool
is_of_kind(const struct kernel_kind *one, const struct kernel_kind *wanted)
{
    return wanted == NULL || one == wanted;
}

static unsigned
count(const struct pool_lists *lists, enum member_list list, const struct kernel_kind *kind)
{
    const struct member *m;
    unsigned n = 0;

    DL_FOREACH (lists->members[list], m)
        n += is_of_kind(m->kind, kind);
    return n;
}

unsigned
pool_lists_coming(const struct pool_lists *lists, const struct kernel_kind *kind)
{
    const struct member *m;
    unsigned n = 0;

    DL_FOREACH (lists->members[STARTING], m)
        n += m->user == NULL && is_of_kind(m->kind, kind);
    return n;
}

unsigned
pool_lists_starting(const struct pool_lists *lists)
{
    const struct member *m;
    unsigned n = 0;

    DL_FOREACH (lists->members[STARTING], m)
        n += !m->adopted;
    return n;
}

unsigned
pool_lists_alive_of(const struct pool_lists *lists, const struct kernel_kind *kind)
{
    return count(lists, STARTING, kind) + count(lists, WARM, kind) + count(lists, ASSIGNED, kind);
}

unsigned
pool_lists_warm(const struct pool_lists *lists, const struct kernel_kind *kind)
{
    return count(lists, WARM, kind);
}

struct member *
pool_lists_first_warm(const struct pool_lists *lists, const struct kernel_kind *kind)
{
    struct member *m;

    DL_FOREACH (lists->members[WARM], m)
        if (is_of_kind(m->kind, kind))
            return m;
    return NULL;
}

static bool
is_slot_used(const struct pool_lists *lists, unsigned slot)
{
    const struct member *m;

    for (int i = 0; i < N_MEMBER_LISTS; i++)
        DL_FOREACH (lists->members[i], m)
            if (m->slot == slot)
                return true;
    return false;
}

unsigned
pool_lists_free_slot(const struct pool_lists *lists)
{
    unsigned slot = 0;

    while (is_slot_used(lists, slot))
        slot++;
    return slot;
}

/* --- users -------------------------------------------------------------------------------- */

char *
user_full_name(const struct caller *who, const char *name)
{
    return xasprintf("%s%s%s", who->key, caller_is_master(who) ? "" : "/", name);
}

const char *
user_short_name(const struct user *u)
{
    const char *slash = strchr(u->name, '/');

    return slash ? slash + 1 : u->name;
}

struct caller
user_owner(const struct user *u)
{
    const char *slash = strchr(u->name, '/');
    struct caller who = {.key = ""};

    if (slash && slash - u->name == KEY_ID_CHARS)
        memcpy(who.key, u->name, KEY_ID_CHARS);
    return who;
}

bool
user_is_of(const struct user *u, const struct caller *who)
{
    size_t len = strlen(who->key);

    return strncmp(u->name, who->key, len) == 0 && u->name[len] == '/';
}

struct user *
user_find(const struct pool_lists *lists, const char *name)
{
    struct user *u;

    HASH_FIND_STR(lists->users, name, u);
    return u;
}

struct user *
user_new(struct pool_lists *lists, const char *name, int64_t created_ms, enum user_list list)
{
    struct user *u = xcalloc(1, sizeof(*u));

    u->pool = lists->pool;
    u->name = xstrdup(name);
    u->created_ms = u->last_used_ms = created_ms;
    u->idle_since = clock_now();
    lists->serial++;
    if (lists->serial < (unsigned long long)created_ms)
        lists->serial = (unsigned long long)created_ms;
    u->serial = lists->serial;
    HASH_ADD_KEYPTR(hh, lists->users, u->name, strlen(u->name), u);
    ENTER(lists->user_lists, lists->n_users, u, list);
    return u;
}

void
user_set_kind(struct user *u, struct kernel_kind *kind)
{
    struct kernel_kind *old = u->kind;

    u->kind = kind ? kernel_kind_ref(kind) : NULL;
    kernel_kind_unref(old);
}

void
user_move(struct pool_lists *lists, struct user *u, enum user_list list)
{
    LEAVE(lists->user_lists, lists->n_users, u);
    ENTER(lists->user_lists, lists->n_users, u, list);
}

void
user_free(struct pool_lists *lists, struct user *u)
{
    LEAVE(lists->user_lists, lists->n_users, u);
    HASH_DEL(lists->users, u);
    kernel_kind_unref(u->kind);
    terms_clear(&u->terms);
    json_decref(u->history);
    free(u->name);
    free(u);
}

struct user *
pool_lists_first_waiting(const struct pool_lists *lists, const struct kernel_kind *kind)
{
    struct user *u;

    DL_FOREACH (lists->user_lists[WAITING], u)
        if (u->member == NULL && !u->own && is_of_kind(u->kind, kind))
            return u;
    return NULL;
}

unsigned
pool_lists_waiting(const struct pool_lists *lists, const struct kernel_kind *kind)
{
    const struct user *u;
    unsigned n = 0;

    DL_FOREACH (lists->user_lists[WAITING], u)
        n += u->member == NULL && !u->own && is_of_kind(u->kind, kind);
    return n;
}

unsigned
pool_lists_sessions_of(const struct pool_lists *lists, const struct caller *who)
{
    const struct user *u;
    unsigned n = 0;

    DL_FOREACH (lists->user_lists[WAITING], u)
        n += user_is_of(u, who);
    DL_FOREACH (lists->user_lists[ACTIVE], u)
        n += user_is_of(u, who);
    return n;
}
