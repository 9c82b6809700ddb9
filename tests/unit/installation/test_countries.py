"""The page of the countries' rules: every rule has a source, and no source is without a rule."""

from __future__ import annotations

from pathlib import Path

from evse_pi.core.country import PROFILES
from evse_pi.installation import countries

ROOT = Path(__file__).parents[3]


def test_the_page_is_as_the_rules_are() -> None:
    assert (ROOT / "docs/COUNTRIES.md").read_text() == countries.page(), "run: make docs"


def test_every_rule_that_is_not_the_common_one_names_where_it_was_read() -> None:
    rules = {code: set(countries.differing(profile)) for code, profile in PROFILES.items()}
    sources = {code: set(countries.SOURCES.get(code, {})) for code in PROFILES}
    assert rules == sources
    assert set(countries.SOURCES) <= set(PROFILES)
    assert all(len(each.text) > 10 for read in countries.SOURCES.values() for each in read.values())
