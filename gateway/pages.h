/*
 * pages.h - the files that a browser gets: the page, its scripts and styles, the documentation.  They are a fixed list, read
 * when the gateway starts; what a client asks for is compared with it and never becomes a path.
 */
#ifndef GATEWAY_PAGES_H
#define GATEWAY_PAGES_H

#include "err.h"
#include "mem.h"

struct http_request;
struct pages;

/* Reads all of them out of their directory; fails when one cannot be read. */
struct pages *pages_new(const char *web_dir, struct err *) must_check;
void pages_free(struct pages *); /* accepts NULL */

/* Answers with the file at the request's path, 304 where the client has it, 404 where there is none. */
void pages_reply(const struct pages *, struct http_request *);

#endif
