"""docs/SECURITY.md has the tables of today, and its doors are all that there are."""

from __future__ import annotations

from pathlib import Path

from evse_pi import paths
from tests.support.rights import PAGE, page

SIMULATED = {paths.SIMULATOR_SOCKET, paths.DEVICE_SOCKET}
"""In the folder of the user who simulates a box."""


def test_the_page_is_what_the_table_says() -> None:
    former = PAGE.read_text()
    assert page(former) == former, "run make rights"


def test_every_socket_of_an_installed_box_is_a_door_of_the_page() -> None:
    told = PAGE.read_text().split("## The doors")[1].split("## ")[0]
    sockets = {str(value) for name, value in vars(paths).items() if name.endswith("_SOCKET")} - SIMULATED
    assert len(sockets) == 4
    for each in sockets:
        assert f"`{Path('/run/evse-pi') / each}`" in told
