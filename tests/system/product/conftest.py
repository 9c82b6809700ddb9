"""The installed product, a box that runs it, and a controller of the tests' own beyond a virtual cable."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.namespaces import Namespaces, NamespacesUnavailable, make_namespaces, remove_namespaces
from tests.interop.shared import kept_chip
from tests.system.product.installation import Installation, install
from tests.system.product.installed_box import InstalledBox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.controllers import ChipController


@pytest.fixture(scope="session")
def installed() -> Installation:
    """The product, installed for the Python that runs the tests."""
    return install()


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Namespaces]:
    """A network of the box and the controller alone."""
    try:
        pair = make_namespaces("product")
    except NamespacesUnavailable as reason:
        pytest.skip(str(reason))
    yield pair
    remove_namespaces(pair)


@pytest.fixture(scope="module")
def chip(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChipController]:
    """The CHIP SDK's controller."""
    with kept_chip(namespaces, tmp_path_factory.mktemp("chip")) as chips:
        yield chips.get()


@pytest.fixture(scope="module")
def box(installed: Installation, namespaces: Namespaces) -> Iterator[InstalledBox]:
    """A running box that was never commissioned; at the end it stops cleanly and has logged no error."""
    folder = Path(tempfile.mkdtemp(prefix="evse-"))  # the sockets' paths must be short
    one = InstalledBox(namespaces, folder, installed)
    try:
        one.start()
        yield one
    finally:
        code = one.stop()
        complaints, log = one.complaints(), one.log()[-3000:]
        shutil.rmtree(folder)
    assert not complaints, log
    assert code == 0
