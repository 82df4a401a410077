/*
 * multipart.h - bodies of multipart/form-data (RFC 7578), taken apart as they come.  Pure: any bytes may come in, in any pieces, and
 * nothing is kept of them but a part's headers.
 */
#ifndef GATEWAY_MULTIPART_H
#define GATEWAY_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"

enum {
    MULTIPART_BOUNDARY = 70,     /* characters */
    MULTIPART_HEADERS = 8 << 10, /* bytes of a part's headers */
    MULTIPART_NAME = 4096,       /* bytes of a name or file name, and a NUL */
};

struct multipart {
    char delimiter[4 + MULTIPART_BOUNDARY + 1]; /* CR LF - - boundary */
    size_t matched;                             /* characters of it that have come */
    enum { PREAMBLE, BEHIND, HEADERS, DATA, EPILOGUE } state;
    char headers[MULTIPART_HEADERS];
    size_t n_headers;
    char name[MULTIPART_NAME],
        filename[MULTIPART_NAME]; /* of the part; filename "": it is a field */
    bool has_filename;
};

enum multipart_event {
    MULTIPART_MORE, /* all bytes have been looked at */
    MULTIPART_PART, /* a part begins: name and filename are its */
    MULTIPART_DATA, /* bytes of it: *data, *n */
    MULTIPART_PART_END,
    MULTIPART_END, /* what follows does not count */
    MULTIPART_BAD, /* err tells */
};

/* Of a Content-Type header (NULL: there is none).  1: it is such a body.  0: it is another one.  -1: it has no usable boundary. */
int multipart_init(struct multipart *, const char *content_type) must_check;

/*
 * What comes next in these bytes; *used is how many of them were for it.  Bytes of MULTIPART_DATA are borrowed: from data, or from
 * the struct until the next call.
 */
enum multipart_event multipart_next(struct multipart *, const char *data, size_t len, size_t *used,
                                    const char **bytes, size_t *n, struct err *);

#endif
