"""Plain data from TOML, JSON or a command line, turned into typed values with errors that name the field."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import types
import typing
from enum import Enum
from typing import Any, TypeVar

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
_hints: Callable[[Any], Mapping[str, Any]] = functools.lru_cache(maxsize=256)(typing.get_type_hints)
_signature: Callable[[Any], inspect.Signature] = functools.lru_cache(maxsize=256)(inspect.signature)


def build(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """Return the dataclass `cls` made from a mapping with exactly its field names.

    Raises: ValueError naming the field, its value and what is allowed.
    """
    return _call(cls, _hints(cls), list(_signature(cls).parameters), data, where or cls.__name__)


def invoke(function: Callable[..., T], args: Mapping[str, Any], where: str) -> T:
    """Call `function` with arguments from plain data, each turned into its annotated type.

    Raises: ValueError naming the argument, its value and what is allowed.
    """
    return _call(function, _hints(function), arguments(function), args, where)


def arguments(function: Callable[..., object]) -> list[str]:
    """Return the names that `invoke` takes for `function`."""
    return list(_signature(function).parameters)


def argument_types(function: Callable[..., object]) -> dict[str, str]:
    """Return what each argument of `function` may be, in words for people."""
    hints = _hints(function)
    return {name: _described(hints[name]) for name in arguments(function)}


def _described(kind: Any) -> str:
    inner = [each for each in typing.get_args(kind) if each not in (type(None), Ellipsis)]
    if typing.get_origin(kind) is tuple:
        return f"[{_described(inner[0])}, ...]"
    if inner:
        return _described(inner[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(each.value) for each in kind)
    return {bool: "true|false", int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")


def _call(target: Callable[..., T], hints: Mapping[str, Any], names: list[str], data: Mapping[str, Any], at: str) -> T:
    unknown = [key for key in data if key not in names]
    if unknown:
        raise ValueError(f"{at}: unknown {', '.join(unknown)}; allowed: {', '.join(names) or 'nothing'}")
    values = {key: convert(value, hints[key], f"{at}.{key}") for key, value in data.items()}
    try:
        _signature(target).bind(**values)
    except TypeError as error:
        raise ValueError(f"{at}: {error}; allowed: {', '.join(names)}") from error
    return target(**values)


def convert(value: Any, kind: Any, where: str) -> Any:
    """Return `value` as `kind`: a scalar, an enum, a dataclass, or a tuple, dict or optional of these.

    Raises: ValueError naming the place, the value and what is allowed.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return convert(value, next(each for each in inner if each is not type(None)), where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(convert(each, inner[0], f"{where}[{index}]") for index, each in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {convert(key, inner[0], where): convert(each, inner[1], f"{where}.{key}") for key, each in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        if isinstance(value, dict):
            return build(kind, value, where)
    elif kind is object:
        return value
    elif isinstance(kind, type):
        return _scalar(value, kind, where)
    raise ValueError(f"{where} {value!r}: allowed is {kind}")


def _scalar(value: Any, kind: type[Any], where: str) -> Any:
    if issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"{where} {value!r}: allowed are {', '.join(str(each.value) for each in kind)}") from None
    number = issubclass(kind, float)
    if isinstance(value, bool) is not issubclass(kind, bool) or not isinstance(value, (int, float) if number else kind):
        raise ValueError(f"{where} {value!r}: allowed is {kind.__name__}")
    if number and not math.isfinite(value):
        raise ValueError(f"{where} {value!r}: allowed is a finite number")
    return float(value) if number else value


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside its limits. Raises: ValueError naming it, its value and the limits."""
    if not low <= value <= high:
        raise ValueError(f"{name} {value}: allowed is {low} to {high}")
