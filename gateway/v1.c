#include "v1.h"

#include <stdio.h>
#include <string.h>
#include <sodium.h>

#include "http_json.h"
#include "key.h"
#include "pool.h"
#include "target.h"

bool
v1_find_owner(struct http_request *r, const struct caller *who, const struct target *target,
              struct caller *owner)
{
    const char *key = target_query(target, "key");
    struct err err = ERR_INIT;

    *owner = *who;
    if (key == NULL || strcmp(key, who->key) == 0)
        return true;
    if (!caller_is_master(who))
        err_field(&err, ERR_BAD_REQUEST, "key", "key: it is not yours");
    else if (strlen(key) != KEY_ID_CHARS || !key_is_id(key))
        err_field(&err, ERR_BAD_REQUEST, "key",
                  "key: must be the id of an API key, 12 characters of 0-9 a-f");
    if (err.code != ERR_NONE) {
        http_reply_error(r, &err, NULL);
        return false;
    }
    snprintf(owner->key, sizeof(owner->key), "%s", key);
    return true;
}

bool
v1_find_session(struct api *api, struct http_request *r, const struct caller *who,
                const struct target *target, struct v1_session *out)
{
    const char *id = target_param(target, "id");
    struct err err = ERR_INIT;

    if (!v1_find_owner(r, who, target, &out->owner))
        return false;
    out->spoken_for = strcmp(out->owner.key, who->key) != 0;
    if (body_is_user(id)) {
        http_set_session(r, id);
        snprintf(out->id, sizeof(out->id), "%s", id);
        if (pool_has_session(api_parts(api)->pool, &out->owner, id))
            return true;
    }
    err_set(&err, ERR_NOT_FOUND, "There is no such session");
    http_reply_error(r, &err, NULL);
    return false;
}

char *
v1_draw_id(const char *prefix)
{
    unsigned char random[16];
    char text[2 * sizeof(random) + 1];

    randombytes_buf(random, sizeof(random));
    return xasprintf("%s%s", prefix, sodium_bin2hex(text, sizeof(text), random, sizeof(random)));
}
