/* say.h - one line on stderr for each event; the gateway puts them into its log. */
#ifndef PROXY_SAY_H
#define PROXY_SAY_H

/* Never waits: a line that the pipe does not take is counted, and the next one that it takes tells how many there were. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Says it and ends the process. */
_Noreturn void say_and_exit(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
