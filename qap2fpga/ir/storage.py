# SPDX-License-Identifier: Apache-2.0
"""A graph in one `.npz` file: a JSON head with a format number, and the arrays of every node.

Nothing in the file is trusted: every field is checked against its type, and the graph is verified.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Function, Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import ROUNDINGS, SIGN, InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.arrays import Arrays, load_npz, save_npz
from qap2fpga.system.codec import convert
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.reading import line, parse_json

T = TypeVar("T")
FORMAT = 3
KINDS: dict[str, type[Node]] = {
    one.kind: one for one in (Input, Linear, Depthwise, Requantizer, Max, Sum, Concat, Repeat)
}
FUNCTIONS: dict[str, type[Function]] = {"step": Step, "logits": Logits}
HINT = "build the model again"
# Digits of the numerator and of the denominator of a scale; those of any two float64 values are fewer.
SCALE = re.compile(r"-?\d{1,1500}(/0*[1-9]\d{0,1499})?")


def save(graph: Graph, path: Path) -> None:
    """Write `graph` to `path` in one step; the same graph gives the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    nodes = [{"kind": node.kind, **_plain(node, f"{number}", arrays)} for number, node in enumerate(graph.nodes)]
    head = {
        "format": FORMAT, "nodes": nodes, "output": graph.output, "output_scale": str(graph.output_scale),
        "notes": graph.notes,
    }  # fmt: skip
    save_npz(path, {"head": np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays})


def load(path: Path) -> Graph:
    """Return the graph that `save` wrote to `path`. Raises `QapError` for anything else."""
    arrays = load_npz(path, HINT)
    head = _head(arrays, path)
    nodes = head.get("nodes")
    if not isinstance(nodes, list) or not nodes or not isinstance(nodes[0], dict) or nodes[0].get("kind") != Input.kind:
        raise _refused(path, "its nodes")
    scale = head.get("output_scale")
    if not isinstance(scale, str) or not SCALE.fullmatch(scale):
        raise _refused(path, "its output scale")
    graph = Graph(
        tuple(_node(entry, number, arrays, path) for number, entry in enumerate(nodes)),
        convert(str, head.get("output"), "output", str(path)),
        Fraction(scale),
        convert(tuple[str, ...], head.get("notes"), "notes", str(path)),
    )
    try:
        verify(graph, str(path))
    except CheckFailed as error:
        raise QapError(error.message, HINT) from error
    _check_quantizer(graph, path)
    return graph


def _plain(value: Node | Function, place: str, arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """The fields of a node or a function as plain values; what are arrays goes into `arrays`, by field and place."""
    entry: dict[str, object] = {}
    for field in dataclasses.fields(value):
        one = getattr(value, field.name)
        if isinstance(one, np.ndarray):
            arrays[field.name + place] = one
        elif isinstance(one, Step | Logits):
            (kind,) = (name for name, known in FUNCTIONS.items() if isinstance(one, known))
            entry[field.name] = {"kind": kind, **_plain(one, place, arrays)}
        else:
            entry[field.name] = dataclasses.asdict(one) if isinstance(one, Shape | InputQuantizer | Geometry) else one
    return entry


def _head(arrays: Arrays, path: Path) -> dict[str, object]:
    if "head" not in arrays or arrays["head"].dtype != np.uint8:
        raise _refused(path, "its head")
    try:
        text = arrays["head"].tobytes().decode()
    except UnicodeDecodeError as error:
        raise _refused(path, "its head") from error
    head = parse_json(text, f"the head of {path}", HINT)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        stated = head.get("format") if isinstance(head, dict) else None
        raise QapError(f"{path}: format {line(repr(stated))}, this program reads {FORMAT}", HINT)
    return head


def _node(entry: object, number: int, arrays: Arrays, path: Path) -> Node:
    """The node that one entry of the head and the arrays of its number describe."""
    kind = _known(KINDS, entry)
    if kind is None or not isinstance(entry, dict):
        raise _refused(path, f"the kind of node {number}")
    return kind(**_fields(kind, entry, number, arrays, path))


def _known(kinds: dict[str, type[T]], entry: object) -> type[T] | None:
    return kinds.get(entry["kind"]) if isinstance(entry, dict) and isinstance(entry.get("kind"), str) else None


def _fields(kind: type, entry: Mapping[str, Any], number: int, arrays: Arrays, path: Path) -> dict[str, Any]:
    """The fields of a node or a function, each checked against its type."""
    where = f"node {number}"
    values: dict[str, Any] = {}
    for name, hint in _hints(kind).items():
        if hint is np.ndarray:
            array = arrays.get(f"{name}{number}")
            if array is None or array.dtype != np.int64:
                raise _refused(path, f"the {name} of {where}")
            values[name] = array
        elif name not in entry:
            raise _refused(path, f"the {name} of {where}")
        elif hint == Function:
            function = _known(FUNCTIONS, entry[name])
            if function is None:
                raise _refused(path, f"the {name} of {where}")
            values[name] = function(**_fields(function, entry[name], number, arrays, path))
        else:
            values[name] = convert(hint, entry[name], f"{where}.{name}", str(path))
    return values


@cache
def _hints(kind: type) -> dict[str, object]:
    """The types of a kind's fields by name."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _check_quantizer(graph: Graph, path: Path) -> None:
    quantizer, channels = graph.input, graph.inputs
    known = quantizer.rounding in (*ROUNDINGS, SIGN)
    sizes = {len(quantizer.scale), len(quantizer.offset)} <= {1, channels}
    spans = (int(quantizer.lows.min()), int(quantizer.highs.max())) == (quantizer.low, quantizer.high)
    rising = bool((quantizer.lows <= quantizer.highs).all())
    ends = spans and rising and len(quantizer.ends) in (0, channels)
    if not known or not sizes or not ends or quantizer.low > quantizer.high or min(quantizer.scale) <= 0:
        raise _refused(path, "its input quantizer")


def _refused(path: Path, what: str) -> QapError:
    return QapError(f"{path} is not an integer network: {what} is not sound", HINT)
