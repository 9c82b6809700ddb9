"""What the state machine must know of the board, the installation and the rules that apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.states import PilotMode
from hal.units import MILLISECOND, SECOND, CentiCelsius

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.installation_limits import Installation


@dataclass(frozen=True, slots=True)
class TemperatureThresholds:
    """Where the offer is halved, quartered and ended; each is left `hysteresis` below, the last at `resume`."""

    half: CentiCelsius
    quarter: CentiCelsius
    stop: CentiCelsius
    resume: CentiCelsius
    hysteresis: CentiCelsius


DEFAULT_TEMPERATURE = TemperatureThresholds(
    half=CentiCelsius(65_00),
    quarter=CentiCelsius(68_00),
    stop=CentiCelsius(71_00),
    resume=CentiCelsius(62_00),
    hysteresis=CentiCelsius(3_00),
)


@dataclass(frozen=True, slots=True)
class VoltageThresholds:
    """Beyond which voltage, and for how long, the supply is not fit to charge from.

    Units: share of the nominal voltage in percent. `lost` is where a phase counts as missing.
    """

    over_percent: int = 115
    over_ns: int = 2 * SECOND
    under_percent: int = 80
    under_ns: int = 10 * SECOND
    lost_percent: int = 40
    hysteresis_percent: int = 2


@dataclass(frozen=True, slots=True)
class WakeUpStep:
    """One attempt to wake a vehicle: hold `mode` for `hold_ns`, then offer again for `wait_ns`."""

    mode: PilotMode
    hold_ns: int
    wait_ns: int


WAKE_UP_LADDER = (
    WakeUpStep(PilotMode.HIGH, 5 * SECOND, 30 * SECOND),
    WakeUpStep(PilotMode.HIGH, 30 * SECOND, 30 * SECOND),
    WakeUpStep(PilotMode.LOW, 4 * SECOND, 30 * SECOND),
    WakeUpStep(PilotMode.LOW, 30 * SECOND, 30 * SECOND),
)


@dataclass(frozen=True, slots=True)
class WakeUp:
    """How a vehicle is woken that ignores an offer: `patience_ns` in B2, then the steps once, and no more.

    Steps that hold −12 V wait for `calm_ns` since the vehicle last asked for power: some vehicles take state F
    shortly after charging for a broken wallbox and stay in error. No steps: never wake.
    """

    patience_ns: int = 90 * SECOND
    calm_ns: int = 3600 * SECOND
    steps: tuple[WakeUpStep, ...] = WAKE_UP_LADDER


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """All that `step` reads beside its state and its inputs."""

    board: BoardRatings
    installation: Installation
    temperature: TemperatureThresholds = DEFAULT_TEMPERATURE
    voltage: VoltageThresholds = VoltageThresholds()
    wake_up: WakeUp = WakeUp()
    state_f_ns: int = 300 * MILLISECOND
