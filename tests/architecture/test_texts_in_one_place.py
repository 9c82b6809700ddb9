"""What the box says to people is an argument of `tr`, so that a second language is one catalogue.

Below the doors texts for people are tables in `evse_pi.api.texts`; command line, web page, installer and what starts
and updates a box have their own beside the code that says them. Judged is every text of three words and more that is
no documentation and no line of the log; of exceptions those of the doors, and refusals everywhere: the page and the
command line print a refusal as it is. Below the doors the message of any other exception is for the journal and for
programmers, in English.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.text_catalogue import catalogue_template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOORS = (
    "evse_pi/api/client.py",
    "evse_pi/api/texts/",
    "evse_pi/cli/",
    "evse_pi/installer/",
    "evse_pi/run/",
    "evse_pi/web/",
)
JOURNAL = "lines of a process in the service manager's journal, and help of its options"
DOCUMENT = "writes a page of docs/, which has one language"
FILES_OF_INSTALLERS = "what is wrong in a file that an installer or integrator writes, with its keys and values"
CONTRACT = "one line for each command or member of an enumeration in docs/API.md"
FORM = "what is wrong in the form of a request or an answer, which no program of ours sends"
TERMINAL = "usage errors of a process that a developer starts"
MATTER = "Matter's own names and status texts, which the specification has in English"
NOT_SAID = {
    "@page": "the commissioning report's style",
    "check of the PIN": "a wish by its name, as the record of changes keeps it",
    "clear as installer": "a wish by its name, as the record of changes keeps it",
    "drop the calibration": "a wish by its name, as the record of changes keeps it",
    "short ": "where a short is, by the key of its words",
    "sudo ": "a command to type",
    "web stream watched": "a task by its name",
}
"""How texts begin that are no sentence of a language, and why."""
REFUSALS = ("PinUnchecked", "Refusal")
EXCEPTIONS = {
    "boards/": FILES_OF_INSTALLERS,
    "hal/kernel.py": JOURNAL,
    "hal/meters/": "as the sources of registers are named",
    "evse_pi/api/codec.py": FORM,
    "evse_pi/api/commissioning.py": CONTRACT,
    "evse_pi/api/diagnosis.py": CONTRACT,
    "evse_pi/api/exits.py": DOCUMENT,
    "evse_pi/api/history.py": CONTRACT,
    "evse_pi/api/installer.py": CONTRACT,
    "evse_pi/api/orders.py": CONTRACT,
    "evse_pi/api/reference.py": DOCUMENT,
    "evse_pi/api/repair.py": CONTRACT,
    "evse_pi/api/status.py": CONTRACT,
    "evse_pi/api/why.py": CONTRACT,
    "evse_pi/charging/demand_arbiter.py": "documents a member of an enumeration",
    "evse_pi/charging/modes.py": "documents a member of an enumeration",
    "evse_pi/charging/random_delay.py": "documents a member of an enumeration",
    "evse_pi/cli/reference.py": DOCUMENT,
    "evse_pi/core/channel_proof.py": "documents a member of an enumeration",
    "evse_pi/core/coil_node.py": "documents a member of an enumeration",
    "evse_pi/core/fault_kinds.py": "documents a member of an enumeration",
    "evse_pi/core/installation_rules.py": FILES_OF_INSTALLERS,
    "evse_pi/core/machine.py": DOCUMENT,
    "evse_pi/core/rcd_monitor.py": "documents a member of an enumeration",
    "evse_pi/core/selftest.py": "documents a member of an enumeration",
    "evse_pi/device/": MATTER,
    "evse_pi/diagnostics/support_report.py": "stands in the archive for a ticket, which programmers read",
    "evse_pi/installation/countries.py": DOCUMENT,
    "evse_pi/installation/files.py": FILES_OF_INSTALLERS,
    "evse_pi/installation/reference.py": DOCUMENT,
    "evse_pi/link.py": JOURNAL,
    "evse_pi/matter/": MATTER,
    "evse_pi/node/__main__.py": JOURNAL,
    "evse_pi/node/event_triggers.py": JOURNAL,
    "evse_pi/node/log_limit.py": JOURNAL,
    "evse_pi/node/matter_options.py": JOURNAL,
    "evse_pi/node/web_options.py": JOURNAL,
    "evse_pi/safety/": JOURNAL,
    "evse_pi/sim/": TERMINAL,
    "evse_pi/storage/database.py": JOURNAL,
    "evse_pi/web/http_parser.py": "refusals of requests that no browser sends",
}


def texts(tree: ast.AST, *, at_a_door: bool) -> Iterator[tuple[int, str]]:
    """Yield line and text of what may be said to people and is not marked; values that are put into it are `{}`."""
    for child in ast.iter_child_nodes(tree):
        match child:
            case ast.Assert() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Raise(exc=raised) if not at_a_door:
                if is_refusal(raised):
                    yield from texts(child, at_a_door=True)
            case ast.Call(func=ast.Name(id="tr"), args=[ast.Constant()]):
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                continue
            case ast.JoinedStr(values=parts):
                yield (
                    child.lineno,
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts),
                )
            case ast.Constant(value=str(text)):
                yield child.lineno, text
            case _:
                yield from texts(child, at_a_door=at_a_door)


def is_refusal(raised: ast.expr | None) -> bool:
    """Return whether what is raised is an answer to who asked."""
    return isinstance(raised, ast.Call) and isinstance(raised.func, ast.Name) and raised.func.id in REFUSALS


def is_for_people(text: str) -> bool:
    """Return whether `text` has a phrase of words: no SQL, no path, no markup alone."""
    if text.lstrip().startswith(tuple(NOT_SAID)):
        return False
    words = re.findall(r"(?<![\w<-])[A-Za-z]?[a-z']+(?![\w>=/-])", text)
    return len(words) > 2 and re.search(r"\b[a-z]+ [a-z]+ ?[a-z{]*", text) is not None


def spoken(source: str, *, at_a_door: bool = False) -> list[str]:
    """Return the texts for people in `source` that are not marked, each with its line."""
    found = texts(ast.parse(source), at_a_door=at_a_door)
    return [f"{line}: {text}" for line, text in found if is_for_people(text)]


def test_texts_for_people_stand_in_the_tables() -> None:
    found: dict[str, list[str]] = {}
    used = set()
    for folder in ("hal", "boards", "evse_pi"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            lines = spoken(path.read_text(), at_a_door=name.startswith(DOORS))
            accepted = next((prefix for prefix in EXCEPTIONS if name.startswith(prefix)), None)
            if lines and accepted is None:
                found[name] = lines
            elif lines and accepted is not None:
                used.add(accepted)
    assert not found
    assert not EXCEPTIONS.keys() - used, "exceptions that nothing needs any more"


def test_a_sentence_would_be_found() -> None:
    source = (
        '"""Says what it does."""\n'
        'log.warning("the disk does not answer")\n'
        'raise ValueError("a limit is needed here")\n'
        'trouble = f"no answer for {seconds} s from it"\n'
        'query = "SELECT key"\n'
    )
    assert spoken(source) == ["4: no answer for {} s from it"]


def test_an_unmarked_refusal_would_be_found_below_the_doors() -> None:
    source = (
        'raise Refusal("a limit is needed here")\n'
        'raise Refusal(tr("a limit is needed here"))\n'
        'raise Refusal(f"{name}: a limit is missing", AtFault("limit")) from None\n'
    )
    assert spoken(source) == ["1: a limit is needed here", "3: {}: a limit is missing"]


def test_every_kind_of_refusal_is_judged() -> None:
    classes = (
        node
        for path in (ROOT / "evse_pi").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    kinds = {each.name for each in classes for base in each.bases if ast.unparse(base) in REFUSALS}
    assert {"Refusal", *kinds} == set(REFUSALS)


def test_at_a_door_an_unmarked_sentence_would_be_found() -> None:
    source = (
        'raise BoxError(tr("a limit is needed here"))\n'
        'raise BoxError("a limit is missing here")\n'
        'told = tr("no answer for {seconds} s from it").format(seconds=1)\n'
        'told = tr(f"no answer for {seconds} s from it")\n'
    )
    assert spoken(source, at_a_door=True) == [
        "2: a limit is missing here",
        "4: no answer for {} s from it",
    ]


def test_the_list_for_translators_is_what_the_code_says() -> None:
    assert (ROOT / "docs/texts.pot").read_text() == catalogue_template(), "write it again: make texts"
