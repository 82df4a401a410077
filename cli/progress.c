/* progress.c - see progress.h. */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "gateway/mem.h"
#include "terminal.h"
#include "width.h"

enum { STANDARD_COLUMNS = 80, NAME_COLUMNS = 24, BAR_MIN = 8, BAR_MAX = 40 };

static const double before_first = 1, between_two = 0.2, memory = 3; /* seconds */

/* --- arithmetic --------------------------------------------------------------------------- */

void
progress_start(struct progress *p, double now, int64_t first, int64_t total)
{
    memset(p, 0, sizeof(*p));
    p->total = total;
    p->done = p->at = first;
    p->begun = p->sampled = now;
}

/* The rate forgets what is longer ago than some seconds. */
void
progress_sample(struct progress *p, double now)
{
    const double passed = now - p->sampled;

    if (passed < between_two)
        return;
    const double now_rate = (double)(p->done - p->at) / passed;
    const double weight = p->rate > 0 ? 1 - exp(-passed / memory) : 1;

    p->rate += weight * (now_rate - p->rate);
    p->sampled = now;
    p->at = p->done;
}

double
progress_left(const struct progress *p)
{
    if (p->total < 0 || p->rate < 1)
        return -1;
    return p->done >= p->total ? 0 : (double)(p->total - p->done) / p->rate;
}

/* --- words -------------------------------------------------------------------------------- */

void
progress_bytes(double bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;

    while (bytes >= 1000 && i + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, size, i == 0 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
}

void
progress_time(double seconds, char *out, size_t size)
{
    const long long s = seconds < 0 || seconds > 359999 ? 359999 : (long long)(seconds + 0.5);

    if (s < 60)
        snprintf(out, size, "%lld s", s);
    else if (s < 3600)
        snprintf(out, size, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(out, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

/* What stands to the right of the bar. */
static char *
figures(const struct progress *p)
{
    char done[32], total[32] = "", rate[32] = "-", left[32] = "";
    const double seconds = progress_left(p);

    progress_bytes((double)p->done, done, sizeof(done));
    if (p->total >= 0)
        progress_bytes((double)p->total, total, sizeof(total));
    if (p->rate > 0)
        progress_bytes(p->rate, rate, sizeof(rate));
    if (seconds >= 0)
        progress_time(seconds, left, sizeof(left));
    return xasprintf("%s%s%s  %s/s%s%s", done, total[0] ? " of " : "", total, rate,
                     left[0] ? "  " : "", left);
}

/* "[=====>    ]  50%" of so many columns; a new string, "" where there is no room for it. */
static char *
bar(const struct progress *p, size_t columns)
{
    const double part =
        p->total <= 0 || p->done >= p->total ? 1 : (double)p->done / (double)p->total;
    size_t width, full;
    char *text;

    if (p->total < 0 || columns < BAR_MIN + 9)
        return xstrdup("");
    width = columns - 9 < BAR_MAX ? columns - 9 : BAR_MAX;
    full = (size_t)(part * (double)width);
    text = xasprintf("  [%*s] %3d%%", (int)width, "", (int)(part * 100));
    memset(text + 3, '=', full);
    if (full < width)
        text[3 + full] = '>';
    return text;
}

char *
progress_line(const struct progress *p, size_t columns)
{
    cleanup_free char *right = figures(p);
    cleanup_free char *name = terminal_clean(xstrdup(p->name ? p->name : ""));
    cleanup_free char *middle = NULL;
    char *line;
    size_t used;

    name[width_cut(name, NAME_COLUMNS)] = '\0';
    used = width_of(name) + 2 + strlen(right);
    middle = bar(p, columns > used ? columns - used : 0);
    line = xasprintf("%s%s  %s", name, middle, right);
    line[width_cut(line, columns)] = '\0';
    return line;
}

/* --- on the terminal ---------------------------------------------------------------------- */

static double
clock_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t
columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return STANDARD_COLUMNS;
    return size.ws_col;
}

void
progress_begin(struct progress *p, const char *name, int64_t first, int64_t total, bool quiet)
{
    progress_start(p, clock_seconds(), first, total);
    p->name = name;
    p->wanted = !quiet && isatty(STDERR_FILENO);
}

void
progress_move(struct progress *p, int64_t bytes)
{
    p->done += bytes;
    progress_show(p);
}

/* A column is left free, as many terminals begin a line with the character after the last. */
void
progress_show(struct progress *p)
{
    double now;

    if (!p->wanted)
        return;
    now = clock_seconds();
    progress_sample(p, now);
    if (now - p->begun < before_first || now - p->drawn < between_two)
        return;
    cleanup_free char *line = progress_line(p, columns() - 1);

    p->drawn = now;
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
}

void
progress_end(struct progress *p)
{
    if (p->drawn > 0)
        fputs("\r\033[K", stderr);
    p->drawn = 0;
    p->wanted = false;
}
