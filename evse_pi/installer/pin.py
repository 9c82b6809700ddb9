"""The installer's PIN: kept as a salted hash, and asked for ever more slowly when it is wrong.

The number of failures and when the last one was stand in a file, written before a PIN is compared: who ends the
process, or the machine, in that moment has used up the attempt. Delays run on the machine's own clock; in another life
of the machine they begin with its start, so that neither a restart nor a clock that was set makes them shorter.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import itertools
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.catalogue import tr
from evse_pi.installation.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evse_pi.charging.clock import Clock

PIN_FILE = "installer.pin"
ATTEMPTS_FILE = "installer.attempts"
MODE = 0o600
MIN_DIGITS, MAX_DIGITS = 6, 32
FREE_FAILURES = 3
FIRST_DELAY_S = 10
MAX_DELAY_S = 3_600
SALT_BYTES = 16
COST = {"n": 1 << 14, "r": 8, "p": 1}
"""16 MiB and some 50 ms a try. Source: RFC 7914, OWASP password storage cheat sheet."""
_SECOND_NS = 1_000_000_000


class PinError(ValueError):
    """The PIN is not accepted; the text says why and, where it may be tried again, when."""


class PinTooEarlyError(PinError):
    """No PIN was compared: the delay after wrong ones still runs."""


class Pin:
    """The PIN of one box, in `folder`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = folder / PIN_FILE
        self._attempts = folder / ATTEMPTS_FILE
        self._clock = clock

    @property
    def is_set(self) -> bool:
        """Whether there is a PIN."""
        return self._file.exists()

    def choose(self, pin: str) -> None:
        """Make `pin` the PIN. Raises: PinError when it is too easy to guess, OSError."""
        check_digits(pin)
        salt = os.urandom(SALT_BYTES)
        content = json.dumps({"salt": salt.hex(), "hash": _hash(pin, salt, COST).hex(), **COST}).encode()
        write_atomically(self._file, content + b"\n", MODE)
        self._attempts.unlink(missing_ok=True)

    def verify(self, pin: str) -> None:
        """Return if `pin` is the PIN. Raises: PinError when it is not or it is too early to try again, OSError."""
        if not self.is_set:
            raise PinError(tr("no installer PIN has been set; as root: evse-pi setup --pin-stdin"))
        with self._locked():
            failures = self._failures()
            self._note(failures + 1)
            kept = json.loads(self._file.read_bytes())
            cost = {name: int(kept[name]) for name in COST}
            if not hmac.compare_digest(_hash(pin, bytes.fromhex(kept["salt"]), cost), bytes.fromhex(kept["hash"])):
                delay_s = delay_after(failures + 1)
                again = tr("try again in {delay_s} s").format(delay_s=delay_s) if delay_s else tr("try again")
                raise PinError(tr("the PIN is wrong; {again}").format(again=again))
            self._note(0)

    def _failures(self) -> int:
        """Return how many attempts failed. Raises: PinError while the delay after the last one runs."""
        try:
            kept: dict[str, Any] = json.loads(self._attempts.read_bytes())
            failures, boot, at_ns = int(kept["failures"]), str(kept["boot"]), int(kept["at_ns"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):  # torn by a power cut: as after many failures
            failures, boot, at_ns = 2 * FREE_FAILURES, "", 0
        began_ns = at_ns if boot == self._clock.kernel_boot_id else 0
        left_ns = began_ns + delay_after(failures) * _SECOND_NS - self._clock.monotonic_ns()
        if left_ns > 0:
            raise PinTooEarlyError(
                tr("{failures} wrong PINs; try again in {value} s").format(
                    failures=failures, value=-(-left_ns // _SECOND_NS)
                )
            )
        return failures

    def _note(self, failures: int) -> None:
        kept = {"failures": failures, "boot": self._clock.kernel_boot_id, "at_ns": self._clock.monotonic_ns()}
        write_atomically(self._attempts, json.dumps(kept).encode() + b"\n", MODE)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def check_digits(pin: str) -> None:
    """Find out whether `pin` may be one. Raises: PinError."""
    if not (pin.isascii() and pin.isdecimal() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        raise PinError(
            tr("a PIN has {min_digits} to {max_digits} digits and nothing else").format(
                min_digits=MIN_DIGITS, max_digits=MAX_DIGITS
            )
        )
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinError(tr("this PIN is among the first to be tried; choose digits without a pattern"))


def delay_after(failures: int) -> int:
    """Return how many seconds must pass after so many failures in a row."""
    if failures < FREE_FAILURES:
        return 0
    return int(min(FIRST_DELAY_S << min(failures - FREE_FAILURES, 16), MAX_DELAY_S))


def _hash(pin: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return hashlib.scrypt(
        pin.encode("utf-8", "surrogatepass"), salt=salt, n=cost["n"], r=cost["r"], p=cost["p"], dklen=32
    )
