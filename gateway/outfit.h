/*
 * outfit.h - the packages of a session, put into a container that is new to it before it gets that: unpacked, and the kernel
 * told (pool.h: pool_outfitter).
 */
#ifndef GATEWAY_OUTFIT_H
#define GATEWAY_OUTFIT_H

#include "pool.h"

struct event_base;
struct outfits;
struct packages;

/* Both are borrowed and must outlive it. */
struct outfits *outfits_new(struct event_base *, struct packages *);
void outfits_free(struct outfits *); /* accepts NULL */

/* What the pool is to be given, with the outfits as the owner. */
extern const struct pool_outfitter outfit_outfitter;

#endif
