"""Namespaces, controllers and lamps for the tests with real controllers; what is missing is a reason to skip."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.interop.controllers import MATTERJS, ChipController, JsonProgram, matterjs_missing
from tests.interop.evse_peer import Peer, subscribe
from tests.interop.namespaces import Namespaces, NamespacesUnavailable, make_namespaces, remove_namespaces
from tests.interop.shared import (
    kept_chip,
    kept_lamp,
    kept_wallbox,
    lent_node,
    make_lamp,
    make_wallbox,
    numbers,
    remove_wallbox,
)
from tests.support.kept import Kept, has_failed, lent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.interop.lamp import Lamp
    from tests.interop.wallbox import Wallbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/interop" in str(item.path):
            item.add_marker(pytest.mark.network)


@pytest.fixture(scope="session")
def namespaces() -> Iterator[Namespaces]:
    try:
        pair = make_namespaces()
    except NamespacesUnavailable as reason:
        pytest.skip(str(reason))
    yield pair
    remove_namespaces(pair)


@pytest.fixture(scope="session")
def chips(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[ChipController]]:
    """The CHIP SDK's controller, started again with its fabric where it is broken."""
    with kept_chip(namespaces, tmp_path_factory.mktemp("chip")) as kept:
        yield kept


@pytest.fixture
def chip(chips: Kept[ChipController], request: pytest.FixtureRequest) -> Iterator[ChipController]:
    """The CHIP SDK's controller."""
    with lent(chips, request) as controller:
        yield controller


@pytest.fixture(scope="session")
def matterjs_programs(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[JsonProgram]]:
    """The matter.js controller, another one with a fabric of its own where it is broken."""
    if reason := matterjs_missing():
        pytest.skip(reason)

    def start() -> JsonProgram:
        folder = tmp_path_factory.mktemp("matterjs")
        program = ["node", str(MATTERJS / "controller.mjs"), str(folder / "storage")]
        return JsonProgram(namespaces.inside(namespaces.controller, *program), folder)

    kept = Kept(start, check=JsonProgram.check, stop=JsonProgram.close, abandon=JsonProgram.abandon)
    yield kept
    kept.close()


@pytest.fixture
def matterjs(matterjs_programs: Kept[JsonProgram], request: pytest.FixtureRequest) -> Iterator[JsonProgram]:
    """The matter.js controller."""
    with lent(matterjs_programs, request) as controller:
        yield controller


@pytest.fixture
def lamps(
    namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Lamp]]:
    """Make running lamps; at the end of the test they must stop cleanly and have logged no error."""
    made: list[Lamp] = []

    def make(module: str = "examples.matter_lamp", *options: str) -> Lamp:
        lamp = make_lamp(namespaces, tmp_path_factory.mktemp("lamp"), module)
        lamp.options += options
        made.append(lamp)
        lamp.start()
        return lamp

    yield make
    end_all(made, request)


def end_all(made: Sequence[Lamp | Wallbox], request: pytest.FixtureRequest) -> None:
    """End what a test has made: cleanly, or by force where the test has failed."""
    if has_failed(request):
        for one in made:
            one.abandon()
        return
    with ExitStack() as ends:
        for one in made:
            ends.callback(one.end)


@pytest.fixture(scope="module")
def node_id() -> int:
    """A node id that no other module uses."""
    return 1000 + next(numbers)


@pytest.fixture(scope="module")
def lamps_of_module(
    namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory, chips: Kept[ChipController], node_id: int
) -> Iterator[Kept[Lamp]]:
    """A lamp that the CHIP controller has commissioned as `node_id`, another one where it is broken."""
    kept = kept_lamp(namespaces, tmp_path_factory.mktemp("lamp"), chips, node_id)
    yield kept
    kept.close()


@pytest.fixture
def lamp(lamps_of_module: Kept[Lamp], chip: ChipController, request: pytest.FixtureRequest) -> Iterator[Lamp]:
    """The lamp that the CHIP controller has commissioned as `node_id`, shared by the tests of a module."""
    with lent_node(lamps_of_module, chip, request) as one:
        yield one


@pytest.fixture
def wallboxes(namespaces: Namespaces, request: pytest.FixtureRequest) -> Iterator[Callable[..., Wallbox]]:
    """Make running wallboxes; at the end of the test they must stop cleanly and have logged no error of their own."""
    made: list[Wallbox] = []

    def make(*options: str, wait: bool = True) -> Wallbox:
        made.append(make_wallbox(namespaces, *options))
        made[-1].start(wait=wait)
        return made[-1]

    yield make
    try:
        end_all(made, request)
    finally:
        for box in made:
            remove_wallbox(box)


@pytest.fixture(scope="module")
def features() -> str:
    """The features of the module's wallbox."""
    return "pref,rfid"


@pytest.fixture(scope="module")
def wallboxes_of_module(
    namespaces: Namespaces, chips: Kept[ChipController], node_id: int, features: str
) -> Iterator[Kept[Wallbox]]:
    """A wallbox that the CHIP controller has commissioned as `node_id`, another one where it is broken."""
    with kept_wallbox(namespaces, chips, node_id, features) as kept:
        yield kept


@pytest.fixture
def wallbox(
    wallboxes_of_module: Kept[Wallbox], chip: ChipController, request: pytest.FixtureRequest
) -> Iterator[Wallbox]:
    """The wallbox that the CHIP controller has commissioned as `node_id`, shared by the tests of a module.

    It has no car when a test begins.
    """
    with lent_node(wallboxes_of_module, chip, request) as box:
        yield box


@pytest.fixture
def peer(chip: ChipController, wallbox: Wallbox, node_id: int) -> Peer:
    """The CHIP controller subscribed to everything that the module's wallbox has."""
    return subscribe(chip, node_id, wallbox.log)
