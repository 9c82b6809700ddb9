"""The commissioning window: the time in which a commissioner with the passcode may become an administrator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from evse_pi.matter.model.observable import Observable

if TYPE_CHECKING:
    from evse_pi.matter.channel.pase import PaseResponder, PaseVerifier

MIN_TIMEOUT_S = 180
MAX_TIMEOUT_S = 900
"""Source: Matter core 5.4.2.3.1: no window is open for longer than 15 minutes."""


class WindowMode(IntEnum):
    """How the window was opened, as DNS-SD says it in `CM`."""

    BASIC = 1
    ENHANCED = 2


@dataclass(frozen=True, slots=True)
class Opener:
    """The administrator who opened a window."""

    fabric_index: int
    vendor_id: int


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A window that is open now; without `opener` it is the one of a factory-fresh node."""

    mode: WindowMode
    discriminator: int
    opener: Opener | None


class CommissioningWindow:
    """Opens and closes the door that PASE stands behind."""

    def __init__(self, pase: PaseResponder) -> None:
        self.current: OpenWindow | None = None
        self.changed: Observable[OpenWindow | None] = Observable("commissioning window")
        self._pase = pase
        self._timer: asyncio.TimerHandle | None = None
        pase.on_guessing_limit(self.close)

    def open(self, window: OpenWindow, verifier: PaseVerifier, timeout_s: int) -> None:
        """Let commissioners in for `timeout_s`."""
        self._stop_timer()
        self._pase.open(verifier)
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.close)
        self.current = window
        self.changed.emit(window)

    def close(self) -> None:
        """Accept no more commissioners; nothing happens when no window is open."""
        self._stop_timer()
        self._pase.close()
        if self.current is not None:
            self.current = None
            self.changed.emit(None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
