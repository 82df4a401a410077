/* request.c - see request.h. */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HTTP_PORT = 80, BAD = 400 };

/* A piece of the head, borrowed. */
struct text {
    const char *data;
    size_t len;
};

/* What is known of the headers so far. */
struct headers {
    bool has_host, has_length;
    struct text connection; /* the names in it concern one connection only */
};

/* Those that end here, because they concern the connection to the proxy. */
static const char *const hop_by_hop[] = {
    "connection",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    NULL,
};

static const char *const methods[] = {"DELETE", "GET",  "HEAD", "OPTIONS",
                                      "PATCH",  "POST", "PUT",  NULL};

static int
refuse(struct refusal *refusal, int status, const char *why)
{
    *refusal = (struct refusal){status, why};
    return -1;
}

static bool
is(struct text t, const char *s)
{
    return strlen(s) == t.len && strncasecmp(t.data, s, t.len) == 0;
}

static bool
is_one_of(struct text t, const char *const *list)
{
    for (; *list; list++)
        if (is(t, *list))
            return true;
    return false;
}

static bool
is_method(struct text t)
{
    for (const char *const *m = methods; *m; m++)
        if (strlen(*m) == t.len && memcmp(*m, t.data, t.len) == 0)
            return true;
    return false;
}

static bool
is_token(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        const unsigned char c = (unsigned char)t.data[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
            return false;
    }
    return t.len > 0;
}

/* Cuts off what is before the separator; all of it, and *rest is empty, where there is none. */
static struct text
cut(struct text *rest, char separator)
{
    const char *end = memchr(rest->data, separator, rest->len);
    const struct text piece = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    const size_t used = piece.len + (end != NULL);

    rest->data += used;
    rest->len -= used;
    return piece;
}

static struct text
trim(struct text t)
{
    while (t.len > 0 && (t.data[0] == ' ' || t.data[0] == '\t')) {
        t.data++;
        t.len--;
    }
    while (t.len > 0 && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* 1 to `most` digits. */
static int
parse_number(struct text t, size_t most, uint64_t *out)
{
    *out = 0;
    if (t.len == 0 || t.len > most)
        return -1;
    for (size_t i = 0; i < t.len; i++) {
        if (t.data[i] < '0' || t.data[i] > '9')
            return -1;
        *out = *out * 10 + (uint64_t)(t.data[i] - '0');
    }
    return 0;
}

/* --- the request line --------------------------------------------------------------------- */

/* host[:port] or [v6][:port]; port stays as it is where there is none. */
static int
parse_authority(struct text t, struct request *r)
{
    const char *bracket = memrchr(t.data, ']', t.len);
    const char *colon = memrchr(t.data, ':', t.len);
    uint64_t port;

    if (colon && bracket && colon < bracket)
        colon = NULL;
    if (colon) {
        const size_t used = (size_t)(colon - t.data) + 1;

        if (parse_number((struct text){colon + 1, t.len - used}, 5, &port) < 0 || port == 0 ||
            port > UINT16_MAX)
            return -1;
        r->port = (uint16_t)port;
        t.len = used - 1;
    }
    return nethost_parse(t.data, t.len, &r->host);
}

static void __attribute__((format(printf, 2, 3))) forward(struct request *r, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(r->forward + r->forward_len, sizeof(r->forward) - r->forward_len, fmt, ap);
    va_end(ap);
    r->forward_len += n > 0 ? (size_t)n : 0;
}

static void
forward_host(struct request *r)
{
    const bool v6 = r->host.literal && r->host.address.family == AF_INET6;

    forward(r, "Host: %s%s%s", v6 ? "[" : "", r->host.text, v6 ? "]" : "");
    if (r->port != HTTP_PORT)
        forward(r, ":%u", r->port);
    forward(r, "\r\n");
}

/* http://host[:port][/path][?query] */
static int
parse_url(struct text method, struct text url, struct text version, struct request *r,
          struct refusal *refusal)
{
    static const char scheme[] = "http://";
    const size_t skip = sizeof(scheme) - 1;
    struct text authority = {url.data + skip, 0};

    if (!is_method(method))
        return refuse(refusal, 405, "the method is not one that the proxy knows");
    if (url.len < skip || strncasecmp(url.data, scheme, skip) != 0)
        return refuse(refusal, BAD, "the address does not begin with http://");
    for (size_t i = 0; i < url.len; i++)
        if (url.data[i] <= ' ' || url.data[i] >= 0x7f || url.data[i] == '#')
            return refuse(refusal, BAD, "the address has characters that do not belong there");
    while (skip + authority.len < url.len && !strchr("/?", authority.data[authority.len]))
        authority.len++;
    r->port = HTTP_PORT;
    if (parse_authority(authority, r) < 0)
        return refuse(refusal, BAD, "the host is neither a name nor an address in its usual form");
    url.data += skip + authority.len;
    url.len -= skip + authority.len;
    forward(r, "%.*s %s%.*s %.*s\r\n", (int)method.len, method.data,
            url.len > 0 && url.data[0] == '/' ? "" : "/", (int)url.len, url.data, (int)version.len,
            version.data);
    forward_host(r);
    return 0;
}

static int
parse_line(struct text line, struct request *r, struct refusal *refusal)
{
    const struct text method = cut(&line, ' ');
    const struct text target = cut(&line, ' ');

    if (!is_token(method) || target.len == 0)
        return refuse(refusal, BAD, "the first line is not that of a request");
    if (line.len != 8 || memcmp(line.data, "HTTP/1.", 7) != 0 ||
        (line.data[7] != '0' && line.data[7] != '1'))
        return refuse(refusal, 505, "the version is not HTTP/1.1");
    r->connect = method.len == 7 && memcmp(method.data, "CONNECT", 7) == 0;
    if (!r->connect)
        return parse_url(method, target, line, r, refusal);
    if (parse_authority(target, r) < 0 || r->port == 0)
        return refuse(refusal, BAD, "CONNECT is not to host:port in its usual form");
    return 0;
}

/* --- the headers -------------------------------------------------------------------------- */

static bool
names(struct text list, struct text name)
{
    while (list.len > 0) {
        const struct text one = trim(cut(&list, ','));

        if (one.len == name.len && strncasecmp(one.data, name.data, name.len) == 0)
            return true;
    }
    return false;
}

static int
take_header(struct text name, struct text value, struct headers *h, struct request *r,
            struct refusal *refusal)
{
    if (is(name, "transfer-encoding"))
        return refuse(refusal, 411, "a body must have a Content-Length, and no Transfer-Encoding");
    if (is(name, "host") && h->has_host)
        return refuse(refusal, BAD, "there are two Host headers");
    if (is(name, "content-length") && (h->has_length || parse_number(value, 18, &r->body) < 0))
        return refuse(refusal, BAD, "Content-Length is there twice, or is no number");
    if (is(name, "connection") && h->connection.data)
        return refuse(refusal, BAD, "there are two Connection headers");
    h->has_host |= is(name, "host");
    h->has_length |= is(name, "content-length");
    if (is(name, "connection"))
        h->connection = value;
    return 0;
}

static int
split_header(struct text line, struct text *name, struct text *value, struct refusal *refusal)
{
    for (size_t i = 0; i < line.len; i++) {
        const unsigned char c = (unsigned char)line.data[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return refuse(refusal, BAD, "a header has control characters");
    }
    if (memchr(line.data, ':', line.len) == NULL)
        return refuse(refusal, BAD, "a header has no colon");
    *name = cut(&line, ':');
    *value = trim(line);
    return is_token(*name) ? 0 : refuse(refusal, BAD, "a header's name is none");
}

/* The lines of the head behind the first; each ends in CR LF, which alone ends a line. */
static struct text
next_line(struct text *rest)
{
    struct text line = cut(rest, '\n');

    line.len -= line.len > 0; /* the CR: split_header and parse_line refuse all others */
    return line;
}

static int
parse_headers(struct text rest, struct headers *h, struct request *r, struct refusal *refusal)
{
    struct text name, value;

    for (int n = 0; rest.len > 0; n++) {
        const struct text line = next_line(&rest);

        if (n == REQUEST_MAX_HEADERS)
            return refuse(refusal, 431, "there are too many headers");
        if (split_header(line, &name, &value, refusal) < 0 ||
            take_header(name, value, h, r, refusal) < 0)
            return -1;
    }
    return 0;
}

static void
forward_headers(struct text rest, const struct headers *h, struct request *r)
{
    struct refusal ignored;
    struct text name, value;

    while (rest.len > 0) {
        const struct text line = next_line(&rest);

        if (split_header(line, &name, &value, &ignored) < 0 || is_one_of(name, hop_by_hop))
            continue;
        if (is(name, "content-length") || !names(h->connection, name))
            forward(r, "%.*s: %.*s\r\n", (int)name.len, name.data, (int)value.len, value.data);
    }
    forward(r, "Connection: close\r\n\r\n");
}

/* --- the head ----------------------------------------------------------------------------- */

/* Every LF has its CR, and there is no other. */
static bool
has_proper_lines(struct text head)
{
    for (size_t i = 0; i < head.len; i++) {
        if (head.data[i] == '\n' && (i == 0 || head.data[i - 1] != '\r'))
            return false;
        if (head.data[i] == '\r' && (i + 1 == head.len || head.data[i + 1] != '\n'))
            return false;
        if (head.data[i] == '\0')
            return false;
    }
    return true;
}

static int
parse_head(struct text head, struct request *r, struct refusal *refusal)
{
    struct headers h = {.connection = {NULL, 0}};
    const struct text line = next_line(&head);

    if (parse_line(line, r, refusal) < 0 || parse_headers(head, &h, r, refusal) < 0)
        return -1;
    if (r->connect && r->body > 0)
        return refuse(refusal, BAD, "CONNECT has no body");
    if (!r->connect)
        forward_headers(head, &h, r);
    return 0;
}

int
request_parse(const char *data, size_t len, struct request *out, struct refusal *refusal)
{
    const char *end = memmem(data, len < REQUEST_MAX ? len : REQUEST_MAX, "\r\n\r\n", 4);
    struct text head = {data, 0};

    if (end == NULL && len >= REQUEST_MAX)
        return refuse(refusal, 431, "the head of the request is too long");
    if (end == NULL)
        return 0;
    memset(out, 0, sizeof(*out));
    head.len = (size_t)(end - data) + 2;
    out->size = head.len + 2;
    if (!has_proper_lines(head))
        return refuse(refusal, BAD, "a line does not end in CR LF, or there is a NUL");
    return parse_head(head, out, refusal) < 0 ? -1 : 1;
}
