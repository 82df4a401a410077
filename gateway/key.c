#include "key.h"

#include <stdio.h>
#include <string.h>
#include <sodium.h>

#define PREFIX "tci_"

static const char alphabet[] = "0123456789abcdef";

_Static_assert(KEY_HASH_BYTES == crypto_generichash_BYTES, "the hash is BLAKE2b-256");

void
key_make(char id[KEY_ID_SIZE], char text[KEY_TEXT_SIZE])
{
    uint8_t random[(KEY_ID_CHARS + KEY_SECRET_CHARS) / 2];
    char secret[KEY_SECRET_CHARS + 1];

    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(id, KEY_ID_SIZE, random, KEY_ID_CHARS / 2);
    sodium_bin2hex(secret, sizeof(secret), random + KEY_ID_CHARS / 2, KEY_SECRET_CHARS / 2);
    snprintf(text, KEY_TEXT_SIZE, PREFIX "%s_%s", id, secret);
    sodium_memzero(random, sizeof(random));
    sodium_memzero(secret, sizeof(secret));
}

bool
key_is_id(const char *text)
{
    return strspn(text, alphabet) == KEY_ID_CHARS && text[KEY_ID_CHARS] == '\0';
}

bool
key_parse(const char *text, char id[KEY_ID_SIZE])
{
    const char *secret = text + strlen(PREFIX) + KEY_ID_CHARS + 1;

    if (strlen(text) != KEY_TEXT_SIZE - 1 || strncmp(text, PREFIX, strlen(PREFIX)) != 0 ||
        secret[-1] != '_' || strspn(secret, alphabet) != KEY_SECRET_CHARS)
        return false;
    snprintf(id, KEY_ID_SIZE, "%.*s", KEY_ID_CHARS, text + strlen(PREFIX));
    return key_is_id(id);
}

void
key_hash(const char *text, uint8_t hash[KEY_HASH_BYTES])
{
    crypto_generichash(hash, KEY_HASH_BYTES, (const uint8_t *)text, strlen(text), NULL, 0);
}
