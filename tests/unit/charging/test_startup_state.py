"""Why charging is forbidden is stored as a code, told in words, and understood as an earlier version stored it."""

from __future__ import annotations

import json

import pytest

from evse_pi.api.texts.trouble_texts import permission_doubt
from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.charging.demand_arbiter import LimitRequest
from evse_pi.charging.startup_state import doubt_of, owner_of, owner_row
from evse_pi.core.states import LimitSource

STOPPED = LimitRequest(LimitSource.OWNER, permitted=False)
AS_BEFORE = "the owner's permission was lost with the database"
"""What versions before this one stored, word for word."""


@pytest.mark.parametrize(
    ("doubt", "words"),
    [
        (PermissionDoubt(DoubtKind.LOST), AS_BEFORE),
        (PermissionDoubt(DoubtKind.FABRICS_DAMAGED, "1, 3"), "the records of fabric 1, 3 were damaged"),
        (PermissionDoubt(DoubtKind.AS_TOLD, AS_BEFORE), AS_BEFORE),
    ],
)
def test_a_doubt_outlives_a_start_and_has_its_words(doubt: PermissionDoubt, words: str) -> None:
    stored = json.loads(str(owner_row(STOPPED, doubt).values["value"]))
    assert (owner_of(stored), doubt_of(stored)) == (STOPPED, doubt)
    assert permission_doubt(doubt) == words


def test_a_sentence_that_an_earlier_version_stored_is_told_as_it_is() -> None:
    doubt = doubt_of({"permitted": False, "limit_ma": None, "doubt": AS_BEFORE})
    assert doubt is not None
    assert permission_doubt(doubt) == AS_BEFORE
    assert json.loads(str(owner_row(STOPPED, doubt).values["value"]))["doubt"] == AS_BEFORE


@pytest.mark.parametrize("kind", DoubtKind)
def test_every_doubt_has_words(kind: DoubtKind) -> None:
    assert permission_doubt(PermissionDoubt(kind, "1"))
