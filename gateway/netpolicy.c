/* netpolicy.c - see netpolicy.h. */
#include "netpolicy.h"

#include <stdio.h>

static const char separators[] = ", \t";

enum { ENTRY_MAX = NETHOST_MAX + 16 };

struct entry {
    struct nethost host;
    bool wildcard; /* what is below the host */
    uint16_t port; /* 0 = 80 and 443 */
};

struct netpolicy {
    struct entry *allow;
    size_t n_allow;
    struct netrange *permit;
    size_t n_permit;
};

/* --- hosts -------------------------------------------------------------------------------- */

static bool
is_label(const char *label, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", label[i]) == NULL)
            return false;
    return len >= 1 && len <= 63 && label[0] != '-' && label[len - 1] != '-';
}

/* As inet_aton(3) and browsers see it: a number, decimal, octal or hexadecimal. */
static bool
is_number(const char *label)
{
    if (label[0] == '0' && label[1] == 'x')
        return label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
    return label[strspn(label, "0123456789")] == '\0';
}

/* What ends in a number is an address to somebody, and no name of the DNS does. */
static bool
is_name(const char *text)
{
    const char *label = text;

    for (;;) {
        const size_t len = strcspn(label, ".");

        if (!is_label(label, len))
            return false;
        if (label[len] == '\0')
            return !is_number(label);
        label += len + 1;
    }
}

static int
parse_literal(const char *text, struct nethost *out)
{
    out->literal = true;
    if (netaddr_parse(text, &out->address) < 0)
        return -1;
    netaddr_text(&out->address, out->text);
    return 0;
}

static int
parse_bracketed(const char *text, size_t len, struct nethost *out)
{
    char inner[NETADDR_TEXT];

    if (len < 2 || text[len - 1] != ']' || len - 2 >= sizeof(inner))
        return -1;
    memcpy(inner, text + 1, len - 2);
    inner[len - 2] = '\0';
    return strchr(inner, ':') ? parse_literal(inner, out) : -1;
}

int
nethost_parse(const char *text, size_t len, struct nethost *out)
{
    const bool dotted = len > 1 && text[len - 1] == '.';

    memset(out, 0, sizeof(*out));
    if (len > 0 && text[0] == '[')
        return parse_bracketed(text, len, out);
    len -= dotted;
    if (len == 0 || len > NETHOST_MAX || memchr(text, '\0', len))
        return -1;
    for (size_t i = 0; i < len; i++)
        out->text[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
    if (is_name(out->text))
        return 0;
    return dotted || strchr(out->text, ':') ? -1 : parse_literal(out->text, out);
}

/* --- the lists ---------------------------------------------------------------------------- */

static int
parse_port(const char *text, uint16_t *port)
{
    const size_t len = strlen(text);
    unsigned long n;

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return -1;
    n = strtoul(text, NULL, 10);
    *port = (uint16_t)n;
    return n >= 1 && n <= UINT16_MAX ? 0 : -1;
}

static int
parse_entry(const char *text, struct entry *e)
{
    const char *host = text, *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    size_t len;

    memset(e, 0, sizeof(*e));
    if (colon && bracket && colon < bracket)
        colon = NULL; /* of the address */
    if (colon && parse_port(colon + 1, &e->port) < 0)
        return -1;
    e->wildcard = strncmp(host, "*.", 2) == 0;
    host += e->wildcard ? 2 : 0;
    len = colon ? (size_t)(colon - host) : strlen(host);
    if (nethost_parse(host, len, &e->host) < 0)
        return -1;
    return e->wildcard && e->host.literal ? -1 : 0;
}

static int
add_allow(struct netpolicy *p, const char *text)
{
    struct entry e;

    if (parse_entry(text, &e) < 0)
        return -1;
    p->allow = xrealloc(p->allow, (p->n_allow + 1) * sizeof(*p->allow));
    p->allow[p->n_allow++] = e;
    return 0;
}

static int
add_permit(struct netpolicy *p, const char *text)
{
    struct netrange range;

    if (netrange_parse(text, &range) < 0)
        return -1;
    p->permit = xrealloc(p->permit, (p->n_permit + 1) * sizeof(*p->permit));
    p->permit[p->n_permit++] = range;
    return 0;
}

static const struct list {
    const char *field, *allowed;
    int (*add)(struct netpolicy *, const char *);
} lists[] = {
    {"network_allow", "domain, *.domain, address or [IPv6 address], each with or without :port",
     add_allow},
    {"network_permit", "address or first address/bits", add_permit},
};

static int
read_list(struct netpolicy *p, const struct list *list, const char *text, struct err *err)
{
    char entry[ENTRY_MAX + 1];

    if (strlen(text) > NETPOLICY_MAX_TEXT)
        return err_field(err, ERR_CONFIG, list->field, "%s is longer than %d bytes", list->field,
                         NETPOLICY_MAX_TEXT);
    for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
        const size_t len = strcspn(text, separators);

        snprintf(entry, sizeof(entry), "%.*s", (int)len, text);
        if (len > ENTRY_MAX || list->add(p, entry) < 0)
            return err_field(err, ERR_CONFIG, list->field,
                             "%s: the entry \"%.80s\" is not usable; allowed: %s", list->field,
                             entry, list->allowed);
        text += len;
    }
    return 0;
}

struct netpolicy *
netpolicy_new(const char *allow, const char *permit, struct err *err)
{
    struct netpolicy *p = xcalloc(1, sizeof(*p));

    if (read_list(p, &lists[0], allow, err) == 0 && read_list(p, &lists[1], permit, err) == 0)
        return p;
    netpolicy_free(p);
    return NULL;
}

void
netpolicy_free(struct netpolicy *p)
{
    if (p == NULL)
        return;
    free(p->allow);
    free(p->permit);
    free(p);
}

/* --- what they say ------------------------------------------------------------------------ */

static bool
is_below(const char *name, const char *domain)
{
    const size_t len = strlen(name), tail = strlen(domain);

    return len > tail + 1 && name[len - tail - 1] == '.' && strcmp(name + len - tail, domain) == 0;
}

static bool
matches_host(const struct entry *e, const struct nethost *host)
{
    if (e->host.literal != host->literal)
        return false;
    return e->wildcard ? is_below(host->text, e->host.text) : strcmp(host->text, e->host.text) == 0;
}

static bool
matches_port(const struct entry *e, uint16_t port)
{
    return e->port ? port == e->port : port == 80 || port == 443;
}

const char *
netpolicy_refuse_host(const struct netpolicy *p, const struct nethost *host, uint16_t port)
{
    bool known = false;

    for (size_t i = 0; i < p->n_allow; i++) {
        if (!matches_host(&p->allow[i], host))
            continue;
        if (matches_port(&p->allow[i], port))
            return NULL;
        known = true;
    }
    return known ? "the port is not on the list" : "the host is not on the list";
}

bool
netpolicy_permits(const struct netpolicy *p, const struct netaddr *address)
{
    for (size_t i = 0; i < p->n_permit; i++)
        if (netrange_has(&p->permit[i], address))
            return true;
    return false;
}

const char *
netpolicy_refuse_address(const struct netpolicy *p, const struct netaddr *address)
{
    return netpolicy_permits(p, address) ? NULL : netaddr_forbidden(address);
}
