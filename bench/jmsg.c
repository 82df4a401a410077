/* jmsg.c - see jmsg.h. */
#include "jmsg.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <sodium.h>
#include <zmq.h>

enum { SIGNATURE = 1, HEADER, PARENT, METADATA, CONTENT, N_FRAMES, MAX_FRAMES = 32 };

static const char delimiter[] = "<IDS|MSG>";

struct parts { /* the frames of one received message */
    zmq_msg_t frames[MAX_FRAMES];
    size_t n;
};

/* ---- signature ---- */

struct bytes {
    const void *data;
    size_t len;
};

static void
sign(const char *key, const struct bytes *frames, char *hex)
{
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, strlen(key));
    for (int i = HEADER; i <= CONTENT; i++)
        crypto_auth_hmacsha256_update(&state, frames[i].data, frames[i].len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex, 2 * sizeof(mac) + 1, mac, sizeof(mac));
}

/* ---- sending ---- */

static void
put_date(char *out, size_t size)
{
    struct timespec now;
    struct tm tm;
    char seconds[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%06ldZ", seconds, now.tv_nsec / 1000);
}

static char *
new_header(const char *msg_id, const char *msg_type)
{
    json_auto_t *header = NULL;
    char date[64];

    put_date(date, sizeof(date));
    header = xnotnull(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "msg_id", msg_id, "session",
                                "floor", "username", "tci", "date", date, "msg_type", msg_type,
                                "version", "5.3"));
    return xnotnull(json_dumps(header, JSON_COMPACT));
}

int
jmsg_send(void *socket, const char *key, const char *msg_id, const char *msg_type,
          const json_t *content, struct err *err)
{
    cleanup_free char *header = new_header(msg_id, msg_type);
    cleanup_free char *text = xnotnull(json_dumps(content, JSON_COMPACT));
    char signature[2 * crypto_auth_hmacsha256_BYTES + 1];
    struct bytes frames[N_FRAMES] = {
        {delimiter, strlen(delimiter)},
        {signature, sizeof(signature) - 1},
        {header, strlen(header)},
        {"{}", 2},
        {"{}", 2},
        {text, strlen(text)},
    };

    sign(key, frames, signature);
    for (int i = 0; i < N_FRAMES; i++)
        if (zmq_send(socket, frames[i].data, frames[i].len,
                     ZMQ_DONTWAIT | (i == N_FRAMES - 1 ? 0 : ZMQ_SNDMORE)) < 0)
            return err_sys(err, "cannot send to the kernel");
    return 0;
}

/* ---- receiving ---- */

static void
parts_clear(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        zmq_msg_close(&p->frames[i]);
    p->n = 0;
}

static int
receive_parts(void *socket, struct parts *p, struct err *err)
{
    p->n = 0;
    do {
        if (p->n == MAX_FRAMES)
            return err_set(err, ERR_PEER, "the kernel sent a message of too many frames");
        zmq_msg_init(&p->frames[p->n]);
        if (zmq_msg_recv(&p->frames[p->n], socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&p->frames[p->n]);
            return zmq_errno() == EAGAIN && p->n == 0 ? 0 : err_sys(err, "cannot receive");
        }
        p->n++;
    } while (zmq_msg_more(&p->frames[p->n - 1]));
    return 1;
}

static struct bytes
frame(struct parts *p, size_t i)
{
    return (struct bytes){zmq_msg_data(&p->frames[i]), zmq_msg_size(&p->frames[i])};
}

/* Index of the delimiter, or p->n. */
static size_t
find_delimiter(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (zmq_msg_size(&p->frames[i]) == strlen(delimiter) &&
            memcmp(zmq_msg_data(&p->frames[i]), delimiter, strlen(delimiter)) == 0)
            return i;
    return p->n;
}

static int
verify_and_parse(struct parts *p, const char *key, struct jmsg *out, struct err *err)
{
    const size_t begin = find_delimiter(p);
    struct bytes frames[N_FRAMES];
    char signature[2 * crypto_auth_hmacsha256_BYTES + 1];

    if (p->n - begin < N_FRAMES)
        return err_set(err, ERR_PEER, "the kernel sent a message of too few frames");
    for (size_t i = 0; i < N_FRAMES; i++)
        frames[i] = frame(p, begin + i);
    sign(key, frames, signature);
    if (frames[SIGNATURE].len != sizeof(signature) - 1 ||
        sodium_memcmp(frames[SIGNATURE].data, signature, sizeof(signature) - 1) != 0)
        return err_set(err, ERR_PEER, "the kernel sent a message with a wrong signature");
    out->header = json_loadb(frames[HEADER].data, frames[HEADER].len, 0, NULL);
    out->parent = json_loadb(frames[PARENT].data, frames[PARENT].len, 0, NULL);
    out->content = json_loadb(frames[CONTENT].data, frames[CONTENT].len, JSON_ALLOW_NUL, NULL);
    if (out->header == NULL || out->parent == NULL || out->content == NULL)
        return err_set(err, ERR_PEER, "the kernel sent a message that is not JSON");
    return 1;
}

int
jmsg_receive(void *socket, const char *key, struct jmsg *out, struct err *err)
{
    struct parts parts;
    int rc = receive_parts(socket, &parts, err);

    memset(out, 0, sizeof(*out));
    if (rc == 1)
        rc = verify_and_parse(&parts, key, out, err);
    if (rc < 0)
        jmsg_clear(out);
    parts_clear(&parts);
    return rc;
}

void
jmsg_clear(struct jmsg *m)
{
    json_decref(m->header);
    json_decref(m->parent);
    json_decref(m->content);
    memset(m, 0, sizeof(*m));
}

static const char *
string_at(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s == NULL ? "" : s;
}

const char *
jmsg_type(const struct jmsg *m)
{
    return string_at(m->header, "msg_type");
}

const char *
jmsg_parent(const struct jmsg *m)
{
    return string_at(m->parent, "msg_id");
}
