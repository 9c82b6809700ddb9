"""The language of the box: what stands in the code is English, and another language is one catalogue beside this file.

Every text for people is the argument of `tr`. A catalogue is `catalogues/LANGUAGE/LC_MESSAGES/evse-pi.mo` in the form
of GNU gettext; which one is taken follows from LANGUAGE, LC_ALL, LC_MESSAGES and LANG when the process starts.
`docs/texts.pot` is the list of all texts for translators.
"""

from __future__ import annotations

from gettext import translation
from pathlib import Path

DOMAIN = "evse-pi"
CATALOGUES = Path(__file__).parent / "catalogues"

tr = translation(DOMAIN, CATALOGUES, fallback=True).gettext
"""Return a text in the language of this process. Values are put in afterwards, by `str.format` and by name."""
