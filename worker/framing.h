/*
 * framing.h - how messages stand in the stream of bytes that the link is; gateway and worker share it.
 *
 *     n (1 byte: 1 to TCI_MAX_FRAMES) | the length of each of the n frames (4 bytes, big-endian) | the frames
 */
#ifndef TCI_FRAMING_H
#define TCI_FRAMING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "protocol.h"

enum { FRAMING_HEAD_MAX = 1 + 4 * TCI_MAX_FRAMES };

struct framing {
    size_t n;
    size_t lens[TCI_MAX_FRAMES];
    size_t head; /* bytes before the first frame */
    size_t size; /* bytes of the whole message */
};

/*
 * Reads the head of a message; any bytes may come in.  1: it is whole, and *f is set.  0: it goes on behind these bytes.
 * -1: this is none.
 */
int framing_parse(const uint8_t *data, size_t len, struct framing *f)
    __attribute__((warn_unused_result));

/* The message as iov[0] to iov[n], the frames being in iov[1] to iov[n]; head must live as long as iov is used. */
void framing_seal(uint8_t head[FRAMING_HEAD_MAX], struct iovec *iov, size_t n);

/*
 * Writes what the socket takes now and moves *iov and *n to what is left of it (*n is 0 after all of it).  -1 with
 * errno when the connection is lost.  Never waits, never raises SIGPIPE.
 */
int framing_send(int fd, struct iovec **iov, size_t *n) __attribute__((warn_unused_result));

#endif
