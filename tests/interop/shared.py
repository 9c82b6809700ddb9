"""Lamps and wallboxes that the CHIP SDK's controller has commissioned and that the tests of a module share."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.controllers import ChipController, ControllerError
from tests.interop.lamp import PASSCODE, Lamp
from tests.interop.wallbox import Wallbox
from tests.support.kept import Kept, has_failed, lent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.namespaces import Namespaces

FABRICS = (0, "OperationalCredentials.Attributes.CommissionedFabrics")
numbers = itertools.count(1)
"""What makes node ids, discriminators and ports of one run differ."""


def make_lamp(namespaces: Namespaces, folder: Path, module: str = "examples.matter_lamp") -> Lamp:
    """Return a lamp that is not started yet."""
    return Lamp(namespaces, folder, 100 + next(numbers), module=module)


def make_wallbox(namespaces: Namespaces, *options: str) -> Wallbox:
    """Return a wallbox that is not started yet, with a folder whose path is short, as those of sockets must be."""
    return Wallbox(namespaces, Path(tempfile.mkdtemp(prefix="evse-")), 400 + next(numbers), *options)


def remove_wallbox(box: Wallbox) -> None:
    """Take away what it has left."""
    shutil.rmtree(box.paths.state_dir)


@contextmanager
def kept_chip(namespaces: Namespaces, folder: Path) -> Iterator[Kept[ChipController]]:
    """Keep the CHIP SDK's controller; what it lacks on this machine is a reason to skip."""
    if importlib.util.find_spec("chip.native") is None:
        pytest.skip("home-assistant-chip-core is not installed")

    def start() -> ChipController:
        try:
            return ChipController(namespaces, folder)
        except ControllerError as error:
            if error.kind == "OSError":
                pytest.skip(f"the CHIP controller needs a shared library: {error}")
            raise

    kept = Kept(start, check=ChipController.check, stop=ChipController.close, abandon=ChipController.abandon)
    yield kept
    kept.close()


def check_reach(chip: ChipController, node_id: int) -> None:
    """Raise unless the controller can read from a node, with the session it has or with another one."""
    try:
        chip.call("read", node_id, FABRICS)
    except ControllerError:
        chip.call("expire_sessions", node_id)
        chip.call("read", node_id, FABRICS)


def commission(chip: ChipController, node_id: int, node: Lamp | Wallbox) -> None:
    """Commission a node as `node_id`, which a node that is gone may have had before."""
    chip.call("expire_sessions", node_id)
    chip.call("commission", node_id, PASSCODE, node.discriminator)


def kept_lamp(namespaces: Namespaces, folder: Path, chips: Kept[ChipController], node_id: int) -> Kept[Lamp]:
    """Keep a lamp that the controller has commissioned."""

    def start() -> Lamp:
        lamp = make_lamp(namespaces, Path(tempfile.mkdtemp(dir=folder)))
        try:
            lamp.start()
            commission(chips.get(), node_id, lamp)
        except BaseException:
            lamp.abandon()
            raise
        return lamp

    return Kept(start, check=lambda _lamp: check_reach(chips.get(), node_id), stop=Lamp.end, abandon=Lamp.abandon)


@contextmanager
def kept_wallbox(
    namespaces: Namespaces, chips: Kept[ChipController], node_id: int, features: str
) -> Iterator[Kept[Wallbox]]:
    """Keep a wallbox that the controller has commissioned."""
    made: list[Wallbox] = []

    def start() -> Wallbox:
        box = make_wallbox(namespaces, f"--features={features}")
        made.append(box)
        try:
            box.start()
            commission(chips.get(), node_id, box)
        except BaseException:
            box.abandon()
            raise
        return box

    def check(box: Wallbox) -> None:
        box.check()
        check_reach(chips.get(), node_id)

    kept = Kept(start, check=check, stop=Wallbox.end, abandon=Wallbox.abandon)
    yield kept
    try:
        kept.close()
    finally:
        for box in made:
            remove_wallbox(box)


@contextmanager
def lent_node(kept: Kept[Lamp] | Kept[Wallbox], chip: ChipController, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Lend a node to a test, which must leave it without a complaint in its log."""
    with lent(kept, request) as node:  # type: ignore[misc]
        yield node
        if not has_failed(request):
            chip.call("unsubscribe")
            complaints = node.complaints()
            assert complaints == [], complaints
