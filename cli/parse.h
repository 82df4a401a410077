/* parse.h - the values of options.  Each is read in full or refused; *out is then left alone.  Pure. */
#ifndef CLI_PARSE_H
#define CLI_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number within the limits. */
bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* "90s", "15m", "12h", "30d" or "4w": seconds, at least 1 and at most 100 years. */
bool parse_duration(const char *text, uint64_t *out);

/* "60/min": how many a minute, 1 to 1000000. */
bool parse_rate(const char *text, unsigned *out);

/* 1 to 64 bytes of UTF-8 without control characters. */
bool parse_name(const char *text);

/* A number above 0, such as 0.5. */
bool parse_seconds(const char *text, double *out);

/* Whether that can be the id of a session or an execution: so it needs no quoting in a path. */
bool parse_id(const char *text);

#endif
