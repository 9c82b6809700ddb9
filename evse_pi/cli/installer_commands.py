"""What the installer's commands share: their options, how they answer, and the wait for a self-test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from evse_pi.api.client import BoxError, ask
from evse_pi.api.orders import SELF_TEST
from evse_pi.api.texts.catalogue import tr
from evse_pi.cli import text_layout
from evse_pi.cli.options import json_option, path_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from evse_pi.api.status import Status

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

POLL_S = 0.05
SELF_TEST_WITHIN_S = 30.0


def installer_options(function: Decorated) -> Decorated:
    """Give a command the options that say who asks, where, and how to answer."""
    for option in (
        json_option(),
        click.option("--pin-stdin", is_flag=True, help=tr("Take the installer PIN from the first line of the input.")),
        click.option("--name", help=tr("Your name, for the record; else the login name.")),
    ):
        function = option(function)
    return path_options(function)


def show(facts: Any, pairs: Iterable[tuple[str, str]], *, as_json: bool) -> None:
    """Print facts for a script, or rows for a person."""
    text_layout.show(facts, text_layout.rows(pairs, text_layout.WIDE_INDENT), as_json=as_json)


def self_tested(address: Path) -> Status:
    """Return the status right after a self-test that was ordered for it. Raises: BoxError."""
    from evse_pi.api.status import SelfTestStatus

    ask(address, SELF_TEST)
    wait_until(
        address,
        lambda now: now.safety.self_test is SelfTestStatus.RUNNING,
        SELF_TEST_WITHIN_S,
        tr("the self-test does not start"),
    )
    return wait_until(
        address,
        lambda now: now.safety.self_test is not SelfTestStatus.RUNNING and now.pilot is not None,
        SELF_TEST_WITHIN_S,
        tr("the self-test does not end"),
    )


def wait_until(address: Path, holds: Callable[[Status], bool], within_s: float, otherwise: str) -> Status:
    """Return the first status for which `holds`. Raises: BoxError, beginning with `otherwise`, when none comes."""
    import time

    from evse_pi.api.status import STATUS

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        now = ask(address, STATUS)
        if holds(now):
            return now
        time.sleep(POLL_S)
    raise BoxError(tr("{otherwise} within {within_s:.0f} s").format(otherwise=otherwise, within_s=within_s))
