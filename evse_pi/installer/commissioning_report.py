"""The commissioning report as one page: what is set, what was measured, what it was measured with, who signs.

There is no PDF: every browser prints the HTML to one, and the libraries that would make it here bring more code than
the whole installer's half of this software.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from evse_pi.api.texts.catalogue import LANGUAGE, tr

TITLE = tr("Commissioning report of a charging point")
SIGNATURES = ("Installer", "Customer")
MAX_VALUE, MAX_RESULT = 140, 300
"""How long a value may be, so that the page stays one; what is cut is whole in the JSON of the report."""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A heading and its rows, each a label and a value."""

    heading: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The whole report; `result` is the verdict, `passed` whether it is a good one."""

    result: str
    passed: bool
    sections: tuple[ReportSection, ...]


def markdown(page: ReportPage) -> str:
    """Return the page as Markdown."""
    lines = [f"# {TITLE}", "", f"**{_cell(page.result, MAX_RESULT)}**"]
    for section in page.sections:
        lines += ["", f"## {section.heading}", "", "| | |", "|---|---|"]
        lines += [f"| {_cell(label)} | {_cell(value)} |" for label, value in section.rows]
    lines += ["", "## Signatures", "", "| | Name | Date | Signature |", "|---|---|---|---|"]
    lines += [f"| {each} | | | |" for each in SIGNATURES]
    return "\n".join(lines) + "\n"


_STYLE = """
@page { size: A4; margin: 10mm }
body { font: 9pt/1.25 sans-serif; max-width: 190mm; margin: 0 auto; color: #000; background: #fff }
h1 { font-size: 15pt; margin: 0 0 1mm } h2 { font-size: 10pt; margin: 2mm 0 .5mm }
table { border-collapse: collapse; width: 100% } td { border-bottom: .2mm solid #999; padding: .2mm 1mm }
td:first-child { width: 40mm } .result { border: .6mm solid #000; padding: 1.5mm; font-weight: bold }
.sign td { height: 8mm; vertical-align: bottom }
"""


def web_page(page: ReportPage) -> str:
    """Return the page as HTML that stands alone and prints on one sheet of A4."""
    body = [f"<h1>{TITLE}</h1>", f'<p class="result">{html.escape(_short(page.result, MAX_RESULT))}</p>']
    for section in page.sections:
        rows = "".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(_short(b))}</td></tr>" for a, b in section.rows)
        body.append(f"<h2>{html.escape(section.heading)}</h2><table>{rows}</table>")
    signs = "".join(f"<tr><td>{each}</td><td>Name, date, signature:</td></tr>" for each in SIGNATURES)
    body.append(f'<h2>Signatures</h2><table class="sign">{signs}</table>')
    head = f'<meta charset="utf-8"><title>{TITLE}</title><style>{_STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="{LANGUAGE}"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"
    )


def _short(text: str, most: int = MAX_VALUE) -> str:
    """Return `text` on one line, cut where the page has no room for more."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _cell(text: str, most: int = MAX_VALUE) -> str:
    """Return `text` as it may stand in a table, without characters that would draw another one."""
    text = _short(text, most)
    for sign in "\\`*_|<>[]#":
        text = text.replace(sign, f"\\{sign}")
    return text
