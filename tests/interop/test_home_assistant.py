"""Home Assistant's Matter server, with the client and the commands that Home Assistant itself uses, and a wallbox."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.controllers import HOME_ASSISTANT, TEST_PAA, JsonProgram, home_assistant_missing
from tests.interop.shared import make_wallbox, remove_wallbox
from tests.support.kept import Kept, has_failed, lent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.interop.namespaces import Namespaces
    from tests.interop.wallbox import Wallbox

EVSE, MODE, POWER = 0x99, 0x9D, 0x90
ACTIVE_POWER = "8"
STATE, SUPPLY, UNTIL, CAPACITY, MAXIMUM, USER_MAXIMUM = "0", "1", "3", "5", "7", "9"
SWITCH_ON = {"chargingEnabledUntil": None, "minimumChargeCurrent": 0, "maximumChargeCurrent": 0}
"""What the switch "enable charging" of Home Assistant's Matter integration sends."""


class HomeAssistant:
    """The server and its client inside the controller's namespace, and the node that it commissioned."""

    def __init__(self, program: JsonProgram, box: Wallbox) -> None:
        self._program = program
        self.box = box
        try:
            self.commissioned = program.call(
                "commission", code=box.ask("commission", action="CODES")["codes"]["manual"]
            )
        except BaseException:
            self.abandon()
            raise
        self.node = self.commissioned["node"]

    def check(self) -> None:
        """Raise unless both work."""
        self._program.check()
        self.box.check()

    def end(self) -> None:
        """End both, which they must do cleanly."""
        self._program.close()
        self.box.end()

    def abandon(self) -> None:
        """End both by force."""
        self._program.abandon()
        self.box.abandon()

    def invoke(self, cluster: str, command: str, **fields: Any) -> None:
        """Send a timed command."""
        self._program.call("invoke", node=self.node, cluster=cluster, command=command, fields=fields)

    def write(self, path: str, value: Any) -> None:
        """Write an attribute."""
        self._program.call("write", node=self.node, path=path, value=value)

    def until(self, cluster: int, **wanted: Any) -> dict[str, Any]:
        """Return what Home Assistant shows of a cluster once attributes, as a_0=value, have these values."""
        expected = {name.removeprefix("a_"): value for name, value in wanted.items()}
        return self.until_shown(cluster, lambda shown: expected.items() <= shown.items())

    def until_shown(self, cluster: int, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return what Home Assistant shows of a cluster once it holds."""
        deadline = time.monotonic() + 20
        while not holds(shown := self._program.call("attributes", node=self.node, cluster=cluster)):
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        return shown


@pytest.fixture(scope="module")
def homes(namespaces: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[HomeAssistant]]:
    """Home Assistant with a box that it has commissioned, both others where one of them is broken."""
    if reason := home_assistant_missing():
        pytest.skip(reason)
    made: list[Wallbox] = []

    def start() -> HomeAssistant:
        made.append(make_wallbox(namespaces, "--features=pref,rfid"))
        made[-1].start()
        return HomeAssistant(start_server(namespaces, tmp_path_factory.mktemp("home-assistant")), made[-1])

    kept = Kept(start, check=HomeAssistant.check, stop=HomeAssistant.end, abandon=HomeAssistant.abandon)
    yield kept
    try:
        kept.close()
    finally:
        for box in made:
            box.abandon()
            remove_wallbox(box)


def start_server(namespaces: Namespaces, folder: Path) -> JsonProgram:
    root = folder / "root.der"
    root.write_bytes(base64.b64decode(TEST_PAA))
    python = str(HOME_ASSISTANT / ".venv/bin/python")
    private = 'mkdir -p /data && mount -t tmpfs none /data && exec "$@"'  # the SDK writes there
    program = ["unshare", "--mount", "sh", "-c", private, "sh", python, "server.py", str(folder / "store"), str(root)]
    return JsonProgram(namespaces.inside(namespaces.controller, *program), folder, HOME_ASSISTANT)


@pytest.fixture
def home(homes: Kept[HomeAssistant], request: pytest.FixtureRequest) -> Iterator[HomeAssistant]:
    with lent(homes, request) as one:
        yield one
        assert has_failed(request) or one.box.complaints() == []


@pytest.fixture
def box(home: HomeAssistant) -> Wallbox:
    """Home Assistant's box, which has no car when a test begins."""
    return home.box


def test_it_commissions_the_box_by_its_code_and_reads_all_of_it(home: HomeAssistant) -> None:
    assert home.commissioned["available"] is True
    shown = home.until(EVSE)
    assert {STATE: 0, SUPPLY: 0, UNTIL: 0, CAPACITY: 32_000}.items() <= shown.items()


def test_its_switch_starts_and_stops_a_car(home: HomeAssistant, box: Wallbox) -> None:
    box.car("plug_in", cable_ma=32_000)
    box.car("auto")
    home.until(EVSE, a_0=1, a_1=0)
    home.invoke("EnergyEvse", "EnableCharging", **SWITCH_ON)
    shown = home.until(EVSE, a_0=3, a_1=1)
    assert shown[UNTIL] is None
    lines = box.plant
    assert (shown[MAXIMUM], lines["duty_ppm"], lines["poles"]) == (32_000, 533_333, [True] * 3)
    home.until_shown(POWER, lambda power: power[ACTIVE_POWER] is not None and power[ACTIVE_POWER] > 0)
    home.invoke("EnergyEvse", "Disable")
    home.until(EVSE, a_1=0, a_7=0)
    box.await_plant(lambda plant: not any(plant["poles"]))


def test_its_number_limits_the_current(home: HomeAssistant, box: Wallbox) -> None:
    box.car("plug_in", cable_ma=32_000)
    box.car("auto")
    home.invoke("EnergyEvse", "EnableCharging", **SWITCH_ON)
    home.until(EVSE, a_0=3)
    home.write(f"1/{EVSE}/{USER_MAXIMUM}", 10_000)
    home.until(EVSE, a_7=10_000, a_9=10_000)
    box.await_plant(lambda plant: plant["duty_ppm"] == 166_666)
    home.invoke("EnergyEvse", "Disable")


def test_its_select_chooses_the_mode(home: HomeAssistant, box: Wallbox) -> None:
    shown = home.until(MODE)
    before = shown["1"]
    other = next(mode["mode"] for mode in shown["0"] if mode["mode"] != before)
    home.invoke("EnergyEvseMode", "ChangeToMode", newMode=other)
    home.until(MODE, a_1=other)
    home.invoke("EnergyEvseMode", "ChangeToMode", newMode=before)
    home.until(MODE, a_1=before)
