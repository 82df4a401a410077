/* limits.c - see limits.h. */
#include "limits.h"

static void
refill(struct allowance *a, double amount)
{
    a->left = a->left + amount < LIMITS_ALLOWANCE ? a->left + amount : LIMITS_ALLOWANCE;
}

static bool
spend(struct allowance *a, int64_t now_ms)
{
    refill(a, (double)(now_ms - a->at_ms) * LIMITS_PER_SECOND / 1000);
    a->at_ms = now_ms;
    if (a->left < 1)
        return false;
    a->left -= 1;
    return true;
}

void
limits_execute(struct limits *l, uint64_t bytes, uint32_t messages, int64_t now_ms)
{
    const struct allowance full = {LIMITS_ALLOWANCE, now_ms};

    l->bytes_left = bytes;
    l->message_bytes = UINT64_MAX;
    l->messages_left = messages;
    l->full = false;
    l->paid_ms = 0;
    l->resume_ms = 0;
    l->reply_bytes_left =
        bytes < UINT64_MAX - LIMITS_REPLY_EXTRA ? bytes + LIMITS_REPLY_EXTRA : bytes;
    l->status = full;
    l->replies = full;
}

void
limits_init(struct limits *l, int64_t now_ms)
{
    limits_execute(l, LIMITS_FIRST_BYTES, LIMITS_FIRST_MESSAGES, now_ms);
}

void
limits_request(struct limits *l)
{
    refill(&l->status, LIMITS_PER_REQUEST);
    refill(&l->replies, LIMITS_PER_REQUEST);
}

uint64_t
limits_room(const struct limits *l)
{
    return l->full || l->messages_left == 0 ? 0 : l->bytes_left;
}

uint64_t
limits_take_rest(struct limits *l)
{
    /* Where one message has a limit, the tail must not grow beyond it. */
    const uint64_t rest = l->full && l->message_bytes == UINT64_MAX ? l->bytes_left : 0;

    l->bytes_left -= rest;
    return rest;
}

static void
pay(struct limits *l, size_t bytes, int64_t now_ms)
{
    const double message = 1000.0 / LIMITS_OVER_PER_SECOND;
    const double size = (double)bytes / LIMITS_OVER_BYTES_PER_MS;

    l->paid_ms = (l->paid_ms > (double)now_ms ? l->paid_ms : (double)now_ms) +
                 (message > size ? message : size);
    if (l->paid_ms > (double)(now_ms + LIMITS_OVER_BURST_MS))
        l->resume_ms = (int64_t)l->paid_ms;
}

enum limits_verdict
limits_output(struct limits *l, size_t bytes, int64_t now_ms)
{
    l->full |= l->messages_left == 0 || bytes > l->bytes_left || bytes > l->message_bytes;
    if (l->full) {
        pay(l, bytes, now_ms);
        return LIMITS_TAIL;
    }
    l->messages_left--;
    l->bytes_left -= bytes;
    return LIMITS_PASS;
}

enum limits_verdict
limits_status(struct limits *l, int64_t now_ms)
{
    return spend(&l->status, now_ms) ? LIMITS_PASS : LIMITS_GIVE_UP;
}

enum limits_verdict
limits_reply(struct limits *l, size_t bytes, int64_t now_ms)
{
    const bool huge =
        l->message_bytes != UINT64_MAX && bytes > l->message_bytes + LIMITS_REPLY_EXTRA;

    if (!spend(&l->replies, now_ms) || huge || bytes > l->reply_bytes_left)
        return LIMITS_GIVE_UP;
    l->reply_bytes_left -= bytes;
    return LIMITS_PASS;
}
