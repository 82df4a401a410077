/*
 * fuzz_scan.c - the scan of code: any bytes as code under the shipped rules, and, when they begin with '[', as a file of
 * rules that then look at themselves.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "gateway/mem.h"
#include "gateway/scan.h"
#include "gateway/utf8.h"

static struct scan *shipped;

static unsigned
count_lines(const char *code, size_t len)
{
    unsigned n = 1;

    for (size_t i = 0; i < len; i++)
        n += code[i] == '\n' || code[i] == '\r';
    return n;
}

static void
check(const struct scan *scan, const char *code, size_t len)
{
    struct scan_result first, second;

    scan_code(scan, code, len, &first);
    scan_code(scan, code, len, &second);
    must(first.n <= SCAN_MAX_FINDINGS && first.n == second.n);
    for (unsigned i = 0; i < first.n; i++) {
        const struct scan_finding *f = &first.findings[i];

        must(f->rule == second.findings[i].rule && f->line == second.findings[i].line);
        must(f->line >= 1 && f->line <= count_lines(code, len));
        must(f->rule[0] != '\0' && f->message[0] != '\0');
        must(utf8_valid_prefix(f->message, strlen(f->message)) == strlen(f->message));
    }
}

static void
check_rules(const char *text, size_t len)
{
    struct scan *scan = scan_new("python");
    struct err err = ERR_INIT;
    int fd = memfd_create("rules", MFD_CLOEXEC);
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", fd);

    must(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    if (scan_load(scan, path, &err) == 0) {
        check(scan, text, len);
    } else {
        must(err.code == ERR_CONFIG && err.msg[0] != '\0');
        must(utf8_valid_prefix(err.msg, strlen(err.msg)) == strlen(err.msg));
    }
    close(fd);
    scan_free(scan);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xcalloc(1, size + (size == 0)); /* of exactly that size, for the sanitizer */
    struct err err = ERR_INIT;

    if (size > 0)
        memcpy(text, data, size);
    if (shipped == NULL) {
        shipped = scan_new("python");
        must(scan_load(shipped, TCI_SOURCE_TREE "/gateway/scan.rules", &err) == 0);
    }
    check(shipped, text, size);
    if (size > 0 && text[0] == '[')
        check_rules(text, size);
    free(text);
    return 0;
}
