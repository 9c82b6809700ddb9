"""Starts the node process: reads the board, takes the state directory, and serves until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from boards.build_field import build_field
from boards.loader import BoardError, choose_board
from evse_pi.charging.clock import SystemClock
from evse_pi.core.records import decode_snapshot
from evse_pi.installation.files import INSTALLATION, equipped
from evse_pi.link import LinkEnd, uid_of
from evse_pi.node.daemon import NodePaths, serve
from evse_pi.node.log_limit import LogLimit
from evse_pi.node.matter_options import add_arguments, options_of
from evse_pi.node.process_lock import ProcessLock
from evse_pi.node.web_options import add_web_arguments, web_options_of
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET, SYSTEM_RUN, SYSTEM_STATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boards.spec import BoardSpec
    from evse_pi.core.records import Snapshot


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node process until it is asked to stop, and return its exit status."""
    arguments = _arguments().parse_args(argv)
    logging.basicConfig(level=arguments.log_level, format="%(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(LogLimit())
    paths = NodePaths(arguments.state_dir, arguments.run_dir, arguments.installation)
    try:
        board = choose_board(arguments.board)
        paths.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths.run_dir.mkdir(parents=True, exist_ok=True, mode=0o770)
        with ExitStack() as resources:
            resources.callback(ProcessLock(paths.state_dir).close)
            safety_uid = uid_of(arguments.safety_user)
            own, peer = paths.run_dir / NODE_SOCKET, paths.run_dir / SAFETY_SOCKET
            link = LinkEnd(own, peer, decode_snapshot, safety_uid)
            resources.callback(link.close)
            asyncio.run(_run(board, link, paths, arguments))
    except BoardError as error:
        _say(str(error))
        return os.EX_CONFIG
    except OSError as error:
        _say(str(error))
        return os.EX_UNAVAILABLE
    return 0


async def _run(board: BoardSpec, link: LinkEnd[Snapshot], paths: NodePaths, arguments: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    board = equipped(board, paths.installation)
    chosen = options_of(arguments), web_options_of(arguments)
    await serve(board, build_field(board), link, paths, SystemClock(), stopping, *chosen)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evse-pi-node", description="The node process of an evse-pi wallbox.")
    parser.add_argument("--board", required=True, help="name of the board file")
    parser.add_argument("--installation", type=Path, default=INSTALLATION, help="the installer's file (%(default)s)")
    parser.add_argument("--state-dir", type=Path, default=SYSTEM_STATE, help="folder of the database (%(default)s)")
    parser.add_argument("--run-dir", type=Path, default=SYSTEM_RUN, help="folder of the sockets (%(default)s)")
    parser.add_argument("--safety-user", help="user of the safety process, whose snapshots count; else this one")
    parser.add_argument(
        "--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="(%(default)s)"
    )
    add_arguments(parser)
    add_web_arguments(parser)
    return parser


def _say(text: str) -> None:
    print(f"evse-pi-node: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
