/*
 * fuzz_worker.c - what the worker takes apart: "b TEXT" is a boot record, "g FRAMES" a message of the gateway,
 * "k FRAMES" one of the kernel.  Frames are separated by tabs.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "worker/boot.h"
#include "worker/jupyter.h"
#include "worker/request.h"

static void
parse_boot(const char *text, size_t len)
{
    struct boot boot;
    const char *why = NULL;

    if (boot_parse(text, len, &boot, &why) < 0) {
        must(why != NULL);
        return;
    }
    must(boot.path[0] == '/' && strlen(boot.path) < sizeof(boot.path));
    must(boot.routing_id[0] != '\0' && strlen(boot.routing_id) < sizeof(boot.routing_id));
    must(boot.orphan_ms > 0);
}

static void
parse_request(const struct frame *frames, size_t n)
{
    struct request request;
    const char *why = NULL;

    if (request_parse(frames, n, &request, &why) < 0) {
        must(why != NULL);
        return;
    }
    if (request.verb == TCI_EXECUTE || request.verb == TCI_RELAY || request.verb == TCI_CONFIG)
        must(request.first < n);
    if (request.verb == TCI_NETWORK)
        must(request.first < n && frames[request.first].len <= TCI_MAX_SESSION);
}

static void
parse_kernel(const struct frame *frames, size_t n)
{
    int begin = jupyter_begin(frames, n);

    if (begin < 0)
        return;
    must((size_t)begin + JUPYTER_MIN_FRAMES <= n);
    (void)jupyter_is_status(frames + begin, n - (size_t)begin);
}

static void
parse_line(char kind, struct fuzz_input in)
{
    struct frame frames[TCI_MAX_FRAMES];
    char *owned[TCI_MAX_FRAMES];
    size_t n = 0;

    while (n < TCI_MAX_FRAMES && (owned[n] = fuzz_next(&in, '\t', &frames[n].len))) {
        frames[n].data = owned[n];
        n++;
    }
    if (kind == 'b' && n == 1)
        parse_boot(frames[0].data, frames[0].len);
    else if (kind == 'g')
        parse_request(frames, n);
    else if (kind == 'k')
        parse_kernel(frames, n);
    while (n > 0)
        free(owned[--n]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    char *line;
    size_t len;

    while ((line = fuzz_next(&in, '\n', &len))) {
        if (len >= 2)
            parse_line(line[0], (struct fuzz_input){(uint8_t *)line + 2, len - 2});
        free(line);
    }
    return 0;
}
