"""Conformance expressions: when an element of a cluster must, may or must not be there.

Grammar, as in the specification's tables: alternatives separated by commas, the first that applies decides. `M`
mandatory, `O` optional, `X` disallowed, `P` provisional, `PREF` mandatory with that feature, `[PREF]` optional with it,
`!A`, `A & B`, `A | B`, parentheses. A trailing `.a` or `.a+` makes the element one of a choice of exactly, or at least,
one. Source: Matter core 7.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_WORD = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*|[!&|()])")
_CHOICE = re.compile(r"\.([a-z])(\+?)$")


class Presence(Enum):
    """What the specification demands of an element under a given set of features."""

    MANDATORY = "M"
    OPTIONAL = "O"
    PROVISIONAL = "P"
    DISALLOWED = "X"


@dataclass(frozen=True, slots=True)
class Choice:
    """A group of elements of which one, or at least one, has to be present."""

    group: str
    at_least: bool


@dataclass(frozen=True, slots=True)
class Conformance:
    """One parsed conformance column."""

    text: str

    @property
    def choice(self) -> Choice | None:
        """Return the choice this element belongs to, if any."""
        match = _CHOICE.search(self.text)
        return Choice(match.group(1), match.group(2) == "+") if match else None

    def presence(self, features: AbstractSet[str]) -> Presence:
        """Return what holds when exactly `features` are supported.

        Raises: ValueError when the text is not a conformance expression.
        """
        for alternative in _CHOICE.sub("", self.text).split(","):
            found = _alternative(alternative.strip(), features)
            if found is not None:
                return found
        return Presence.DISALLOWED

    def names(self) -> frozenset[str]:
        """Return the feature codes, and names of attributes, that the expression mentions."""
        words = re.findall(r"[A-Za-z_][A-Za-z_0-9]*", _CHOICE.sub("", self.text))
        return frozenset(word for word in words if word not in ("M", "O", "P", "X"))


def _alternative(text: str, features: AbstractSet[str]) -> Presence | None:
    if text in ("M", "O", "P", "X"):
        return Presence(text)
    optional = text.startswith("[") and text.endswith("]")
    expression = text[1:-1] if optional else text
    words = _words(expression)
    value = _disjunction(words, features)
    if words:
        raise ValueError(f"conformance {text!r}: unexpected {words[0]!r}")
    if not value:
        return None
    return Presence.OPTIONAL if optional else Presence.MANDATORY


def _words(text: str) -> list[str]:
    words: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        match = _WORD.match(text, position)
        if match is None:
            raise ValueError(f"conformance {text!r}: unexpected {text[position]!r}")
        words.append(match.group(1))
        position = match.end()
    return words


def _disjunction(words: list[str], features: AbstractSet[str]) -> bool:
    value = _conjunction(words, features)
    while words and words[0] == "|":
        words.pop(0)
        value = _conjunction(words, features) or value
    return value


def _conjunction(words: list[str], features: AbstractSet[str]) -> bool:
    value = _term(words, features)
    while words and words[0] == "&":
        words.pop(0)
        value = _term(words, features) and value
    return value


def _term(words: list[str], features: AbstractSet[str]) -> bool:
    if not words:
        raise ValueError("conformance: an operand is missing")
    word = words.pop(0)
    if word == "!":
        return not _term(words, features)
    if word == "(":
        value = _disjunction(words, features)
        if not words or words.pop(0) != ")":
            raise ValueError("conformance: ')' is missing")
        return value
    if word in "&|)":
        raise ValueError(f"conformance: unexpected {word!r}")
    return word in features
