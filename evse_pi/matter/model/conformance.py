"""Conformance expressions: when an element of a cluster must, may or must not be there.

Grammar, as in the specification's tables: alternatives separated by commas, the first that applies decides. `M`
mandatory, `O` optional, `X` disallowed, `P` provisional, `PREF` mandatory with that feature, `[PREF]` optional with it,
`!A`, `A & B`, `A | B`, parentheses. A trailing `.a` or `.a+` makes the element one of a choice of exactly, or at least,
one. Source: Matter core 7.3.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*|[!&|()])")
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
        """Return the feature codes that the expression mentions."""
        words = re.findall(r"[A-Za-z_][A-Za-z_0-9]*", _CHOICE.sub("", self.text))
        return frozenset(word for word in words if word not in ("M", "O", "P", "X"))


def _alternative(text: str, features: AbstractSet[str]) -> Presence | None:
    if text in ("M", "O", "P", "X"):
        return Presence(text)
    optional = text.startswith("[") and text.endswith("]")
    expression = text[1:-1] if optional else text
    tokens = _tokens(expression)
    value = _disjunction(tokens, features)
    if tokens:
        raise ValueError(f"conformance {text!r}: unexpected {tokens[0]!r}")
    if not value:
        return None
    return Presence.OPTIONAL if optional else Presence.MANDATORY


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"conformance {text!r}: unexpected {text[position]!r}")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def _disjunction(tokens: list[str], features: AbstractSet[str]) -> bool:
    value = _conjunction(tokens, features)
    while tokens and tokens[0] == "|":
        tokens.pop(0)
        value = _conjunction(tokens, features) or value
    return value


def _conjunction(tokens: list[str], features: AbstractSet[str]) -> bool:
    value = _term(tokens, features)
    while tokens and tokens[0] == "&":
        tokens.pop(0)
        value = _term(tokens, features) and value
    return value


def _term(tokens: list[str], features: AbstractSet[str]) -> bool:
    if not tokens:
        raise ValueError("conformance: an operand is missing")
    token = tokens.pop(0)
    if token == "!":
        return not _term(tokens, features)
    if token == "(":
        value = _disjunction(tokens, features)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("conformance: ')' is missing")
        return value
    if token in "&|)":
        raise ValueError(f"conformance: unexpected {token!r}")
    return token in features
