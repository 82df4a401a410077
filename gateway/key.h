/* key.h - the text of an API key, tci_<id>_<secret>: made, taken apart, hashed.  Pure. */
#ifndef GATEWAY_KEY_H
#define GATEWAY_KEY_H

#include <stdbool.h>
#include <stdint.h>

#define KEY_ID_CHARS 12     /* lower-case hexadecimal; no secret */
#define KEY_SECRET_CHARS 64 /* the same, of 256 random bits */
#define KEY_ID_SIZE (KEY_ID_CHARS + 1)
#define KEY_TEXT_SIZE (sizeof("tci_") + KEY_ID_CHARS + 1 + KEY_SECRET_CHARS)
#define KEY_HASH_BYTES 32

/* Draws a new one; its text is a secret. */
void key_make(char id[KEY_ID_SIZE], char text[KEY_TEXT_SIZE]);

/* Whether text has a key's form; then id gets its id. */
bool key_parse(const char *text, char id[KEY_ID_SIZE]);

/* Whether it has the form of an id. */
bool key_is_id(const char *text);

/*
 * What is kept of a key, and what the tokens of requests are compared by.  A fast hash without salt is right here: the
 * secret is 256 random bits, so there is nothing to guess that a slow one would make dearer, and no two keys are alike;
 * and it is made for every request, in the event loop.
 */
void key_hash(const char *text, uint8_t hash[KEY_HASH_BYTES]);

#endif
