/* words.c - see words.h. */
#include "words.h"

#include <string.h>

/* Reads one word from *in to *out, which is never ahead of it; -1: a quote has no end. */
static int
take_word(char **in, char **out)
{
    char quote = '\0';

    for (; **in && (quote || !strchr(" \t", **in)); ++*in) {
        if (quote ? **in == quote : **in == '"' || **in == '\'') {
            quote = quote ? '\0' : **in;
            continue;
        }
        if (**in == '\\' && quote != '\'' && (*in)[1])
            ++*in;
        *(*out)++ = **in;
    }
    return quote ? -1 : 0;
}

int
words_split(char *line, char *words[WORDS_MAX])
{
    char *in = line, *out = line;
    int n = 0;

    for (in += strspn(in, " \t"); *in; in += strspn(in, " \t")) {
        char *word = out;
        char after;

        if (n == WORDS_MAX || take_word(&in, &out) < 0)
            return -1;
        after = *in;
        *out++ = '\0'; /* may be where `in` is */
        if (after)
            in++;
        words[n++] = word;
    }
    return n;
}
