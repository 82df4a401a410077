/* config_value.c - see config_value.h. */
#include "config_value.h"

#include <assert.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

#define MAX_SHOWN 80 /* bytes of a wrong value that a message quotes */

static_assert(sizeof(enum log_level) == sizeof(unsigned), "a choice is read and written as one");

static void *
field_of(struct config *cfg, const struct setting *s)
{
    return (char *)cfg + s->offset;
}

static const void *
field_in(const struct config *cfg, const struct setting *s)
{
    return (const char *)cfg + s->offset;
}

/* --- reading ------------------------------------------------------------------------------ */

static bool
parse_unsigned(const char *text, uint64_t *out)
{
    size_t len = strlen(text);

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

/* Digits, maybe a point and digits; the same in every locale. */
static bool
parse_double(const char *text, double *out)
{
    size_t whole = strspn(text, "0123456789"), len = whole;
    locale_t c;

    if (text[whole] == '.')
        len += 1 + strspn(text + whole + 1, "0123456789");
    if (whole == 0 || text[len] != '\0' || text[len - 1] == '.' || len > 40)
        return false;
    c = newlocale(LC_ALL_MASK, "C", NULL);
    if (c == NULL)
        return false;
    *out = strtod_l(text, NULL, c);
    freelocale(c);
    return true;
}

static bool
set_integer(const struct setting *s, void *field, const char *text)
{
    uint64_t n;

    if (!parse_unsigned(text, &n) || (double)n < s->min || (double)n > s->max)
        return false;
    if (s->type == SETTING_SIZE)
        *(size_t *)field = (size_t)n;
    else
        *(unsigned *)field = (unsigned)n;
    return true;
}

static bool
set_double(const struct setting *s, void *field, const char *text)
{
    double d;

    if (!parse_double(text, &d) || d < s->min || d > s->max)
        return false;
    *(double *)field = d;
    return true;
}

static bool
set_choice(const struct setting *s, void *field, const char *text)
{
    for (unsigned i = 0; s->choices[i] != NULL; i++) {
        if (strcmp(s->choices[i], text) == 0) {
            *(unsigned *)field = (unsigned)s->min + i;
            return true;
        }
    }
    return false;
}

bool
config_value_read(struct config *cfg, const struct setting *s, const char *text)
{
    void *field = field_of(cfg, s);

    switch (s->type) {
    case SETTING_UNSIGNED:
    case SETTING_SIZE:
        return set_integer(s, field, text);
    case SETTING_DOUBLE:
        return set_double(s, field, text);
    case SETTING_CHOICE:
        return set_choice(s, field, text);
    case SETTING_STRING:
        if (s->check != NULL && !s->check(text))
            return false;
        free(*(char **)field);
        *(char **)field = xstrdup(text);
        return true;
    }
    return false;
}

/* --- what is allowed ---------------------------------------------------------------------- */

const char *
config_value_allowed(const struct setting *s, char *buf, size_t size)
{
    if (s->max == 0)
        return s->allowed;
    snprintf(buf, size, "%s%.10g to %.10g%s%s", s->type == SETTING_DOUBLE ? "" : "a whole number, ",
             s->min, s->max, s->allowed[0] == '\0' ? "" : " ", s->allowed);
    for (char *p = buf; *p != '\0' && s->type == SETTING_DOUBLE; p++)
        if (*p == ',') /* the decimal point of a locale */
            *p = '.';
    return buf;
}

int
config_value_refuse(const struct setting *s, const char *text, const char *source, struct err *err)
{
    char buf[80];

    if (s->flags & SETTING_SECRET)
        return err_field(err, ERR_CONFIG, s->name, "%s (%s) is not usable; allowed: %s", s->name,
                         source, config_value_allowed(s, buf, sizeof(buf)));
    return err_field(err, ERR_CONFIG, s->name, "%s = \"%.*s%s\" (%s) is not usable; allowed: %s",
                     s->name, MAX_SHOWN, text, strlen(text) > MAX_SHOWN ? "..." : "", source,
                     config_value_allowed(s, buf, sizeof(buf)));
}

int
config_value_set(struct config *cfg, const struct setting *s, const char *text, const char *source,
                 struct err *err)
{
    return config_value_read(cfg, s, text) ? 0 : config_value_refuse(s, text, source, err);
}

/* --- comparing ---------------------------------------------------------------------------- */

bool
config_value_is_same(const struct config *a, const struct config *b, const struct setting *s)
{
    const void *x = field_in(a, s), *y = field_in(b, s);

    switch (s->type) {
    case SETTING_UNSIGNED:
    case SETTING_CHOICE:
        return *(const unsigned *)x == *(const unsigned *)y;
    case SETTING_SIZE:
        return *(const size_t *)x == *(const size_t *)y;
    case SETTING_DOUBLE:
        return *(const double *)x == *(const double *)y;
    case SETTING_STRING:
        return strcmp(*(char *const *)x, *(char *const *)y) == 0;
    }
    return true;
}

void
config_value_swap(struct config *a, struct config *b, const struct setting *s)
{
    static const size_t sizes[] = {
        [SETTING_UNSIGNED] = sizeof(unsigned), [SETTING_SIZE] = sizeof(size_t),
        [SETTING_DOUBLE] = sizeof(double),     [SETTING_CHOICE] = sizeof(unsigned),
        [SETTING_STRING] = sizeof(char *),
    };
    char tmp[sizeof(double) > sizeof(size_t) ? sizeof(double) : sizeof(size_t)];

    memcpy(tmp, field_of(a, s), sizes[s->type]);
    memcpy(field_of(a, s), field_of(b, s), sizes[s->type]);
    memcpy(field_of(b, s), tmp, sizes[s->type]);
}

void
config_value_free(struct config *cfg, const struct setting *s)
{
    char *value;

    if (s->type != SETTING_STRING)
        return;
    value = *(char **)field_of(cfg, s);
    if (value != NULL && (s->flags & SETTING_SECRET))
        explicit_bzero(value, strlen(value));
    free(value);
}
