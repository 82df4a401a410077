/* pythonenv.c - see pythonenv.h. */
#include "pythonenv.h"

const char pythonenv_undo[] =
    "(lambda o, s: ([o.pop(k, None) if v is None else o.__setitem__(k, v) "
    "for k, v in s.__dict__.get('_tci_env', {}).items()], s.__dict__.pop('_tci_env', None)))("
    "__import__('os').environ, __import__('sys'))";

char *
pythonenv_set(const json_t *variables)
{
    static const char format[] =
        "(lambda o, s, j: (setattr(s, '_tci_env', {**{k: o.get(k) for k in j}, "
        "**s.__dict__.get('_tci_env', {})}), o.update(j)))("
        "__import__('os').environ, __import__('sys'), __import__('json').loads(%s))";
    cleanup_free char *text = xnotnull(json_dumps(variables, JSON_COMPACT | JSON_ENSURE_ASCII));
    json_auto_t *string = xnotnull(json_string(text));
    cleanup_free char *literal = xnotnull(json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII));

    return xasprintf(format, literal);
}
