"""The safety process of bench/reaction.py: contacts that need no rest and a vehicle that is believed at once.

Ten thousand openings would take 15 hours with the minimum off time of 5 s and the 500 ms of a lasting C. Nothing on
the way from the vehicle's change to the opened line is different from the product.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from evse_pi.core import machine
from evse_pi.safety import __main__ as process

Loop = process.SafetyLoop


def restless(hardware, link, settings, *rest):
    board = replace(settings.machine.board, contactor_min_off_ns=0)
    return Loop(hardware, link, replace(settings, machine=replace(settings.machine, board=board)), *rest)


if __name__ == "__main__":
    machine.CLOSE_AFTER_NS = 10_000_000
    process.SafetyLoop = restless
    sys.exit(process.main())
