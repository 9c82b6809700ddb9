"""The modules of gpiozero that lines need, without the rest of it.

`import gpiozero` loads every device that it knows, character displays and robots with their fonts, and the reader of
installed packages for a pin factory that is chosen by name: half of the memory that it takes, and none of it is used
where the factory is given. `part` loads one module with what that one needs. The package stays whole for others: the
first name that is asked of it, as in `from gpiozero import LED`, loads the rest.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "gpiozero"


def part(name: str) -> Any:
    """Return the module gpiozero.`name`. Raises: ImportError where gpiozero is not installed."""
    if PACKAGE not in sys.modules:
        _prepare()
    return import_module(f"{PACKAGE}.{name}")


class _Package(ModuleType):
    """gpiozero before its own code has run: a place for its modules; a name that it lacks makes it run."""

    def __getattr__(self, name: str) -> Any:
        object.__setattr__(self, "__class__", ModuleType)
        if self.__spec__ is not None and self.__spec__.loader is not None:
            self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _prepare() -> None:
    spec = find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[PACKAGE] = package
    with _entry_points_when_called():
        import_module(f"{PACKAGE}.devices")


@contextmanager
def _entry_points_when_called() -> Iterator[None]:
    """Offer what gpiozero tries first, the backport, with a function that loads the reader once it is called."""
    backport, former = ModuleType("importlib_metadata"), sys.modules.get("importlib_metadata")
    vars(backport)["entry_points"] = _entry_points
    sys.modules[backport.__name__] = backport
    try:
        yield
    finally:
        del sys.modules[backport.__name__]
        if former is not None:
            sys.modules[backport.__name__] = former


def _entry_points(**selection: str) -> Any:
    from importlib.metadata import entry_points

    return entry_points(**selection)
