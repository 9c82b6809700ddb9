"""A board with opto-couplers behind its contactor, as integrators have them: the simulated one with that sense."""

from __future__ import annotations

from dataclasses import replace

from boards.loader import load_board
from boards.spec import CouplerSense, InputPin
from hal.gpio import Pull

COUPLER_BOARD = replace(
    load_board("simulated"),
    load_sense=None,
    voltage_sense=CouplerSense(InputPin(19, active_high=False, pull=Pull.UP), hold_ms=40),
)
