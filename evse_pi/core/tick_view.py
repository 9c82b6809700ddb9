"""What one tick's inputs show, before anything is made of it."""

from __future__ import annotations

from typing import NamedTuple

from evse_pi.core.coil_node import CoilNode
from evse_pi.core.contactor_monitor import ContactorMonitor
from evse_pi.core.lease import Lease
from evse_pi.core.load_monitor import LoadMonitor
from evse_pi.core.pilot_monitor import CableMonitor, PilotMonitor
from evse_pi.core.records import MeterSample


class TickView(NamedTuple):
    """The monitors that only look, after this tick; `meter` is None on a board without one."""

    pilot: PilotMonitor
    cable: CableMonitor
    lease: Lease
    contactor: ContactorMonitor
    load: LoadMonitor
    coil: CoilNode
    meter: MeterSample | None
