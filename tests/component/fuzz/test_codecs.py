"""A short, bounded run of every fuzz target: by hypothesis, and guided by coverage where atheris is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.component.fuzz.codecs import TARGETS, seeds

ROOT = Path(__file__).parents[3]
SEEDS = seeds()


@st.composite
def mutations(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A real message with octets changed, removed, repeated or cut off, or mere noise."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "insert", "delete", "repeat", "cut"])):
            case "change" if place < len(data):
                data[place] = draw(st.integers(0, 255))
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del data[place : place + draw(st.integers(1, 8))]
            case "repeat":
                data[place:place] = data[place : place + draw(st.integers(1, 64))]
            case "cut":
                del data[place:]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@given(st.data())
def test_mutated_messages_and_noise_raise_nothing_but_decode_errors(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(mutations(SEEDS[name]) | st.binary(max_size=200)))


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_well_formed(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize(("name", "share"), [("codecs", 1), ("node", 50)])
def test_a_coverage_guided_run_finds_nothing(name: str, share: int, tmp_path: Path) -> None:
    """Run some thousand inputs, or as many as the environment says; the whole node gets its share of them."""
    runs = int(os.environ.get("EVSE_PI_FUZZ_RUNS", "20000")) // share
    options = [f"-runs={runs}", "-seed=1", "-max_len=1300", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.component.fuzz.fuzzer", name, str(tmp_path / "corpus"), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
