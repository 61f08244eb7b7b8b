# SPDX-License-Identifier: Apache-2.0
"""Plain values, as JSON and YAML give them, to and from typed ones: dataclasses, tuples, numbers within a range.

`convert` is for a form that users fill in, a dataclass: a key that it has not is refused by name. `decode` is for what
a program wrote, a `Record`: further keys are kept, and `encode` gives back what was read.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, overload

from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import line, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")


@dataclasses.dataclass(frozen=True)
class Range:
    """What a number with this in its `Annotated` type may be: `low` to `high`, without `low` where it is `excluded`."""

    low: float
    high: float
    excluded: bool = False

    def holds(self, number: float) -> bool:
        """Return whether `number` is in the range."""
        return (self.low < number if self.excluded else self.low <= number) and number <= self.high

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.excluded else f"of {self.low:g} or more"
        return low if self.high >= LARGEST else f"{low}, {self.high:g} at most"


# What is shown, summed and divided stays far from the ends of a float.
LARGEST = 1e30
Positive = Annotated[float, Range(0, LARGEST, excluded=True)]
Number = Annotated[float, Range(0, LARGEST)]
Size = Annotated[int, Range(0, LARGEST, excluded=True)]
Count = Annotated[int, Range(0, LARGEST)]


def tree(kind: type[D], settings: object, path: str, where: str) -> D:
    """Return an instance of the dataclass `kind` of the mapping `settings`, which stands at `path` in `where`.

    Raises `QapError` for a key that `kind` has not, one that it needs, and a value of another type.
    """
    if not isinstance(settings, dict):
        raise QapError(f"{where}: {path or 'it'} = {shown(settings)}", "it is a section: give it keys and values")
    hints = _hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind)}
    values = {}
    for key, value in settings.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in fields:
            raise QapError(f"{where}: unknown key {shown(place)}", nearest(str(key), fields))
        values[key] = convert(hints[key], value, place, where)
    for name, one in fields.items():
        if _default(one) is _NO and name not in values:
            place = f"{path}.{name}" if path else name
            if not dataclasses.is_dataclass(hints[name]):
                raise QapError(f"{where}: '{place}' is missing", f"give {words(hints[name])}")
            values[name] = tree(typing.cast(type, hints[name]), {}, place, where)
    return kind(**values)


@overload
def convert(hint: type[T], value: object, place: str, where: str) -> T: ...
@overload
def convert(hint: object, value: object, place: str, where: str) -> object: ...
def convert(hint: object, value: object, place: str, where: str) -> object:
    """Return `value` as the type `hint`: a whole number may be meant as a float, a list as a tuple.

    What stands in a form as a record or a mapping, a program wrote; it is decoded.
    Raises `QapError` that names `place` in `where` and the type that is expected.
    """
    for one in typing.get_args(hint) if _is_union(hint) else (hint,):
        if (is_record(one) or typing.get_origin(one) is Mapping) and isinstance(value, dict):
            return decode(one, value, place, where)
        if isinstance(one, type) and dataclasses.is_dataclass(one) and (isinstance(value, dict) or one is hint):
            return tree(one, value, place, where)
        converted = _as(one, value, where)
        if converted is not _NO:
            return converted
    raise QapError(f"{where}: {place or 'it'} = {shown(value)}", f"give {words(hint)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What a program wrote, as a frozen dataclass of the keys that are known.

    Other keys may be there: `more` has their values. `order` are the keys that are written, in their order; None: the
    fields. So what was read is written as it was.
    """

    more: Mapping[str, object] = dataclasses.field(default_factory=dict, repr=False, hash=False)
    order: tuple[str, ...] | None = dataclasses.field(default=None, repr=False, compare=False)

    @classmethod
    def variant(cls, value: Mapping[str, object]) -> type[Record]:
        """Return the class that reads `value`: this one, or one of it that the value names."""
        return cls


@overload
def decode(hint: type[T], value: object, place: str, where: str) -> T: ...
@overload
def decode(hint: object, value: object, place: str, where: str) -> object: ...
def decode(hint: object, value: object, place: str, where: str) -> object:
    """Return `value`, which a program wrote as JSON, as the type `hint`; a text is no number here.

    Raises `QapError` that names `place` in `where` and the type that is expected.
    """
    for one in typing.get_args(hint) if _is_union(hint) else (hint,):
        origin, args = typing.get_origin(one), typing.get_args(one)
        if is_record(one) and isinstance(value, dict):
            return _record(one.variant(value), value, place, where)
        if origin is tuple and args[-1] is Ellipsis and isinstance(value, list | tuple):
            return tuple(decode(args[0], item, f"{place}[{index}]", where) for index, item in enumerate(value))
        if origin is Mapping and isinstance(value, dict):
            return {key: decode(args[1], item, f"{place}.{key}", where) for key, item in value.items()}
        plain = _NO if isinstance(value, str) and _is_float(one) else _as(one, value, where)
        if plain is not _NO:
            # A whole number stays one, also where a fraction may stand.
            return value if _is_float(one) else plain
    raise QapError(f"{where}: {line(place) or 'it'} = {shown(value)}", f"it must be {words(hint)}")


def _record(kind: type[Record], value: dict[str, Any], place: str, where: str) -> Record:
    """Return the record `kind` of the keys in `value`."""
    hints, values = _hints(typing.cast(type, kind)), dict[str, Any]()
    for one in _fields(kind):
        inside = f"{place}.{one.name}" if place else one.name
        if one.name in value:
            values[one.name] = decode(hints[one.name], value[one.name], inside, where)
        elif _default(one) is _NO:
            raise QapError(f"{where}: '{inside}' is missing", f"it is {words(hints[one.name])}")
    more = {key: item for key, item in value.items() if key not in values}
    return kind(**values, more=more, order=tuple(value))


@overload
def encode(value: Record | Mapping[str, Record]) -> dict[str, Any]: ...
@overload
def encode(value: object) -> object: ...
def encode(value: object) -> object:
    """Return `value` as JSON has it: of a record its keys, in their order; of another dataclass its fields."""
    if isinstance(value, Record):
        known = {one.name: one for one in _fields(type(value))}
        order = tuple(known) if value.order is None else value.order
        # What was set since it was read comes last.
        since = [name for name, one in known.items() if name not in order and getattr(value, name) != _default(one)]
        return {name: encode(getattr(value, name) if name in known else value.more[name]) for name in (*order, *since)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {one.name: encode(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return str(value) if isinstance(value, enum.Enum) else value


def is_record(hint: object) -> typing.TypeGuard[type[Record]]:
    """Return whether `hint` is a class of records."""
    return isinstance(hint, type) and issubclass(hint, Record)


def _fields(kind: type[Record]) -> tuple[dataclasses.Field[Any], ...]:
    """The fields that are keys of a file."""
    return tuple(one for one in dataclasses.fields(kind) if one.name not in ("more", "order"))


def _default(one: dataclasses.Field[Any]) -> object:
    """What the field is where nothing is given, or `_NO`."""
    if one.default_factory is not dataclasses.MISSING:
        return one.default_factory()
    return _NO if one.default is dataclasses.MISSING else one.default


def _is_float(hint: object) -> bool:
    return hint is float or (typing.get_origin(hint) is Annotated and typing.get_args(hint)[0] is float)


_NO = object()


def _as(hint: object, value: object, where: str) -> object:
    """`value` as the plain type or tuple `hint`, or `_NO`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object):
        return value
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value) if isinstance(value, str) and value in {str(one) for one in hint} else _NO
    if origin is Annotated:
        converted = _as(args[0], value, where)
        return _NO if converted is _NO or not args[1].holds(converted) else converted
    if origin is typing.Literal:
        return value if type(value) in {type(one) for one in args} and value in args else _NO
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return _NO
        kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
        if len(kinds) != len(value):
            return _NO
        if any(map(dataclasses.is_dataclass, kinds)):
            return tuple(convert(kind, item, "an item", where) for kind, item in zip(kinds, value, strict=True))
        items = tuple(_as(kind, item, where) for kind, item in zip(kinds, value, strict=True))
        return _NO if any(item is _NO for item in items) else items
    if origin is dict:
        return value if isinstance(value, dict) and args[1] is Any else _NO
    if hint is Path:
        return value if isinstance(value, Path) else _NO
    if hint is types.NoneType:
        return None if value is None else _NO
    if hint is float:
        return _number(value)
    # A bool is an int for Python, but `epochs: true` is a mistake.
    return value if type(value) is hint else _NO


def _number(value: object) -> object:
    """A finite float. YAML 1.1 takes 1e-5, without a point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _NO
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _NO
    return number if math.isfinite(number) else _NO


def _is_union(hint: object) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


@cache
def _hints(kind: type) -> dict[str, object]:
    """The types by key."""
    return typing.get_type_hints(kind, include_extras=True)


def words(hint: object) -> str:
    """Return what a value of this type looks like, for people."""
    if _is_union(hint):
        return " or ".join(words(one) for one in typing.get_args(hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return f"{words(args[0])} {args[1]}"
    if origin is typing.Literal:
        return " or ".join(repr(one) for one in args)
    if origin in (tuple, list):
        count = "a list" if args[-1] is Ellipsis or origin is list else f"a list of {len(args)}"
        return f"{count}, each {words(args[0])}"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return " or ".join(repr(str(one)) for one in hint)
    if origin in (dict, Mapping) or dataclasses.is_dataclass(hint):
        return "keys and values"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", types.NoneType: "nothing"}
    return names.get(hint, "a value") if isinstance(hint, type) else "a value"
