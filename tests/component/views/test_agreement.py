"""API, command line, web page and Matter are four translations of one box: none may tell what another contradicts.

Every fault, alone and all together, at every state of the vehicle, under what owner and controller have set.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest

from evse_pi.api.codec import from_plain, to_plain
from evse_pi.api.status import Board, Status
from evse_pi.api.texts.quantities import amps, sentence
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.startup_state import StartupState
from evse_pi.cli.status_text import lines
from evse_pi.core.faults import FAULTS, NO_FAULTS, Fault
from evse_pi.core.states import LimitSource, Reason
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.diagnostics.explanation import why
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.node.box_status import NodeStatus, status
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.web import layout
from evse_pi.web.pages import status_page
from hal.units import Milliamps
from tests.support.model_bench import attached
from tests.support.node_box import RATINGS, FakeSafety, HandWriter
from tests.support.virtual_loop import virtual_time

# Matter 1.4 Application Cluster Specification 9.3.7.1 to 9.3.7.3, by number.
NOT_PLUGGED_IN, NO_DEMAND, DEMAND, CHARGING, FAULT = 0, 1, 2, 3, 6
DISABLED, CHARGING_ENABLED, DISABLED_ERROR = 0, 1, 3
NO_ERROR = 0
STATES: dict[str, set[int | None]] = {
    "A": {NOT_PLUGGED_IN},
    "B": {NO_DEMAND},
    "C": {CHARGING},
    "closing": {DEMAND},
    "E": {None},
    "?": {None},
}
OFFERS = {"A": 0, "B": 32_000, "C": 32_000, "closing": 32_000, "E": 0, "?": 0}
"""What the played safety process offers, in mA, while there is no fault."""
OWNERS = [(True, None), (True, 10_000), (False, None), (False, 16_000)]
CONTROLLERS = [None, False, True]
"""What a controller said: nothing, Disable, EnableCharging from 6 A to 20 A."""


@dataclass
class Views:
    """What the four of them tell at one instant, text and pages as one line each."""

    api: Status
    text: str
    page: str
    why_page: str
    matter: Any


class Box:
    """One charge point behind the four views."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.safety = FakeSafety(self.clock)
        self.point = ChargePoint(self.clock, RATINGS, SIMULATED_INSTALLATION, StartupState(), HandWriter())
        self.adapter = ChargePointAdapter(self.point, lambda: None)
        self.evse = EnergyEvseServer(self.adapter)

    async def start(self, *, commissioned: bool) -> Box:
        await attached(self.evse)
        self.point.commission(commissioned=commissioned)
        return self

    def become(self, vehicle: str, faults: frozenset[Fault]) -> None:
        """Let the safety process tell a state; faults open the contactor, and are then the reason."""
        snapshot = self.safety.become(vehicle, faults)
        if faults:
            snapshot = replace(snapshot, close_ordered=False, offered_current_ma=Milliamps(0), reason=Reason.FAULT)
        self.point.on_snapshot(snapshot)
        self.adapter.refresh()

    def views(self) -> Views:
        """Return what each view tells; the API's by way of its JSON, as every client reads it."""
        own = NodeStatus(Board("simulated", "a board"), "0", self.point.owner.permitted)
        told: Status = from_plain(Status, json.loads(json.dumps(to_plain(status(self.point, own)))), "refuse")
        page, why_page = (
            " ".join(html.unescape(layout.document(each, "box", None, "1")).replace("\N{NO-BREAK SPACE}", " ").split())
            for each in (status_page.status_page(told, why(told)), status_page.why_page(why(told)))
        )
        return Views(told, " ".join(" ".join(lines(told)).split()), page, why_page, self.evse.state)


async def box_for(owner: tuple[bool, int | None], controller: bool | None) -> Box:
    """Return a box for which owner and controller have spoken."""
    box = await Box().start(commissioned=controller is not None)
    permitted, limit_ma = owner
    box.point.set_owner_permission(permitted=permitted, limit_ma=None if limit_ma is None else Milliamps(limit_ma))
    if controller is False:
        box.evse.disable()
    elif controller:
        await box.evse.enable_charging(EnergyEvse.Commands.EnableCharging(None, 6_000, 20_000))
    return box


def check_faults(views: Views, faults: frozenset[Fault]) -> None:
    """Every view names the faults that are there, and no other; Matter tells the one that the API ranks first."""
    assert {each.fault for each in views.api.faults} == faults
    assert bool(views.matter.fault_state != NO_ERROR) is bool(faults)
    assert (views.matter.supply_state == DISABLED_ERROR) is bool(faults)
    assert (views.matter.state == FAULT) is bool(faults)
    if faults:
        assert views.matter.fault_state == FAULTS[views.api.faults[0].fault].fault_state
    assert ("fault none" in views.text) is not bool(faults)
    assert ("<h1>Fault</h1>" in views.page) is ("<h1>Fault</h1>" in views.why_page) is bool(faults)
    titles = {each.title for each in views.api.faults}
    for fault in Fault:
        assert (f"({fault.name}):" in views.text) is (fault in faults), fault.name
    for title in titles:
        assert title in views.text
        assert sentence(title) in views.why_page


def check_vehicle(views: Views, vehicle: str) -> None:
    """Every view tells the same pilot, contactor and offer."""
    pilot, contactor = views.api.pilot, views.api.contactor
    assert pilot is not None
    assert contactor is not None
    closed = "closed" if contactor.close_ordered else "open"
    assert f"state {pilot.state.name} ({pilot.evse_state.name})" in views.text
    assert f"<dd>{pilot.evse_state.name}, " in views.page
    assert f"contactor {closed}, " in views.text
    assert f"<dd>{closed} (mirror " in views.page
    assert views.api.offered_current_ma == (0 if views.api.faults else OFFERS[vehicle])
    offer = amps(views.api.offered_current_ma)
    assert f" offer {offer} " in views.text
    assert f"<dt>Offered</dt><dd>{offer}</dd>" in views.page
    if not views.api.faults:
        assert views.matter.state in STATES[vehicle]
        assert (views.matter.state == CHARGING) is ("<h1>Charging</h1>" in views.page)
        assert (views.matter.state == CHARGING) is ("box charging;" in views.text)


def check_limits(views: Views) -> None:
    """Every view tells the same limits; Matter tells the least of them, and 0 where one permits nothing."""
    permitted = all(limit.permitted for limit in views.api.limits if limit.counts)
    if not views.api.faults:
        assert views.matter.supply_state == (CHARGING_ENABLED if permitted else DISABLED)
        ceilings = [limit.limit_ma for limit in views.api.limits if limit.counts and limit.limit_ma is not None]
        assert views.matter.maximum_charge_current == (min(ceilings) if permitted else 0)
    for limit in views.api.limits:
        value = "no limit" if limit.limit_ma is None else amps(limit.limit_ma)
        forbids, decides = (not limit.permitted) * ", does not permit", limit.wins * " <- this one"
        assert f"{value} {limit.text}{forbids}{decides}" in views.text
        tag = limit.wins * '<span class="tag">decides</span>'
        shown = value if limit.permitted else "no charging"
        assert f'<th scope="row">{sentence(limit.text)} {tag}</th><td>{shown}</td>' in views.why_page
    assert [limit.limit_ma for limit in views.api.limits if limit.source is LimitSource.CIRCUIT_CAPACITY] == [
        views.matter.circuit_capacity
    ]
    winners = sum(limit.wins for limit in views.api.limits)
    assert views.text.count(" <- this one") == views.why_page.count(">decides<") == winners == 1


@pytest.mark.parametrize("faults", [NO_FAULTS, *[frozenset({fault}) for fault in Fault], frozenset(Fault)])
@virtual_time
async def test_the_views_agree_with_each_other_in_every_combination(faults: frozenset[Fault]) -> None:
    said = list(product(OWNERS, CONTROLLERS)) if len(faults) != 1 else [(OWNERS[1], True)]
    for owner, controller in said:
        box = await box_for(owner, controller)
        for vehicle in STATES:
            box.become(vehicle, faults)
            views = box.views()
            check_faults(views, faults)
            check_vehicle(views, vehicle)
            check_limits(views)
