"""What the safety process says before it drives anything."""

from __future__ import annotations

from evse_pi.safety import __main__ as safety
from evse_pi.safety import startup
from hal.errors import DeviceNotFound


def test_a_boot_setting_that_is_missing_is_said_at_the_start(monkeypatch, capsys, tmp_path):
    def no_device(board):
        raise DeviceNotFound("none here")

    monkeypatch.setattr(safety, "problems", lambda board: [f"gpio={board.contactor.pin}=op,dl is not in force"])
    monkeypatch.setattr(safety, "build_safety", no_device)
    monkeypatch.setattr(startup, "SETTLED_S", 0.0)
    run = ["--board", "reference", "--run-dir", str(tmp_path), "--safety-state-dir", str(tmp_path)]
    assert safety.main(run) == safety.EX_UNAVAILABLE
    assert "boot settings: gpio=17=op,dl is not in force" in capsys.readouterr().err
