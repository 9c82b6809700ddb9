"""Namespaces, controllers and lamps for the tests with real controllers; what is missing is a reason to skip."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.matter_real.controllers import MATTERJS, ChipController, ControllerError, JsonProgram, matterjs_missing
from tests.matter_real.evse_peer import Peer, subscribed
from tests.matter_real.lamp import PASSCODE, Lamp
from tests.matter_real.namespaces import Namespaces, NamespacesUnavailable, make_namespaces, remove_namespaces
from tests.matter_real.wallbox import Wallbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/matter_real" in str(item.path):
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
def chip(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChipController]:
    """The CHIP SDK's controller."""
    yield from chip_controller(namespaces, tmp_path_factory)


def chip_controller(namespaces: Namespaces, factory: pytest.TempPathFactory) -> Iterator[ChipController]:
    """Give the CHIP SDK's controller; what it lacks on this machine is a reason to skip."""
    if importlib.util.find_spec("chip.native") is None:
        pytest.skip("home-assistant-chip-core is not installed")
    try:
        controller = ChipController(namespaces, factory.mktemp("chip"))
    except ControllerError as error:
        if error.kind == "OSError":
            pytest.skip(f"the CHIP controller needs a shared library: {error}")
        raise
    yield controller
    controller.close()


@pytest.fixture(scope="session")
def matterjs(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JsonProgram]:
    """The matter.js controller."""
    if reason := matterjs_missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("matterjs")
    program = ["node", str(MATTERJS / "controller.mjs"), str(folder / "storage")]
    with JsonProgram(namespaces.inside(namespaces.controller, *program), folder) as controller:
        yield controller


def _lamps(namespaces: Namespaces, factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lamp]]:
    made: list[Lamp] = []

    def make(module: str = "examples.matter_lamp", *options: str) -> Lamp:
        lamp = Lamp(namespaces, factory.mktemp("lamp"), 100 + next(_numbers), module=module)
        lamp.options += options
        made.append(lamp)
        lamp.start()
        return lamp

    yield make
    codes = [lamp.stop() for lamp in made]
    assert [line for lamp in made for line in lamp.complaints()] == []
    assert set(codes) <= {0}


@pytest.fixture
def lamps(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lamp]]:
    """Make running lamps; at the end of the test they must stop cleanly and have logged no error."""
    yield from _lamps(namespaces, tmp_path_factory)


@pytest.fixture(scope="module")
def node_id() -> int:
    """A node id that no other module uses."""
    return 1000 + next(_numbers)


@pytest.fixture(scope="module")
def lamp(
    namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory, chip: ChipController, node_id: int
) -> Iterator[Lamp]:
    """A lamp that the CHIP controller has commissioned as `node_id`, shared by the tests of a module."""
    lamps = _lamps(namespaces, tmp_path_factory)
    one = next(lamps)()
    chip.call("commission", node_id, PASSCODE, one.discriminator)
    yield one
    chip.call("unsubscribe")
    next(lamps, None)


@pytest.fixture(scope="module")
def wallboxes(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Wallbox]]:
    """Make running wallboxes; at the end they must stop cleanly and have logged no error but the faults set."""
    made: list[Wallbox] = []

    def make(*options: str, wait: bool = True) -> Wallbox:
        folder = Path(tempfile.mkdtemp(prefix="evse-"))  # the sockets' paths must be short
        box = Wallbox(namespaces, folder, 400 + next(_numbers), *options)
        made.append(box)
        box.start(wait=wait)
        return box

    yield make
    codes = [box.stop() for box in made]
    logs = "".join(box.log()[-3000:] for box in made if box.complaints())
    for box in made:
        shutil.rmtree(box.paths.state_dir)
    assert not logs, logs
    assert set(codes) <= {0}


@pytest.fixture(scope="module")
def wallbox(wallboxes: Callable[..., Wallbox], chip: ChipController, node_id: int) -> Iterator[Wallbox]:
    """A wallbox that the CHIP controller has commissioned as `node_id`, shared by the tests of a module."""
    box = wallboxes("--features=pref,rfid")
    chip.call("commission", node_id, PASSCODE, box.discriminator)
    yield box
    chip.call("unsubscribe")


@pytest.fixture
def peer(chip: ChipController, wallbox: Wallbox, node_id: int) -> Iterator[Peer]:
    """The CHIP controller subscribed to everything that the module's wallbox has."""
    with subscribed(chip, node_id, wallbox.log) as one:
        yield one
