/* workload.c - see workload.h.  Numbers stay below 2^31 whatever the number of requests. */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MODULUS = 1000003 };

static const char *const names[] = {"stateful", "increment", "constant", "plot", "mixed"};

/* ---- numbers ---- */

/* SplitMix64: neighbouring seeds give unrelated sequences. */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double
workload_random(uint64_t *state)
{
    return (double)(next_random(state) >> 11) / 9007199254740992.0; /* 53 bits / 2^53 */
}

static int64_t
between(struct workload_user *u, int64_t low, int64_t high)
{
    return low + (int64_t)(next_random(&u->random) % (uint64_t)(high - low + 1));
}

/* ---- the scenarios: step 0 sets the state ---- */

static void
put_number(struct workload_step *out, int64_t n)
{
    snprintf(out->text, sizeof(out->text), "%" PRId64, n);
}

static void
arithmetic(struct workload_user *u, struct workload_step *out)
{
    const int64_t k = between(u, 2, 999);

    if (u->step == 0) {
        u->x = k;
        snprintf(out->code, sizeof(out->code), "x = %" PRId64, k);
        return;
    }
    switch (u->step % 3) {
    case 1:
        u->x += k;
        snprintf(out->code, sizeof(out->code), "x += %" PRId64 "\nprint(x)", k);
        break;
    case 2:
        u->x = u->x * k % MODULUS;
        snprintf(out->code, sizeof(out->code), "x = x * %" PRId64 " %% %d\nprint(x)", k, MODULUS);
        break;
    default:
        u->x -= k;
        if (u->x < 0)
            u->x = -u->x;
        snprintf(out->code, sizeof(out->code), "x = abs(x - %" PRId64 ")\nprint(x)", k);
    }
    put_number(out, u->x);
}

static void
list(struct workload_user *u, struct workload_step *out)
{
    const int64_t k = between(u, 1, 9999);

    if (u->step == 0) {
        u->x = k;
        snprintf(out->code, sizeof(out->code), "values = [%" PRId64 "]", k);
        return;
    }
    u->x += k;
    snprintf(out->code, sizeof(out->code), "values.append(%" PRId64 ")\nprint(sum(values))", k);
    put_number(out, u->x);
}

static int64_t
sum(const struct workload_user *u)
{
    int64_t total = 0;

    for (size_t i = 0; i < WORKLOAD_LIST_MAX; i++)
        total += u->v[i];
    return total;
}

static void
array_set(struct workload_user *u, struct workload_step *out)
{
    for (size_t i = 0; i < WORKLOAD_LIST_MAX; i++)
        u->v[i] = between(u, 1, 9999);
    snprintf(out->code, sizeof(out->code),
             "import numpy as np\nv = np.array([%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
             "], dtype=np.int64)",
             u->v[0], u->v[1], u->v[2], u->v[3]);
}

/* Scaled, summed, averaged.  The mean of four whole numbers has at most two decimals. */
static void
array(struct workload_user *u, struct workload_step *out)
{
    const int64_t k = between(u, 2, 999);

    switch (u->step == 0 ? -1 : (int)(u->step % 3)) {
    case -1:
        array_set(u, out);
        return;
    case 1:
        for (size_t i = 0; i < WORKLOAD_LIST_MAX; i++)
            u->v[i] = u->v[i] * k % MODULUS;
        snprintf(out->code, sizeof(out->code), "v = v * %" PRId64 " %% %d\nprint(v[0])", k,
                 MODULUS);
        put_number(out, u->v[0]);
        return;
    case 2:
        snprintf(out->code, sizeof(out->code), "print(v.sum())");
        put_number(out, sum(u));
        return;
    default:
        snprintf(out->code, sizeof(out->code), "print(f'{v.mean():.2f}')");
        snprintf(out->text, sizeof(out->text), "%.2f", (double)sum(u) / WORKLOAD_LIST_MAX);
    }
}

static void
increment(struct workload_user *u, struct workload_step *out)
{
    if (u->step == 0) {
        u->x = between(u, 0, 999999);
        snprintf(out->code, sizeof(out->code), "a = %" PRId64, u->x);
        return;
    }
    snprintf(out->code, sizeof(out->code), "a += 1; a");
    put_number(out, ++u->x);
}

static void
constant(struct workload_user *u, struct workload_step *out)
{
    (void)u;
    snprintf(out->code, sizeof(out->code), "1 + 1");
    put_number(out, 2);
}

static void
plot(struct workload_user *u, struct workload_step *out)
{
    if (u->step == 0) {
        u->x = between(u, 2, 99);
        snprintf(out->code, sizeof(out->code), "import matplotlib.pyplot as plt\nn = %" PRId64,
                 u->x);
        return;
    }
    snprintf(out->code, sizeof(out->code),
             "n += 1\nplt.figure(figsize=(4, 3))\nplt.plot([i * i for i in range(n)])\n"
             "plt.title(f'{n} points')\nplt.show()\nprint(n)");
    put_number(out, ++u->x);
    out->picture = true;
}

typedef void scenario(struct workload_user *, struct workload_step *);

static scenario *const scenarios[] = {arithmetic, list, array, increment, plot, constant};

enum { N_STATEFUL = 3, N_MIXED = 5, INCREMENT = 3, PLOT = 4, CONSTANT = 5 };

/* ---- users ---- */

int
workload_parse(const char *name)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

const char *
workload_name(enum workload w)
{
    return names[w];
}

static int
scenario_of(enum workload w, unsigned number)
{
    switch (w) {
    case WORKLOAD_STATEFUL:
        return (int)(number % N_STATEFUL);
    case WORKLOAD_MIXED:
        return (int)(number % N_MIXED);
    case WORKLOAD_INCREMENT:
        return INCREMENT;
    case WORKLOAD_PLOT:
        return PLOT;
    case WORKLOAD_CONSTANT:
        break;
    }
    return CONSTANT;
}

void
workload_user_init(struct workload_user *u, enum workload w, uint64_t seed, unsigned number)
{
    memset(u, 0, sizeof(*u));
    u->scenario = scenario_of(w, number);
    u->random = seed ^ ((uint64_t)number << 32);
    u->random = next_random(&u->random);
}

void
workload_user_restart(struct workload_user *u)
{
    u->step = 0;
}

void
workload_next(struct workload_user *u, struct workload_step *out)
{
    memset(out, 0, sizeof(*out));
    scenarios[u->scenario](u, out);
    u->step++;
}

/* ---- answers ---- */

static size_t
without_newline(const struct workload_answer *a)
{
    if (a->text == NULL)
        return 0;
    return a->text_len > 0 && a->text[a->text_len - 1] == '\n' ? a->text_len - 1 : a->text_len;
}

/* A whole PNG: its signature, and the end of its last chunk, which is always the same 12 bytes. */
static bool
is_png(const char *base64)
{
    static const char head[] = "iVBORw0KGgo";
    /* AAAAAElFTkSuQmCC in base64, when the length before it is a multiple of 3, and the other cases. */
    static const char *const tails[] = {"AAAAAElFTkSuQmCC",
                                        "AAAABJRU5ErkJggg==", "AAAASUVORK5CYII="};
    size_t len = strlen(base64);

    while (len > 0 && base64[len - 1] == '\n')
        len--;
    if (len < 100 || strncmp(base64, head, strlen(head)) != 0)
        return false;
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
        if (memcmp(base64 + len - strlen(tails[i]), tails[i], strlen(tails[i])) == 0)
            return true;
    return false;
}

bool
workload_is_right(const struct workload_step *step, const struct workload_answer *a)
{
    const size_t len = without_newline(a);

    if (a->raised || len != strlen(step->text))
        return false;
    if (len > 0 && memcmp(a->text, step->text, len) != 0)
        return false;
    if (!step->picture)
        return a->png == NULL;
    return a->png != NULL && is_png(a->png);
}
