# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of the YAML files that people write, for editors: made from the types that read them.

    python docs/schemas.py FOLDER        # board.json, build.json, train.json

An editor completes and checks a file that begins with `# yaml-language-server: $schema=FOLDER/build.json`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path

from qap2fpga.build.request import STAGES
from qap2fpga.cli.build import build
from qap2fpga.hw import boards
from qap2fpga.hw.families import FAMILIES
from qap2fpga.train import config
from qap2fpga.train.settings import RunConfig

Schema = dict[str, object]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "string"}
# What stands on a command line as a text with commas is a list in a file too.
LISTS = ("weight_bits", "activation_bits", "input_range", "classes", "vendor")


def schemas() -> dict[str, Schema]:
    """Return the schema of each kind of file, by its name."""
    return {"board": board(), "build": options(build), "train": settings(RunConfig, "")}


def board() -> Schema:
    """Return the schema of a board's file."""
    hints = typing.get_type_hints(boards.Board)
    known = {one.name: of_type(hints[one.name]) for one in dataclasses.fields(boards.Board)}
    known = {name: one for name, one in known.items() if name not in ("name", "pins")}
    known["family"] = {"enum": list(FAMILIES)}
    return closed(known, [name for name in known if name not in boards.OPTIONAL])


def options(command: Callable[..., None]) -> Schema:
    """Return the schema of the options of `command` in a file, by their names on the command line."""
    hints = typing.get_type_hints(inspect.unwrap(command), include_extras=True)
    known: dict[str, Schema] = {}
    for name, hint in hints.items():
        if name in ("config", "return"):
            continue
        plain = hint if typing.get_origin(hint) is not typing.Annotated else typing.get_args(hint)[0]
        schema = without_none(of_type(plain))
        if name in LISTS:
            one: Schema = {"type": ["string", "number"]}
            schema = {"anyOf": [one, {"type": "array", "items": one}]}
        about = [one.help for one in getattr(hint, "__metadata__", ()) if getattr(one, "help", None)]
        known[name.replace("_", "-")] = {**schema, **({"description": about[0]} if about else {})}
    known["until"] = {**known["until"], "enum": list(STAGES)}
    known["check"] = {**known["check"], "enum": ["fail", "warn"]}
    return closed(known, [])


def settings(kind: type, path: str) -> Schema:
    """Return the schema of a tree of settings; `path` is where `kind` stands in it, with a dot at its end."""
    hints = typing.get_type_hints(kind)
    known: dict[str, Schema] = {}
    required = []
    for one in dataclasses.fields(kind):
        place, hint = f"{path}{one.name}", hints[one.name]
        if dataclasses.is_dataclass(hint):
            known[one.name] = settings(typing.cast(type, hint), f"{place}.")
        else:
            choices = config.CHOICES.get(place)
            known[one.name] = {"enum": list(choices)} if choices else of_type(hint)
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            required.append(one.name)
    if "paper_code" in known:
        known["paper_code"] = {"anyOf": [known["paper_code"], {"const": "all"}]}
    return closed(known, required)


def of_type(hint: object) -> Schema:
    """Return the schema of the values of a type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(one) for one in inner]}
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin is tuple and inner[-1:] == (...,):
        return {"type": "array", "items": of_type(inner[0])}
    if origin is tuple:
        return {"type": "array", "prefixItems": [of_type(one) for one in inner], "minItems": len(inner)}
    if hint is types.NoneType:
        return {"type": "null"}
    return {"type": TYPES[typing.cast(type, hint)]}


def without_none(schema: Schema) -> Schema:
    """Return the schema of an option that is not given by leaving it out."""
    kinds = [one for one in typing.cast(list[Schema], schema.get("anyOf", [])) if one != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else schema


def closed(known: dict[str, Schema], required: list[str]) -> Schema:
    """Return the schema of an object with these keys alone."""
    return {"$schema": DIALECT, "type": "object", "properties": known, "required": required,
            "additionalProperties": False}  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_text(json.dumps(schema, indent=1) + "\n")
        print(f"wrote {folder / name}.json")


if __name__ == "__main__":
    main()
