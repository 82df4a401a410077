/* worker_ready.h - how a worker becomes READY: its CONFIG, its kernel's first answer, the warm-up.  Part of worker.h. */
#ifndef GATEWAY_WORKER_READY_H
#define GATEWAY_WORKER_READY_H

struct worker;

/* A BOOTING one is told what to run. */
void worker_configure(struct worker *);

/* Its kernel is asked until it answers; then comes the warm-up, if it is not adopted. */
void worker_probe(struct worker *);

/* All that was to be waited for is here.  The owner is told: the caller's last act. */
void worker_become_ready(struct worker *);

#endif
