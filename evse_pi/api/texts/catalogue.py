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

_FOUND = translation(DOMAIN, CATALOGUES, fallback=True)
LANGUAGE = _FOUND.info().get("language", "en")
"""The tag of the language of this process, as pages declare it. Source: BCP 47."""
tr = _FOUND.gettext
"""Return a text in the language of this process. Values are put in afterwards, by `str.format` and by name."""
