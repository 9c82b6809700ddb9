"""A command finds the box that the caller means."""

from __future__ import annotations

from pathlib import Path

import pytest

from evse_pi import paths
from evse_pi.paths import resolve_paths


def test_an_explicit_folder_keeps_its_sockets_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVSE_PI_STATE_DIR", "/elsewhere")
    chosen = resolve_paths(tmp_path)
    assert chosen.state_dir == tmp_path
    assert chosen.control_socket == tmp_path / "run" / "control.sock"


def test_the_environment_names_the_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVSE_PI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("EVSE_PI_RUN_DIR", str(tmp_path / "sockets"))
    assert resolve_paths().simulator_socket == tmp_path / "sockets" / "simulator.sock"


def test_without_a_hint_it_is_the_users_own_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVSE_PI_STATE_DIR", "EVSE_PI_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if not Path("/run/evse-pi").is_dir():
        assert resolve_paths().state_dir == tmp_path / "evse-pi"


def test_an_installed_box_is_meant_before_its_first_start_has_made_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EVSE_PI_STATE_DIR", "EVSE_PI_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(paths, "SYSTEM_RUN", tmp_path / "run")
    monkeypatch.setattr(paths, "SYSTEM_UNIT", tmp_path / "evse-pi-safety.service")
    assert resolve_paths().state_dir != paths.SYSTEM_STATE
    paths.SYSTEM_UNIT.touch()
    chosen = resolve_paths()
    assert (chosen.state_dir, chosen.run_dir) == (paths.SYSTEM_STATE, tmp_path / "run")
    assert chosen.settings_dir == paths.SYSTEM_SETTINGS


def test_a_path_too_long_for_a_socket_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"run-dir: .* at most"):
        resolve_paths(Path("/" + "long/" * 30))
