/*
 * multipart.c - see multipart.h.
 *
 * What looks like the delimiter and is not is the part's: as its bytes are those of the delimiter, they need not be kept.  And as
 * there is no CR in it but the first, the next one can only begin where it failed.
 */
#include "multipart.h"

#include <string.h>
#include <strings.h>

/* --- headers ------------------------------------------------------------------------------ */

/*
 * The parameter of a header's value, into out; false: it has none of that name, or one that is too long or has no end.
 */
static bool
parameter(const char *text, const char *name, char *out, size_t size)
{
    const size_t name_len = strlen(name);
    size_t n = 0;

    while ((text = strchr(text, ';')) != NULL) {
        text += 1 + strspn(text + 1, " \t");
        if (strncasecmp(text, name, name_len) != 0 || text[name_len] != '=') {
            const char *quote = strchr(text, '"'), *end = strchr(text, ';');

            /* A semicolon within quotes is none. */
            if (quote && end && quote < end) {
                for (text = quote + 1; *text && *text != '"'; text++)
                    if (*text == '\\' && text[1])
                        text++;
            }
            continue;
        }
        text += name_len + 1;
        if (*text != '"') {
            n = strcspn(text, "; \t");
            if (n >= size)
                return false;
            memcpy(out, text, n);
            out[n] = '\0';
            return true;
        }
        for (text++; *text != '"'; text++) {
            /* Browsers send a quote as %22, others as \"; a backslash before anything else is itself. */
            if (*text == '\\' && (text[1] == '"' || text[1] == '\\'))
                text++;
            if (*text == '\0' || n + 1 >= size) {
                out[0] = '\0';
                return false;
            }
            out[n++] = *text;
        }
        out[n] = '\0';
        return true;
    }
    return false;
}

int
multipart_init(struct multipart *m, const char *content_type)
{
    static const char type[] = "multipart/form-data";
    char boundary[MULTIPART_BOUNDARY + 1];

    memset(m, 0, offsetof(struct multipart, headers));
    if (content_type == NULL || strncasecmp(content_type, type, sizeof(type) - 1) != 0)
        return 0;
    if (!parameter(content_type, "boundary", boundary, sizeof(boundary)) || boundary[0] == '\0' ||
        strpbrk(boundary, "\r\n"))
        return -1;
    memcpy(m->delimiter, "\r\n--", 4);
    strcpy(m->delimiter + 4, boundary);
    m->matched = 2; /* the first one may be at the very beginning */
    m->n_headers = 0;
    return 1;
}

static int
bad(struct err *err, const char *what)
{
    return err_set(err, ERR_BAD_REQUEST, "The body is no multipart/form-data: %s", what);
}

/* The headers are there, each with its CR LF, and a NUL behind. */
static int
take_headers(struct multipart *m, struct err *err)
{
    static const char disposition[] = "Content-Disposition:";
    char *line = m->headers, *end;

    m->name[0] = m->filename[0] = '\0';
    m->has_filename = false;
    if (strlen(m->headers) != m->n_headers)
        return bad(err, "a part's headers have a NUL");
    for (; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        *end = '\0';
        if (strncasecmp(line, disposition, sizeof(disposition) - 1) != 0)
            continue;
        line += sizeof(disposition) - 1;
        if (!parameter(line, "name", m->name, sizeof(m->name)))
            return bad(err, "a part has no name");
        m->has_filename = parameter(line, "filename", m->filename, sizeof(m->filename));
        return 0;
    }
    return bad(err, "a part has no Content-Disposition");
}

/* --- bytes -------------------------------------------------------------------------------- */

/* Up to the delimiter.  MULTIPART_DATA, or what the state after it is by MULTIPART_PART_END, or MORE. */
static enum multipart_event
find_delimiter(struct multipart *m, const char *data, size_t len, size_t *used, const char **bytes,
               size_t *n)
{
    const size_t all = strlen(m->delimiter);
    size_t i = 0;

    while (i < len) {
        if (m->matched == 0) {
            const char *cr = memchr(data, '\r', len);

            i = cr ? (size_t)(cr - data) : len;
            if (i > 0) {
                *used = *n = i;
                *bytes = data;
                return MULTIPART_DATA;
            }
        }
        while (i < len && m->matched < all && data[i] == m->delimiter[m->matched]) {
            m->matched++;
            i++;
        }
        if (m->matched == all) {
            m->matched = 0;
            *used = i;
            return MULTIPART_PART_END;
        }
        if (i < len) {
            *bytes = m->delimiter;
            *n = m->matched;
            m->matched = 0;
            *used = i;
            return MULTIPART_DATA;
        }
    }
    *used = i;
    return MULTIPART_MORE;
}

/* What is collected of the line behind a delimiter, or of headers, until their end; 1: it is there.  0: more.  -1: too much. */
static int
collect(struct multipart *m, const char *data, size_t len, size_t *used, const char *end)
{
    const size_t end_len = strlen(end);

    for (*used = 0; *used < len;) {
        if (m->n_headers + 1 >= sizeof(m->headers))
            return -1;
        m->headers[m->n_headers++] = data[(*used)++];
        if (m->n_headers >= end_len &&
            memcmp(m->headers + m->n_headers - end_len, end, end_len) == 0) {
            m->headers[m->n_headers] = '\0';
            return 1;
        }
    }
    return 0;
}

/* "--" for the end of all, or blanks and CR LF before a part's headers. */
static enum multipart_event
go_behind(struct multipart *m, const char *data, size_t len, size_t *used, struct err *err)
{
    /* The first two characters decide which it is. */
    const size_t first = m->n_headers < 2 && len > 2 - m->n_headers ? 2 - m->n_headers : len;
    const int rc = collect(m, data, first, used, "\r\n");

    if (m->n_headers == 2 && memcmp(m->headers, "--", 2) == 0) {
        m->state = EPILOGUE;
        return MULTIPART_END;
    }
    if (rc == 0)
        return MULTIPART_MORE;
    if (rc > 0)
        m->headers[m->n_headers - 2] = '\0';
    if (rc < 0 || m->headers[strspn(m->headers, " \t")] != '\0') {
        bad(err, "something stands behind a boundary");
        return MULTIPART_BAD;
    }
    m->n_headers = 0;
    m->state = HEADERS;
    return MULTIPART_MORE;
}

static enum multipart_event
go_through_headers(struct multipart *m, const char *data, size_t len, size_t *used, struct err *err)
{
    const int rc = collect(m, data, len, used, "\r\n\r\n");

    if (rc < 0)
        bad(err, "a part's headers are too long");
    if (rc < 0 || (rc > 0 && take_headers(m, err) < 0))
        return MULTIPART_BAD;
    if (rc == 0)
        return MULTIPART_MORE;
    m->n_headers = 0;
    m->state = DATA;
    m->matched = 0;
    return MULTIPART_PART;
}

enum multipart_event
multipart_next(struct multipart *m, const char *data, size_t len, size_t *used, const char **bytes,
               size_t *n, struct err *err)
{
    enum multipart_event event;
    const bool data_counts = m->state == DATA;
    size_t at = 0;

    *used = 0;
    for (event = MULTIPART_MORE; event == MULTIPART_MORE && at < len; at += *used) {
        switch (m->state) {
        case PREAMBLE:
        case DATA:
            event = find_delimiter(m, data + at, len - at, used, bytes, n);
            if (event == MULTIPART_PART_END) {
                m->state = BEHIND;
                m->n_headers = 0;
            }
            if (event != MULTIPART_MORE && !data_counts)
                event = MULTIPART_MORE; /* of the preamble */
            break;
        case BEHIND:
            event = go_behind(m, data + at, len - at, used, err);
            break;
        case HEADERS:
            event = go_through_headers(m, data + at, len - at, used, err);
            break;
        case EPILOGUE:
            *used = len - at;
            break;
        }
    }
    *used = at;
    return event;
}
