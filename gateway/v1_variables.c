#include "v1_variables.h"

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
    "    def look(name, value):\n"
    "        kind = type(value)\n"
    "        shape = get(lambda: [int(n) for n in value.shape])\n"
    "        return {'name': name, 'type': kind.__name__, 'module': str(kind.__module__),\n"
    "                'size': number(get(lambda: len(value))), 'shape': shape,\n"
    "                'text': (get(lambda: short.repr(value)) or '')[:400]}\n"
    "    hidden = set(getattr(shell, 'user_ns_hidden', ()))\n"
    "    shown = [(k, v) for k, v in list(names.items()) if type(k) is str\n"
    "             and not k.startswith('_') and k not in hidden]\n"
    "    shown.sort(key=lambda pair: pair[0])\n"
    "    variables = [look(k, v) for k, v in shown[:500]]\n"
    "    publish_display_data({'" V1_VARIABLES_TYPE "':\n"
    "                          {'variables': variables, 'truncated': len(shown) > 500}})\n"
    "show(names, shell)\n"
    "\"\"\", {'names': globals(), 'shell': get_ipython()})\n";
