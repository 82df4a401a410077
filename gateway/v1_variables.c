#include "v1_variables.h"

#include <stdbool.h>

#define TYPE "application/vnd.tci.variables+json"

enum { VARIABLES_MAX = 500 };

/*
 * What a name stands for is shown by code of its own (repr, len), which may be wrong, slow or endless: errors are caught,
 * and the question as a whole is interrupted.
 */
const char v1_variables_code[] =
    "exec(\"\"\"\n"
    "def show(names, shell):\n"
    "    import reprlib\n"
    "    from IPython.display import publish_display_data\n"
    "    short = reprlib.Repr()\n"
    "    short.maxstring = short.maxother = short.maxlong = 200\n"
    "    def get(f):\n"
    "        try:\n"
    "            return f()\n"
    "        except Exception:\n"
    "            return None\n"
    "    def number(n):\n"
    "        return n if type(n) is int else None\n"
    "    def shape(value):\n"
    "        numbers = [int(n) for n in value.shape]\n"
    "        return numbers if all(n.bit_length() < 64 for n in numbers) else None\n"
    "    def look(name, value):\n"
    "        kind = type(value)\n"
    "        return {'name': name, 'type': kind.__name__, 'module': str(kind.__module__),\n"
    "                'size': number(get(lambda: len(value))), 'shape': get(lambda: shape(value)),\n"
    "                'text': (get(lambda: short.repr(value)) or '')[:400]}\n"
    "    hidden = set(getattr(shell, 'user_ns_hidden', ()))\n"
    "    shown = [(k, v) for k, v in list(names.items()) if type(k) is str\n"
    "             and not k.startswith('_') and k not in hidden]\n"
    "    shown.sort(key=lambda pair: pair[0])\n"
    "    variables = [look(k, v) for k, v in shown[:500]]\n"
    "    publish_display_data({'" TYPE "':\n"
    "                          {'variables': variables, 'truncated': len(shown) > 500}})\n"
    "show(names, shell)\n"
    "\"\"\", {'names': globals(), 'shell': get_ipython()})\n";

static bool
is_shape(const json_t *shape)
{
    const json_t *n;
    size_t i;

    json_array_foreach ((json_t *)shape, i, n)
        if (!json_is_integer(n))
            return false;
    return json_is_array(shape) || json_is_null(shape);
}

static bool
is_variable(const json_t *variable)
{
    const char *name, *type, *module, *text;
    const json_t *size, *shape;

    return json_unpack_ex((json_t *)variable, NULL, JSON_STRICT, "{s:s,s:s,s:s,s:o,s:o,s:s}",
                          "name", &name, "type", &type, "module", &module, "size", &size, "shape",
                          &shape, "text", &text) == 0 &&
           (json_is_integer(size) || json_is_null(size)) && is_shape(shape);
}

json_t *
v1_variables_of(const json_t *content)
{
    json_t *answer = json_object_get(json_object_get(content, "data"), TYPE);
    const json_t *variables, *variable;
    int truncated;
    size_t i;

    if (json_unpack_ex(answer, NULL, JSON_STRICT, "{s:o,s:b}", "variables", &variables, "truncated",
                       &truncated) < 0 ||
        !json_is_array(variables) || json_array_size(variables) > VARIABLES_MAX)
        return NULL;
    json_array_foreach ((json_t *)variables, i, variable)
        if (!is_variable(variable))
            return NULL;
    return answer;
}
