/*
 * auth.c - see auth.h.
 *
 * SQLite counts the changes of a file in its header.  That is all that is read of it until it differs.  The file is opened
 * for it, and must not be while SQLite has it open: closing it would end SQLite's locks, which are the process's.
 */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <sodium.h>
#include <uthash.h>

#include "bucket.h"
#include "clock.h"
#include "keystore.h"
#include "log.h"
#include "mem.h"

enum {
    LOOK_S = 1,      /* at the file, at most so often while keys are known */
    CHANGES_AT = 24, /* offset; https://www.sqlite.org/fileformat.html, 1.3.7 */
};

struct auth_key {
    struct caller caller;
    uint8_t hash[KEY_HASH_BYTES];
    time_t expires; /* 0 = never */
    bool revoked;
    unsigned rate; /* a minute; 0 = any */
    struct bucket bucket;
    unsigned long generation; /* of the reading that found it */
    UT_hash_handle hh;
};

/* What differs when a file has changed or is another.  All zero: there is none. */
struct stamp {
    dev_t device;
    ino_t inode;
    uint32_t changes; /* as it lies there: big endian */
};

struct auth {
    uint8_t master[KEY_HASH_BYTES];
    char *path;
    struct auth_key *keys; /* by id */
    unsigned long generation;
    struct stamp read; /* of the file when it was read */
    bool failed;       /* ... in vain */
    double looked;     /* clock_now */
    char complaint[400];
};

/* --- the file ----------------------------------------------------------------------------- */

/* Said once, not every second. */
static void
complain(struct auth *auth, const char *what)
{
    if (strcmp(auth->complaint, what) == 0)
        return;
    snprintf(auth->complaint, sizeof(auth->complaint), "%s", what);
    log_warn("keys: %s; those known stay", what);
}

static void
take_row(void *owner, const struct key_row *row)
{
    struct auth *auth = owner;
    struct auth_key *key;

    HASH_FIND_STR(auth->keys, row->id, key);
    if (key == NULL) {
        key = xcalloc(1, sizeof(*key));
        memcpy(key->caller.key, row->id, sizeof(key->caller.key));
        HASH_ADD_STR(auth->keys, caller.key, key);
    }
    memcpy(key->hash, row->hash, sizeof(key->hash));
    key->caller.max_sessions = row->max_sessions;
    key->expires = row->expires;
    key->revoked = row->revoked != 0;
    key->rate = row->rate;
    key->generation = auth->generation;
}

static void
drop_others(struct auth *auth)
{
    struct auth_key *key, *next;

    HASH_ITER (hh, auth->keys, key, next) {
        if (key->generation != auth->generation) {
            HASH_DEL(auth->keys, key);
            free(key);
        }
    }
}

static int
take_stamp(const char *path, struct stamp *stamp, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    memset(stamp, 0, sizeof(*stamp));
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0 ||
        pread(fd, &stamp->changes, sizeof(stamp->changes), CHANGES_AT) < 0)
        return err_sys(err, "cannot read %s", path);
    stamp->device = st.st_dev;
    stamp->inode = st.st_ino;
    return 0;
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->changes == b->changes;
}

static int
read_keys(struct auth *auth, struct err *err)
{
    struct keystore *store = keystore_open(auth->path, 0, err); /* a lock is not waited for */
    int rc;

    if (store == NULL)
        return -1;
    auth->generation++;
    rc = keystore_each(store, take_row, auth, err);
    keystore_close(store);
    if (rc == 0)
        drop_others(auth);
    return rc;
}

static int
follow(struct auth *auth, const struct stamp *stamp, struct err *err)
{
    auth->read = *stamp;
    if (stamp->inode)
        return read_keys(auth, err);
    auth->generation++;
    drop_others(auth);
    return 0;
}

/* A stranger's key is no reason to try a file again that could not be read. */
static void
look(struct auth *auth, bool for_stranger)
{
    struct stamp stamp;
    struct err err = ERR_INIT;
    int rc = take_stamp(auth->path, &stamp, &err);

    if (rc == 0 && is_same(&stamp, &auth->read) && (for_stranger || !auth->failed))
        return;
    if (rc == 0)
        rc = follow(auth, &stamp, &err);
    auth->failed = rc < 0;
    if (auth->failed)
        complain(auth, err.msg);
    else
        auth->complaint[0] = '\0';
}

struct auth *
auth_new(const char *master_token, const char *keys_path)
{
    struct auth *auth = xcalloc(1, sizeof(*auth));

    key_hash(master_token, auth->master);
    auth->path = xstrdup(keys_path);
    auth->looked = clock_now();
    look(auth, false);
    return auth;
}

void
auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    auth->generation++;
    drop_others(auth);
    sodium_memzero(auth->master, sizeof(auth->master));
    free(auth->path);
    free(auth);
}

/* --- a request ---------------------------------------------------------------------------- */

static struct auth_key *
find(struct auth *auth, const char *id)
{
    struct auth_key *key;
    double now = clock_now();

    if (now - auth->looked >= LOOK_S) {
        auth->looked = now;
        look(auth, false);
    }
    HASH_FIND_STR(auth->keys, id, key);
    if (key == NULL) { /* made just now, perhaps */
        look(auth, true);
        HASH_FIND_STR(auth->keys, id, key);
    }
    return key;
}

/* Hashes have one length, and are compared in constant time.  An id is no secret.  *key stays NULL for the master token. */
static enum auth_verdict
identify(struct auth *auth, const char *token, struct auth_key **key)
{
    uint8_t hash[KEY_HASH_BYTES];
    char id[KEY_ID_SIZE];

    *key = NULL;
    if (token == NULL)
        return AUTH_MISSING;
    key_hash(token, hash);
    if (sodium_memcmp(hash, auth->master, sizeof(hash)) == 0)
        return AUTH_OK;
    if (!key_parse(token, id) || (*key = find(auth, id)) == NULL ||
        sodium_memcmp(hash, (*key)->hash, sizeof(hash)) != 0)
        return AUTH_WRONG;
    if ((*key)->revoked)
        return AUTH_REVOKED;
    if ((*key)->expires && (*key)->expires <= time(NULL))
        return AUTH_EXPIRED;
    return AUTH_OK;
}

enum auth_verdict
auth_check(struct auth *auth, const char *token, struct caller *who, double *wait)
{
    struct auth_key *key;
    enum auth_verdict verdict = identify(auth, token, &key);

    memset(who, 0, sizeof(*who));
    *wait = 0;
    if (key && verdict != AUTH_WRONG)
        *who = key->caller;
    if (key && verdict == AUTH_OK && key->rate &&
        !bucket_take(&key->bucket, key->rate, clock_now(), wait))
        return AUTH_TOO_FAST;
    return verdict;
}

bool
auth_knows(struct auth *auth, const char *token)
{
    struct auth_key *key;

    return identify(auth, token, &key) == AUTH_OK;
}
