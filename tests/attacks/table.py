#!/usr/bin/python3
"""table.py - the tables of SECURITY.md: which attack is stopped by which layer, from the suite's own metadata.

    /usr/bin/python3 -B tests/attacks/table.py           prints them
    /usr/bin/python3 -B tests/attacks/table.py --write   puts them between the markers in SECURITY.md
"""
import glob
import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SECURITY = os.path.join(os.path.dirname(os.path.dirname(HERE)), "SECURITY.md")
BEGIN, END = "<!-- attacks -->\n", "<!-- /attacks -->\n"

sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "blackbox")]


class Attack:
    def __init__(self, module, function, marks):
        self.name = f"{module}.py::{function}"
        self.layer = marks["attack"].kwargs["layer"]
        self.success = marks["attack"].kwargs["success"]
        self.gvisor = "runsc" in marks
        self.reason = marks["crun_only"].args[0] if "crun_only" in marks else None  # why not under gVisor
        self.open = "xfail" in marks


def attacks():
    """All attacks of the suite, in the order of their files."""
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        module = os.path.basename(path)[:-3]
        for name, value in vars(importlib.import_module(module)).items():
            marks = {mark.name: mark for mark in getattr(value, "pytestmark", [])} if callable(value) else {}
            if name.startswith("test_") and "attack" in marks:
                found.append(Attack(module, name, marks))
    return found


def tables():
    """The tables as Markdown, one for each layer."""
    from arena import LAYERS

    all_attacks = attacks()
    gvisor = sum(a.gvisor for a in all_attacks)
    text = f"{len(all_attacks)} attacks; those marked g make sense under gVisor as well ({gvisor}).\n"
    for layer in LAYERS:
        text += f"\n**{layer}**\n\n| Attack | It succeeds if it | |\n| --- | --- | --- |\n"
        for a in all_attacks:
            if a.layer == layer:
                mark = "open" if a.open else "g" if a.gvisor else ""
                text += f"| `{a.name}` | {a.success.replace('|', chr(92) + '|')} | {mark} |\n"
    return text


def current():
    """What stands in SECURITY.md now."""
    with open(SECURITY, encoding="utf-8") as f:
        return f.read().partition(BEGIN)[2].partition(END)[0]


def write():
    with open(SECURITY, encoding="utf-8") as f:
        head, _, rest = f.read().partition(BEGIN)
    with open(SECURITY, "w", encoding="utf-8") as f:
        f.write(head + BEGIN + tables() + END + rest.partition(END)[2])


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        print(tables(), end="")
