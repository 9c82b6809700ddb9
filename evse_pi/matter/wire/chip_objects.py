"""The data model types of the `chip` package, loaded cluster by cluster.

`from evse_pi.matter.wire.chip_objects import OnOff` gives the class that `chip.clusters.Objects.OnOff` is, made of the
same installed source, but without the other 140 clusters (importing those takes 1.5 s and 54 MB). The classes live in
a package of their own beside `chip`, so a process that imports all of `chip.clusters` as well is not disturbed.
Two things differ: structures are frozen values, and the `Attributes` classes are left out, since the cluster's
`descriptor` names every attribute with identifier and type.
"""

from __future__ import annotations
import __future__

import functools
import importlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import chip.tlv

_PACKAGE = "evse_pi_chip"
_OBJECTS = Path("clusters", "Objects.py")
_TOP_LEVEL_CLASS = re.compile(rb"^(?:@dataclass\n)?class (\w+)", re.MULTILINE)
_NESTED_ATTRIBUTES = re.compile(r"^    class Attributes:\n.*?(?=^    class |\Z)", re.MULTILINE | re.DOTALL)


class _Objects:
    """The source of `chip.clusters.Objects`, cut at its top-level classes and executed piece by piece."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _OBJECTS
        source = self._path.read_bytes()
        starts = [(match.group(1).decode(), match.start()) for match in _TOP_LEVEL_CLASS.finditer(source)]
        ends = [start for _, start in starts[1:]] + [len(source)]
        self._slices = {name: (start, end) for (name, start), end in zip(starts, ends, strict=True)}
        self._module = _package(folder)
        self._execute(source[: starts[0][1]].decode())
        vars(self._module)["dataclass"] = functools.partial(dataclass, frozen=True)

    def load(self, name: str) -> Any:
        """Return the cluster class `name`, executing its source at the first call."""
        namespace = vars(self._module)
        if name not in self._slices:
            raise AttributeError(f"the chip package knows no cluster {name!r}")
        if name not in namespace:
            source = self._cut(name)
            if "Globals." in source and name != "Globals":
                self.load("Globals")
            self._execute(_NESTED_ATTRIBUTES.sub("", source).removeprefix("@dataclass\n"))
        return namespace[name]

    def _cut(self, name: str) -> str:
        start, end = self._slices[name]
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(end - start).decode()

    def _execute(self, source: str) -> None:
        flags = __future__.annotations.compiler_flag
        code = compile(source, str(self._path), "exec", flags=flags, dont_inherit=True)
        exec(code, vars(self._module))  # noqa: S102 (source of an installed, pinned package)


def _package(folder: Path) -> ModuleType:
    """Return an empty module standing where `Objects` would, in a package that shares only `chip.tlv` with `chip`."""
    for name, path in ((_PACKAGE, folder), (f"{_PACKAGE}.clusters", folder / "clusters")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    sys.modules[f"{_PACKAGE}.tlv"] = chip.tlv
    vars(sys.modules[_PACKAGE])["tlv"] = chip.tlv
    module = ModuleType(f"{_PACKAGE}.clusters.Objects")
    module.__package__ = f"{_PACKAGE}.clusters"
    sys.modules[module.__name__] = module
    return module


@functools.cache
def _objects() -> _Objects:
    return _Objects(_folder_of_objects())


def _folder_of_objects() -> Path:
    """Return the folder of `chip` that has the clusters. Raises: ImportError naming what is missing.

    Without home-assistant-chip-core, which only a controller needs, `chip` is a namespace package: it has places, and
    no file of its own.
    """
    spec = importlib.util.find_spec("chip")
    places = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    for place in places:
        if (place / _OBJECTS).is_file():
            return place
    looked = f"the package chip ({', '.join(map(str, places))}) has no {_OBJECTS}" if places else "no package chip"
    raise ImportError(f"home-assistant-chip-clusters is not installed as it should be: {looked}", name="chip.clusters")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in ("Nullable", "NullValue", "ClusterObject"):
        _objects()
        source = "Types" if name.startswith("Null") else "ClusterObjects"
        return getattr(importlib.import_module(f"{_PACKAGE}.clusters.{source}"), name)
    return _objects().load(name)
