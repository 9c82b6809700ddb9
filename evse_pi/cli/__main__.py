"""`python -m evse_pi.cli` is `evse-pi`."""

from __future__ import annotations

from evse_pi.cli.main import main

main()
