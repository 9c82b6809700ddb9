"""What the black box costs: `python -m bench.black_box [SECONDS]` times the real loop while a car charges.

Under virtual time, so that nothing waits; the box writes in the rest after a tick, when its outputs are driven.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from boards.loader import load_board
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000


def timed(call: Callable[..., None], samples: list[int]) -> Callable[..., None]:
    def wrapped(*arguments: int) -> None:
        started_ns = time.perf_counter_ns()
        call(*arguments)
        samples.append(time.perf_counter_ns() - started_ns)

    return wrapped


def quantiles(samples: list[int]) -> str:
    ordered = sorted(samples)
    picked = [ordered[min(len(ordered) * share // 1000, len(ordered) - 1)] for share in (500, 990, 999, 1000)]
    return "/".join(f"{ns / 1000:.1f}" for ns in picked) + " us (p50/p99/p99.9/max)"


def main(seconds: int) -> None:
    """Print how long ticks and rests take without and with a black box."""
    for records in (False, True):
        world = VirtualBox(VirtualBoxSettings(load_board("simulated"), records=records))
        loop = world.loop
        assert loop is not None
        ticks: list[int] = []
        rests: list[int] = []
        loop.tick = timed(loop.tick, ticks)  # type: ignore[method-assign]
        loop.rest = timed(loop.rest, rests)  # type: ignore[method-assign]
        world.wait(8 * SECOND)
        world.do("plug_in", cable_ma=32_000)
        world.do("auto")
        world.wait(seconds * SECOND)
        print(f"black box {'on: ' if records else 'off:'} tick {quantiles(ticks)}, rest {quantiles(rests)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
