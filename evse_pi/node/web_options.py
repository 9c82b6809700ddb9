"""Where the box shows its page; kept apart from what does it, which is loaded later."""

from __future__ import annotations

import argparse
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.node.matter_options import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

WEB_PORT = 8080
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What may be chosen; without `address` the page is served on every network of the machine."""

    port: int = WEB_PORT
    address: str | None = None
    names: tuple[str, ...] = ()


def check(arguments: Sequence[str]) -> None:
    """Accept arguments that the node would accept. Raises: OptionError."""
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False)
    add_web_arguments(parser)
    try:
        parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        raise OptionError(str(error)) from error


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a program the options."""
    group = parser.add_argument_group("web page")
    group.add_argument("--no-web", action="store_true", help="serve no page")
    group.add_argument("--web-port", type=_port, default=WEB_PORT, help="TCP port, 0 for no page (%(default)s)")
    group.add_argument("--web-address", type=_address, help="serve at this address of the machine only (all)")
    group.add_argument("--web-name", type=_name, action="append", help="a name that the box is called by, repeatable")


def web_options_of(arguments: argparse.Namespace) -> WebOptions | None:
    """Return the options that were given, None for no page."""
    if arguments.no_web or not arguments.web_port:
        return None
    return WebOptions(arguments.web_port, arguments.web_address, tuple(arguments.web_name or ()))


def _port(text: str) -> int:
    if text != "0" and (not text.isascii() or not text.isdigit() or not 1024 <= int(text) <= 0xFFFF):
        raise _wrong(f"web-port: {text!r} is not allowed; 1024 to 65535, or 0 for no page")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise _wrong(f"web-address: {text!r} is no IP address of this machine") from None


def _name(text: str) -> str:
    if not _NAME.fullmatch(text.lower()):
        raise _wrong(f"web-name: {text!r} is no name of a host, such as wallbox.home.arpa")
    return text.lower()


def _wrong(reason: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(reason)
