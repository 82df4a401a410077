/* run_answer.h - what is told of a run, while it is under way and when it is over.  Part of run.h. */
#ifndef GATEWAY_RUN_ANSWER_H
#define GATEWAY_RUN_ANSWER_H

struct run;

const char *run_state_name(const struct run *); /* "queued", "running", "waiting" or "done" */

/* The answer of one that is DONE, and the last of its events. */
void run_compose(struct run *);

#endif
