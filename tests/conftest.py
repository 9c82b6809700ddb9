"""What every test shares: the two tiers, and hypothesis, which measures no time on a machine that may be busy.

The suite tries the same examples every time, so that what lands is what was tried; EVSE_PI_HYPOTHESIS=search looks for
new ones, many of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.kept import FAILED

if TYPE_CHECKING:
    from collections.abc import Generator

TESTS = Path(__file__).parent
PARALLEL = frozenset({"architecture", "component", "unit", "vectors"})
"""The levels that are independent of real time, of each other and of the machine: their tests run side by side.

The levels system and interop start real processes and wait for them, take network namespaces or judge real time: the
serial tier, one test at a time.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ["parallel", "serial"]
    parser.addoption("--tier", choices=choices, help="run only the tests that run side by side, or only the others")


def _is_elsewhere(path: Path, config: pytest.Config) -> bool:
    """Return whether a file or folder belongs to the tier that was not asked for."""
    tier = config.getoption("--tier")
    if tier is None or TESTS not in path.parents:
        return False
    return bool((path.relative_to(TESTS).parts[0] in PARALLEL) != (tier == "parallel"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import the other tier's tests; None leaves the decision to pytest."""
    return True if _is_elsewhere(collection_path, config) else None


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Leave out what was named on the command line and belongs to the other tier."""
    others = [item for item in items if _is_elsewhere(item.path, config)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if not _is_elsewhere(item.path, config)]


@pytest.fixture(autouse=True, scope="session")
def _system_places_untouched() -> Generator[None]:
    """Fail where a test has written into the places of an installed box, which another test or a real box may use."""
    places = [Path("/var/lib/evse-pi"), Path("/var/lib/evse-pi-safety"), Path("/run/evse-pi"), Path("/etc/evse-pi")]
    before = {place: place.exists() for place in places}
    yield
    assert {place: place.exists() for place in places} == before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep with each test whether it has failed: what it was lent may be broken then."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("EVSE_PI_HYPOTHESIS", "same"))
