# SPDX-License-Identifier: Apache-2.0
"""Plain values, as YAML gives them, to a tree of frozen dataclasses: types checked, unknown keys named."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from qap2fpga.errors import QapError, nearest


def tree(kind: type, settings: Any, path: str, where: str) -> Any:
    """An instance of the dataclass `kind` of the mapping `settings`, which stands at `path` in `where`.

    Raises `QapError` for a key that `kind` has not, one that it needs, and a value of another type.
    """
    if not isinstance(settings, dict):
        raise QapError(f"{where}: {path} = {settings!r}", "it is a section: give it keys and values")
    hints = typing.get_type_hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind)}
    values = {}
    for key, value in settings.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in fields:
            raise QapError(f"{where}: unknown key '{place}'", nearest(str(key), fields))
        values[key] = convert(hints[key], value, place, where)
    for name, one in fields.items():
        needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if needed and name not in values:
            place = f"{path}.{name}" if path else name
            if not dataclasses.is_dataclass(hints[name]):
                raise QapError(f"{where}: '{place}' is missing", "docs/training.md says what it is")
            values[name] = tree(typing.cast(type, hints[name]), {}, place, where)
    return kind(**values)


def convert(hint: Any, value: Any, place: str, where: str) -> Any:
    """`value` as the type `hint`: a whole number may be meant as a float, a list is a tuple."""
    if dataclasses.is_dataclass(hint):
        return tree(typing.cast(type, hint), value, place, where)
    for one in typing.get_args(hint) if _is_union(hint) else (hint,):
        found = _as(one, value)
        if found is not _NO:
            return found
    raise QapError(f"{where}: {place} = {value!r}", f"give {_words(hint)}")


_NO = object()


def _as(hint: Any, value: Any) -> Any:
    """`value` as the plain type or tuple `hint`, or `_NO`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value if value in args else _NO
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return _NO
        kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
        if len(kinds) != len(value):
            return _NO
        items = tuple(_as(kind, item) for kind, item in zip(kinds, value, strict=True))
        return _NO if _NO in items else items
    if hint is types.NoneType:
        return None if value is None else _NO
    if hint is float:
        return _number(value)
    # A bool is an int for Python, but `epochs: true` is a mistake.
    return value if type(value) is hint else _NO


def _number(value: Any) -> Any:
    """A float. YAML 1.1 takes 1e-5, without a point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _NO
    try:
        return float(value)
    except ValueError:
        return _NO


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _words(hint: Any) -> str:
    """What a value of this type looks like, for people."""
    if _is_union(hint):
        return " or ".join(_words(one) for one in typing.get_args(hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(repr(one) for one in args)
    if origin is tuple:
        count = "a list" if args[-1] is Ellipsis else f"a list of {len(args)}"
        return f"{count}, each {_words(args[0])}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", types.NoneType: "nothing"}
    return names[hint]
