"""What every test shares: hypothesis measures no time, since a busy machine is no fault of the code.

The suite tries the same examples every time, so that what lands is what was tried; EVSE_PI_HYPOTHESIS=search looks for
new ones, many of them.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("EVSE_PI_HYPOTHESIS", "same"))
