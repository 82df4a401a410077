/* requestid.h - the name of a request: what its client says, if that is usable, else one of our own. */
#ifndef GATEWAY_REQUESTID_H
#define GATEWAY_REQUESTID_H

#define REQUESTID_MAX 128 /* characters: A-Z a-z 0-9 . _ : - */
#define REQUESTID_SIZE (REQUESTID_MAX + 1)

/* own: the X-Request-Id header, or NULL. */
void requestid_take(const char *own, char id[REQUESTID_SIZE]);

#endif
