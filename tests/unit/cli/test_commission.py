"""How `evse-pi commission` says what the box answers."""

from __future__ import annotations

from evse_pi.api.commissioning import Codes, CommissionAnswer
from evse_pi.api.matter_status import FabricSummary, Window
from evse_pi.cli.commission import code_lines, lines

FRESH = CommissionAnswer(
    running=True,
    trouble=None,
    commissioned=False,
    window=Window.BASIC,
    fabrics=(),
    port=5540,
    test_credentials=True,
)
CODES = Codes("MT:Y.K9042C00KA0648G00", "34970112332", 3840, 20202021)


def test_a_fresh_box_says_that_its_owner_rules_and_that_its_credentials_prove_nothing() -> None:
    told = "\n".join(lines(FRESH))
    assert "its owner alone permits" in told
    assert "is let in now" in told
    assert "credentials are for tests" in told


def test_controllers_are_listed_by_the_number_that_removes_them() -> None:
    fabric = FabricSummary(3, "", 0x1349, "1", "2")
    told = lines(FRESH._replace(window=None, commissioned=True, fabrics=(fabric,), test_credentials=False))
    assert told[0].split() == ["3", "vendor", "0x1349", "fabric", "1", "node", "2"]
    assert "evse-pi commission --open" in told[1]


def test_a_device_that_does_not_run_says_why() -> None:
    told = lines(FRESH._replace(running=False, window=None, trouble="OSError: Address already in use"))
    assert told[0] == "Matter does not run: OSError: Address already in use"


def test_the_code_is_drawn_as_a_square_and_written_in_groups() -> None:
    *drawing, code = code_lines(CODES)
    assert code == "MT:Y.K9042C00KA0648G00   3497-011-2332"
    assert len({len(line) for line in drawing}) == 1
    assert abs(len(drawing[0]) - 2 * len(drawing)) <= 1, "two rows of modules a line"
