/*
 * die.h - how the worker speaks on its standard error: one last line with an exit code, or a few
 * notes.
 */
#ifndef WORKER_DIE_H
#define WORKER_DIE_H

/* Writes "tci-worker: ..." and exits.  Where the worker is PID 1 that ends the whole container. */
void die(int code, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

/*
 * Writes one line and goes on.  What sandboxed code can provoke must not fill the gateway's log:
 * after the first NOTE_BURST lines there is one in NOTE_INTERVAL_MS at most, and it tells how many
 * were left out.
 */
enum { NOTE_BURST = 50, NOTE_INTERVAL_MS = 60000 };
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
