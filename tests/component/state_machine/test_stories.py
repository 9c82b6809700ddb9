"""Every story of this folder comes true in virtual time, within its deadlines, also on a machine that is late."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boards.loader import load_board
from evse_pi.sim.harness.scenario import Scenario, ScenarioError, ScenarioStep, Until, load, play
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings

if TYPE_CHECKING:
    import random

STORIES = sorted(Path(__file__).parent.glob("*.toml"))
BOARD = load_board("simulated")


def late_by_up_to_5_ms(rng: random.Random) -> int:
    return rng.randrange(5_000_000)


@pytest.mark.hazard("H-01")
@pytest.mark.hazard("H-10")
@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_story_comes_true(story: Path) -> None:
    assert play(load(story), VirtualBox(VirtualBoxSettings(BOARD)))


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_story_comes_true_with_every_tick_late(story: Path) -> None:
    play(load(story), VirtualBox(VirtualBoxSettings(BOARD, seed=7, lateness=late_by_up_to_5_ms)))


def test_untrue_story_is_told_as_such() -> None:
    story = Scenario(
        "a box that closes by itself", "none", (ScenarioStep(until=Until(energised=True), within_ms=2_000),)
    )
    with pytest.raises(ScenarioError, match="not within 2000 ms; A STANDBY"):
        play(story, VirtualBox(VirtualBoxSettings(BOARD)))


def test_too_early_is_untrue_as_well() -> None:
    story = Scenario(
        "slow start", "none", (ScenarioStep(until=Until(evse_state="A"), within_ms=3_000, after_ms=2_000),)
    )
    with pytest.raises(ScenarioError, match="before 2000 ms"):
        play(story, VirtualBox(VirtualBoxSettings(BOARD)))


def test_step_that_says_two_things_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        ScenarioStep(car="plug_in", wait_ms=5)
    with pytest.raises(ValueError, match="within_ms"):
        ScenarioStep(until=Until(asked=True))


def test_misspelt_story_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "story.toml").write_text('title = "x"\nsource = "y"\n[[steps]]\ncar = "plug_in"\nwithin = 3\n')
    with pytest.raises(ValueError, match=r"story\.toml.*within"):
        load(tmp_path / "story.toml")
