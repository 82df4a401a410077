#include "audit_event.h"

#include <sodium.h>

#include "mem.h"

void
audit_event_set_time(struct audit_event *e)
{
    timestamp_text(timestamp_now(), e->time);
}

void
audit_event_hash_text(const struct audit_event *e, char text[2 * AUDIT_HASH_BYTES + 1])
{
    text[0] = '\0';
    if (e->has_code)
        sodium_bin2hex(text, 2 * AUDIT_HASH_BYTES + 1, e->code_hash, sizeof(e->code_hash));
}

static const char *
or_null(const char *text)
{
    return text[0] ? text : NULL;
}

json_t *
audit_event_json(const struct audit_event *e)
{
    char hash[2 * AUDIT_HASH_BYTES + 1];

    audit_event_hash_text(e, hash);
    return xnotnull(json_pack(
        "{s:s,s:s?,s:s,s:s?,s:s,s:s?,s:s?,s:o,s:s,s:o,s:f,s:s?}", "time", e->time, "request_id",
        or_null(e->request), "action", e->action, "who", or_null(e->who), "address", e->address,
        "user_uuid", or_null(e->user), "code_sha256", or_null(hash), "code_bytes",
        e->has_code ? json_integer((json_int_t)e->code_len) : json_null(), "outcome", e->outcome,
        "status", e->status ? json_integer(e->status) : json_null(), "duration_ms", e->duration_ms,
        "detail", or_null(e->detail)));
}
