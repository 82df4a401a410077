/*
 * log.h - one line on stderr for each event, as text or as JSON.
 *
 * Text: `2026-11-21T07:25:00.123Z info  worker 3f2a: warm after 512 ms`.  JSON: {"time","level","msg"}.
 * What is about a request ends with ` request=ID`, and has "request_id".
 * Control characters and bytes that are not UTF-8 are escaped, so that nothing a client or a kernel sent
 * can forge a line.  A message is cut at 2 KiB.  Never log user code, tokens or keys.
 *
 * Writing never waits: when nobody reads stderr the line is dropped, and the first line that gets
 * through again is preceded by the number of those that did not.  errno is left as it was.
 */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* May be called again at any time (SIGHUP); looks anew at what stderr is.  Before: info, text. */
void log_setup(enum log_level, enum log_format);
int log_enabled(enum log_level);
void log_write(enum log_level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The lines from here on are about that request, which is told behind each; copied, NULL: about none. */
void log_request(const char *id);

#define log_at(level, ...) (log_enabled(level) ? log_write(level, __VA_ARGS__) : (void)0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
