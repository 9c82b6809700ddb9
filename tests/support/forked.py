"""Runs one case in a forked child, so that many cases can start from the same prepared world."""

from __future__ import annotations

import os
import pickle
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def in_a_fork(case: Callable[[], Any]) -> Any:
    """Return what `case` returns in a child process; its exception is an AssertionError with the traceback here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer: tuple[bool, Any] = (True, case())
        except BaseException:  # noqa: BLE001 (whatever it is, the parent must hear of it)
            answer = (False, traceback.format_exc())
        with os.fdopen(writer, "wb") as stream:
            pickle.dump(answer, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        content = stream.read()
    os.waitpid(child, 0)
    fine, answer = pickle.loads(content)
    if not fine:
        raise AssertionError(answer)
    return answer
