# SPDX-License-Identifier: Apache-2.0
"""Options of a command from a YAML file, by the names that they have on the command line, which comes first."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import shown, yaml_object

HINT = "give options by their names on the command line, as `board: pynq-z2`"


def read(context: typer.Context, path: Path | None) -> Path | None:
    """Take what `path` says as the defaults of `context`; paths in it start from its folder.

    Raises `QapError` for a name that is no option, with the nearest one, and for values that no option has.
    """
    if path is None:
        return None
    kinds = _kinds(context)
    legal = {name.replace("_", "-"): name for name in kinds}
    defaults: dict[str, object] = {}
    for key, value in yaml_object(path, HINT).items():
        name = legal.get(str(key))
        if name is None:
            raise QapError(f"{path}: unknown option {shown(key)}", nearest(str(key), legal))
        defaults[name] = _value(kinds[name], value, f"{path}: {key}", path.parent)
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _kinds(context: typer.Context) -> dict[str, tuple[object, ...]]:
    """Return the types that each argument and option of the command may have, by name."""
    function = context.command.callback
    assert function is not None
    hints = typing.get_type_hints(inspect.unwrap(function))
    return {name: (hint, *typing.get_args(hint)) for name, hint in hints.items() if name not in ("config", "return")}


def _value(kinds: tuple[object, ...], value: object, where: str, folder: Path) -> object:
    """Return `value` as it would stand on the command line."""
    if bool in kinds:
        if not isinstance(value, bool):
            raise QapError(f"{where} is {shown(value)}", "give true or false")
        return value
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in values):
        raise QapError(f"{where} is {shown(value)}", "give a number, a text, or a list of such")
    text = ",".join(map(str, values))
    return str(folder / text) if Path in kinds else text


Config = Annotated[
    Path | None,
    typer.Option(
        callback=read, is_eager=True, metavar="BUILD.yaml",
        help="options by name, as `board: pynq-z2`; those on the command line come first",
    ),
]  # fmt: skip
