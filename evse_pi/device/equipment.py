"""What the board has, as far as it shows in the clusters; kept apart from the clusters, which take time to load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equipment:
    """What is fitted; `meter_model` names a row of `measurement_accuracy.METERS` and is None without a meter."""

    status_led: bool = False
    temperature: bool = False
    meter_model: str | None = None
