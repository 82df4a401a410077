"""test_table.py - that the suite is what SECURITY.md says it is."""
from arena import LAYERS
import table


def test_security_md_is_up_to_date():
    assert table.current() == table.tables(), "run tests/attacks/table.py --write"


def test_every_test_is_an_attack_with_a_meaning():
    found = table.attacks()
    assert len(found) >= 60 and sum(a.gvisor for a in found) >= 20
    assert {a.layer for a in found} == set(LAYERS)
    assert not [a.name for a in found if not a.gvisor and not a.reason], "left out under gVisor without a reason"
    lines = [a.success for a in found]
    assert len(set(lines)) == len(lines)
    assert all(line and "\n" not in line and not line.endswith(".") for line in lines)
