/* timestamp.h - the time of day in milliseconds, and as text: RFC 3339, UTC. */
#ifndef GATEWAY_TIMESTAMP_H
#define GATEWAY_TIMESTAMP_H

#include <jansson.h>
#include <stdint.h>

#define TIMESTAMP_SIZE 32

int64_t timestamp_now(void); /* milliseconds since 1970 */

/* 2026-11-21T07:25:00.123Z */
void timestamp_text(int64_t ms, char text[TIMESTAMP_SIZE]);

/* That, as JSON; null for 0, which is no time at all. */
json_t *timestamp_json(int64_t ms);

#endif
