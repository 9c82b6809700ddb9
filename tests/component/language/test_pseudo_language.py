"""Nothing is said to people that a second language could not say: each text stands between the brackets of one."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.support.pseudo_language import BEGIN, END, unbracketed

ONE_LANGUAGE = (
    r"evse-pi[ \w-]*",  # commands to type
    r"\[[\w.]+\]|\((?:\w+, )+\w+\)",  # the choices of a question, as they are typed, and what Enter takes
    "simulated: simulated wallbox, Type 2 socket, 3 x 32 A",  # a board's name and its own title
    r"N \(root\)",  # who set it up
    "intact",  # a value of the seal that scripts read
)
USAGE = re.compile(
    r"Usage:.*|Options:|Commands:|-h, --help.*|--run-dir|--state-dir|\[.*\]|[A-Z=|.{}<>-]{2,}|^\s+[a-z-]+"
)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("language")
    command = [sys.executable, "-m", "tests.support.pseudo_language", str(folder / "box")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def words_of(text: str) -> list[str]:
    """Return the words outside of brackets that are neither markup nor of one language on purpose."""
    text = re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL)
    shown = r'(?:aria-label|title|placeholder|alt|data-live|data-lost)="([^"]*)"'
    left = unbracketed(re.sub(r"<[^>]*>", lambda tag: f" {' '.join(re.findall(shown, tag[0]))} ", text))
    for each in ONE_LANGUAGE:
        left = re.sub(each, "", left)
    return re.findall(r"(?<![\w./=<-])[A-Za-z][a-z']{2,}(?![\w./=-])", left)


def test_nothing_is_said_outside_of_a_catalogue(said: dict[str, str]) -> None:
    answers = {what: text for what, text in said.items() if not what.endswith("--help")}
    assert len(answers) > 20
    assert all(BEGIN in text and END in text for text in answers.values())
    assert {what: words for what, text in answers.items() if (words := words_of(text))} == {}


def test_refusals_of_node_and_socket_are_provoked(said: dict[str, str]) -> None:
    assert sum(what.startswith("refusal, ") for what in said) == 16


def test_a_page_declares_the_language_that_it_is_in(said: dict[str, str]) -> None:
    pages = [text for what, text in said.items() if what.startswith("page ")]
    assert pages
    assert all('<html lang="qps">' in page for page in pages)


def test_help_is_said_outside_of_a_catalogue_by_click_alone(said: dict[str, str]) -> None:
    helps = {what: text for what, text in said.items() if what.endswith("--help")}
    assert len(helps) > 25
    left = {what: [USAGE.sub("", line) for line in unbracketed(text).splitlines()] for what, text in helps.items()}
    phrase = re.compile(r"[a-z]{3,} [a-z]{3,}")
    found = {what: [line for line in lines if phrase.search(line)] for what, lines in left.items()}
    assert {what: lines for what, lines in found.items() if lines} == {}


def test_a_text_without_brackets_would_be_found() -> None:
    assert words_of("⟦the box⟧ 16 A, <p title='x'>⟦its ⟦own⟧⟧ limit</p>") == ["limit"]
