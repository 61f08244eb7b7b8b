# SPDX-License-Identifier: Apache-2.0
"""Files of users, read with limits: how large, how deep, how many digits. Whatever a parser raises is a `QapError`.

Sizes are compared before anything is read, declared sizes before anything is unpacked, so that a small file cannot
take all the memory. Texts are UTF-8; nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import stat
from collections import Counter
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    import yaml

MIB = 1 << 20
LARGEST_TEXT = 64 * MIB
LARGEST_JSON = 32 * MIB
# A settings file takes PyYAML about a second per 100 kB.
LARGEST_YAML = MIB // 4
DEEPEST = 64
# Whole numbers of 128 bits are shorter; a float holds no more than 17 digits.
MOST_DIGITS = 40
# Values of a YAML file once its aliases are followed.
MOST_VALUES = 100_000
LONGEST_LINE = 100
WHERE_CUT = "…"


def is_file(path: Path) -> bool:
    """Return whether `path` is a file; a name that the system refuses, as one of 300 characters, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def line(text: object, most: int = LONGEST_LINE) -> str:
    """Return the first line of `text`, cut: parsers quote what they read, however long it is."""
    first = (str(text).splitlines() or [""])[0]
    return first if len(first) <= most else first[: most - 1] + WHERE_CUT


def shown(value: object) -> str:
    """Return a value as a message quotes it, cut."""
    try:
        return line(repr(value))
    except ValueError:  # an integer of more digits than Python prints
        return "a number of too many digits"
    except RecursionError:
        return "a value that holds itself"


def size(path: Path, limit: int, hint: str) -> int:
    """Return the bytes of the regular file `path`. Raises `QapError` where it is none, or larger than `limit`."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise QapError(f"{line(path)} does not exist", hint) from error
    except (OSError, ValueError) as error:
        raise QapError(f"{line(path)} cannot be read: {_reason(error)}", hint) from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise QapError(f"{path} is {what}", hint)
    if found.st_size > limit:
        raise QapError(f"{path} has {found.st_size:,} bytes, more than the {limit:,} that are read", hint)
    return found.st_size


def content(path: Path, limit: int, hint: str) -> bytes:
    """Return the bytes of `path`. Raises `QapError` where there are none to read, or more than `limit`."""
    size(path, limit, hint)
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise QapError(f"{path} cannot be read: {_reason(error)}", hint) from error
    if len(data) > limit:
        raise QapError(f"{path} grows beyond the {limit:,} bytes that are read", hint)
    return data


def text(path: Path, hint: str, limit: int = LARGEST_TEXT) -> str:
    """Return the UTF-8 text in `path`, with a byte order mark or without one."""
    data = content(path, limit, hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QapError(f"{path} is no UTF-8 text: byte {error.start} is {data[error.start]:#04x}", hint) from error


def json_value(path: Path, hint: str, limit: int = LARGEST_JSON) -> object:
    """Return the value in a JSON file."""
    return parse_json(text(path, hint, limit), str(path), hint)


def json_object(path: Path, hint: str, limit: int = LARGEST_JSON) -> dict[str, object]:
    """Return the object in a JSON file."""
    value = json_value(path, hint, limit)
    if not isinstance(value, dict):
        raise QapError(f"{path} holds {_kind(value)}, not an object of keys and values", hint)
    return value


def parse_json(text: str, where: str, hint: str) -> object:
    """Return the value that a JSON text holds; NaN and infinities, which Python writes, are let through.

    Raises `QapError` for what is no JSON, is nested too deeply, repeats a key, or has a number of too many digits.
    """
    try:
        return _limited(json.loads(text, object_pairs_hook=_object, parse_int=_whole))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else line(error)
        raise QapError(f"{where} is no sound JSON: {reason}", hint) from error


def yaml_value(path: Path, hint: str, limit: int = LARGEST_YAML) -> object:
    """Return the value in a YAML file of plain values.

    Raises `QapError` for what is no YAML, is nested too deeply, repeats a key, is larger once its aliases are
    followed than any settings are, or has a number of too many digits.
    """
    import yaml

    source = text(path, hint, limit)
    try:
        return _limited(yaml.load(source, _loader()), MOST_VALUES)
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, line(error.problem or error.context or "")
        where = f"line {mark.line + 1}: " if mark else ""
        raise QapError(f"{path} is no sound YAML: {where}{problem}", hint) from error
    # Its constructors raise what Python does: for 30 February, for the base 60, for what no dictionary can have as key.
    except (yaml.YAMLError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else line(error)
        raise QapError(f"{path} is no sound YAML: {reason}", hint) from error


def yaml_object(path: Path, hint: str, limit: int = LARGEST_YAML) -> dict[str, object]:
    """Return the mapping in a YAML file; its keys are texts."""
    value = yaml_value(path, hint, limit)
    if not isinstance(value, dict):
        raise QapError(f"{path} holds {_kind(value)}, not keys and values", hint)
    for key in value:
        if not isinstance(key, str):
            raise QapError(f"{path}: the key {shown(key)} is {_kind(key)}, not a text", hint)
    return value


def _limited(value: object, most_values: float = math.inf) -> object:
    """Return `value`. Raises `ValueError` if it is nested too deeply, too large, or has a number of too many digits."""
    level, count = [value], 1
    for _ in range(DEEPEST):
        below: list[object] = []
        for one in level:
            if isinstance(one, int) and one.bit_length() > MOST_DIGITS * math.log2(10):
                raise ValueError(f"a number of more than {MOST_DIGITS} digits")
            below.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list | tuple) else ())
            if count + len(below) > most_values:
                raise ValueError(f"more than {most_values:,} values")
        if not below:
            return value
        level, count = below, count + len(below)
    raise ValueError(f"more than {DEEPEST} values are nested in each other")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in entries if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return entries


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


@cache
def _loader() -> type[yaml.SafeLoader]:
    """PyYAML's loader of plain values, but for a key that is there twice, of which it takes the last."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
            # Keys that '<<' merges in come before the node's own, which may replace them.
            names = [key.value for key, _ in node.value if key.tag == "tag:yaml.org,2002:str"]
            twice = next((name for name, count in Counter(names).items() if count > 1), None)
            if twice is not None:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(twice)} is there twice", node.start_mark
                )
            return super().construct_mapping(node, deep)

    return Loader


def _kind(value: object) -> str:
    """What JSON and YAML call a value of this type."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number",
             float: "a number", type(None): "nothing"}  # fmt: skip
    return names.get(type(value), f"a {type(value).__name__}")


def _reason(error: Exception) -> str:
    return line(error.strerror if isinstance(error, OSError) and error.strerror else error)
