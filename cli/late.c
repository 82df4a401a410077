/* late.c - see late.h. */
#include "late.h"

#include <string.h>

/* Numbers up to a c: what the terminal is. */
static enum late_kind
judge_numbers(char last)
{
    if (last == 'c')
        return LATE_LAST;
    return (last >= '0' && last <= '9') || last == ';' ? LATE_HELD : LATE_TYPED;
}

/* Text up to BEL or ST. */
static enum late_kind
judge_text(char before, char last)
{
    if (before == '\033')
        return last == '\\' ? LATE_ANSWER : LATE_TYPED;
    if (last == '\a')
        return LATE_ANSWER;
    return last == '\033' || (last >= ' ' && last <= '~') ? LATE_HELD : LATE_TYPED;
}

static enum late_kind
judge(const char *held, size_t len)
{
    static const char *const begins[] = {"\033_Gi=31;", "\033P>|", "\033[?"};

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        const size_t n = strlen(begins[i]);

        if (memcmp(held, begins[i], len < n ? len : n) != 0)
            continue;
        if (len <= n)
            return LATE_HELD;
        return begins[i][1] == '[' ? judge_numbers(held[len - 1])
                                   : judge_text(held[len - 2], held[len - 1]);
    }
    return LATE_TYPED;
}

enum late_kind
late_take(struct late *l, char byte)
{
    enum late_kind kind;

    l->len -= l->settled;
    memmove(l->held, l->held + l->settled, l->len);
    l->held[l->len++] = byte;
    kind = judge(l->held, l->len);
    if (kind == LATE_HELD && l->len == sizeof(l->held))
        kind = LATE_TYPED;
    if (kind == LATE_HELD)
        l->settled = 0;
    else if (kind == LATE_TYPED && byte == '\033' && l->len > 1)
        l->settled = l->len - 1; /* that may be an answer's beginning */
    else
        l->settled = l->len;
    return kind;
}
