"""A function has at most 40 lines and five parameters; the few that have more are named here with their reason."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_LINES = 40
MAX_PARAMETERS = 5
PARTS = "made once by a composition root, of parts that have nothing else in common"
WIRE = "one parameter for each field of a data sheet or specification"
EXCEPTIONS = {
    "boards/build_safety.py:build_safety": "one device after the other in an order that matters for safety",
    "evse_pi/api/protocol.py:Command.__init__": "the columns of the table of commands",
    "evse_pi/charging/charge_point.py:ChargePoint.__init__": PARTS,
    "evse_pi/charging/modes.py:mode_requests": "a pure rule of six independent facts",
    "evse_pi/cli/certificate.py:_facts": "the facts of one page",
    "evse_pi/cli/commission.py:command": "one parameter for each option",
    "evse_pi/cli/setup.py:command": "one dialogue from the first question to the last word",
    "evse_pi/core/selftest.py:SelfTest.advance": "a pure rule of independent facts",
    "evse_pi/matter/channel/peer_session.py:PeerSession.secured": WIRE,
    "evse_pi/matter/identity/issuance.py:Issuance.add_noc": WIRE,
    "evse_pi/matter/identity/test_credentials.py:_certificate": WIRE,
    "evse_pi/matter/node.py:MatterNode.__init__": PARTS,
    "evse_pi/node/daemon.py:serve": PARTS,
    "evse_pi/node/matter_device.py:MatterDevice.__init__": PARTS,
    "evse_pi/safety/loop.py:SafetyLoop.__init__": PARTS,
    "evse_pi/safety/publisher.py:Publisher._compose": "one line for each field of a snapshot",
    "evse_pi/safety/recorder.py:BlackBoxWriter.__init__": PARTS,
    "evse_pi/safety/recorder.py:BlackBoxWriter.note": "what one tick was, without an object made for it in the loop",
    "evse_pi/sim/devices/spi.py:EmulatedMcp3xxx.__init__": WIRE,
    "evse_pi/sim/load_side.py:LoadSide.__init__": PARTS,
    "hal/mcp3xxx.py:Mcp3xxx.__init__": WIRE,
    "hal/meters/modbus_rtu.py:ModbusRtu.__init__": WIRE,
    "hal/pilot_adc.py:SpiPilotAdc.__init__": WIRE,
    "hal/sensors/ads1115.py:PeakDetectorPilot.__init__": WIRE,
}


def too_large(source: str) -> set[str]:
    """Return the qualified names of the functions in `source` that are longer or take more than allowed."""
    found = set()
    for owner in ast.walk(ast.parse(source)):
        body = getattr(owner, "body", [])
        for node in body if isinstance(body, list) else []:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                method = isinstance(owner, ast.ClassDef)
                static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
                taken = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                parameters = len(taken) - (method and not static)
                if (node.end_lineno or 0) - node.lineno + 1 > MAX_LINES or parameters > MAX_PARAMETERS:
                    found.add(f"{owner.name}.{node.name}" if isinstance(owner, ast.ClassDef) else node.name)
    return found


def test_functions_are_small() -> None:
    found = {
        f"{path.relative_to(ROOT).as_posix()}:{name}"
        for folder in ("hal", "boards", "evse_pi")
        for path in (ROOT / folder).rglob("*.py")
        for name in too_large(path.read_text())
    }
    assert not found - EXCEPTIONS.keys()
    assert not EXCEPTIONS.keys() - found, "exceptions that nothing needs any more"


def test_a_large_function_would_be_found() -> None:
    long = "def long():\n" + "    x = 1\n" * MAX_LINES
    wide = "class C:\n    def wide(self, a, b, c, d, *, e, f): ...\n    def fits(self, a, b, c, d, *, e): ...\n"
    assert too_large(long + wide) == {"long", "C.wide"}
