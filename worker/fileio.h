/*
 * fileio.h - what an operation on files (fileop.h) says and hears on its socket.
 *
 *     in:   length (4 bytes, big-endian) | request, JSON | the bytes to write, until their end
 *     out:  length                       | reply, JSON   | the bytes that were read
 *
 * The other side may be slow: all of it waits.  When it has gone the process ends.
 */
#ifndef WORKER_FILEIO_H
#define WORKER_FILEIO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <jansson.h>

enum {
    FILEIO_SOCKET = 0,        /* the descriptor of it */
    FILEIO_CHUNK = 256 << 10, /* bytes read or written at a time */
};

/* The request; anything else ends the process. */
json_t *fileio_request(void);

/* What comes behind it: bytes, or 0 at their end. */
size_t fileio_receive(void *buf, size_t size);

/* Takes the reply.  Bytes may follow it. */
void fileio_reply(json_t *);
void fileio_send(const void *data, size_t len);

/* As much of the file's next bytes as there is, at most so many; returns how many that were, or -1 with errno. */
ssize_t fileio_send_file(int file, size_t most) __attribute__((warn_unused_result));

/*
 * {"error": {"code", "message"}}, and the end of the process.  The code is one of TCI_FILE_ERRORS (protocol.h); for an errno,
 * what is about it.
 */
void fileio_fail(const char *code, const char *message) __attribute__((noreturn));
void fileio_fail_errno(void) __attribute__((noreturn));

/* Whether open failed with this error because the file system has no O_TMPFILE, as gVisor's. */
bool fileio_has_no_tmpfile(int error);

enum { FILEIO_NAME_SIZE = 40 };

/* A name for a file that has its own later, or none: nobody guesses it. */
void fileio_draw_name(char name[FILEIO_NAME_SIZE]);

/* It went wrong behind the reply: the end of the process, by which the other side knows that bytes are missing. */
void fileio_break(void) __attribute__((noreturn));

#endif
