/* fuzz_proxy.c - what a sandbox sends to the proxy: heads of requests. */
#include <string.h>

#include "fuzz.h"
#include "proxy/request.h"

static void
check_host(const struct nethost *host)
{
    struct nethost again;
    char text[NETHOST_MAX + 3];
    const bool v6 = host->literal && host->address.family == AF_INET6;
    size_t len = 0;

    must(strlen(host->text) >= 1);
    if (v6)
        text[len++] = '[';
    memcpy(text + len, host->text, strlen(host->text));
    len += strlen(host->text);
    if (v6)
        text[len++] = ']';
    must(nethost_parse(text, len, &again) == 0); /* its text is a fixed point */
    must(strcmp(again.text, host->text) == 0 && again.literal == host->literal);
    if (host->literal)
        (void)netaddr_forbidden(&host->address);
}

/* One request with one host, one length, and nothing behind its empty line. */
static void
check_forward(const struct request *r)
{
    static char again[REQUEST_FORWARD_MAX];
    const char *end = memmem(r->forward, r->forward_len, "\r\n\r\n", 4);
    unsigned hosts = 0;

    must(r->forward_len < sizeof(r->forward) && strlen(r->forward) == r->forward_len);
    must(end == r->forward + r->forward_len - 4);
    memcpy(again, r->forward, r->forward_len + 1);
    for (char *save, *line = strtok_r(again, "\r\n", &save); line;
         line = strtok_r(NULL, "\r\n", &save)) {
        hosts += strncasecmp(line, "Host:", 5) == 0;
        must(strncasecmp(line, "Transfer-Encoding:", 18) != 0);
    }
    must(hosts == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request r;
    struct refusal refusal = {0, NULL};
    char *text = xnotnull(malloc(size + (size == 0))); /* of exactly that size, for the sanitizer */
    int rc;

    if (size > 0)
        memcpy(text, data, size);
    rc = request_parse(text, size, &r, &refusal);
    if (rc < 0)
        must(refusal.status >= 400 && refusal.why != NULL);
    if (rc > 0) {
        must(r.size <= size && r.size <= REQUEST_MAX + 4 && r.port != 0);
        check_host(&r.host);
        if (!r.connect)
            check_forward(&r);
    }
    free(text);
    return 0;
}
