# SPDX-License-Identifier: Apache-2.0
"""What a backend's own expectation is worth: factors fitted to measured designs, and how far off they have been.

A calibration is a file under `flows/<backend>`. It predicts `sum(factor * feature)` over the `features` of the nodes
that the backend expects (`Expectation.nodes`), and gives the interval that measured designs have stayed in. It carries
a fingerprint of the generator: the numbers of another one are not predictions.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from qap2fpga.estimate.prediction import Interval
from qap2fpga.hw.design import NodeEstimate
from qap2fpga.hw.resources import FITTED, NAMES
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PACKAGE, shipped

# The sorts of networks that calibrations are of; of pruned ones, over either, with layers built without their zeros.
VECTORS, IMAGES, SPARSE = "vectors", "images", "sparse"
# What of the program decides which hardware is generated, how it is mapped and what is expected of it, by backend.
GENERATORS = {
    "finn": ("backends/finn", "synth/yosys.py", "synth/worker.py", "synth/cells.py"),
    "rtl": ("backends/rtl", "requant/implementations.py", "requant/prices.py", "requant/requantize.py",
            "requant/segments.py", "requant/straight.py", "synth/yosys.py", "synth/worker.py", "synth/cells.py"),
}  # fmt: skip
# What follows from the structure of a design, and is predicted as the backend says.
COUNTED = (*(name for name in NAMES if name not in FITTED), "latency_cycles", "interval_cycles")
TOOLS = {"finn": ("finn-plus", "pyosys"), "rtl": ("alkaid", "pyosys")}
# A prediction outside what was fitted is given, with an interval this much wider (in the logarithm).
OUTSIDE = 3.0
# A string, or a comment, of Python: Python's own tokenizer takes twenty times as long.
_LITERAL = re.compile(
    r"""(?s:(\"{3}|'{3})(?:\\.|[^\\])*?\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>\#[^\n]*))"""
)


@dataclass(frozen=True)
class Calibration:
    """The content of a calibration file."""

    values: Mapping[str, Any]

    @property
    def current(self) -> bool:
        """Whether the generator, its expectations and the tools are those that were measured and fitted."""
        backend = str(self.values["backend"])
        return bool(self.values["fingerprint"] == fingerprint(backend))

    def knows(self, nodes: Sequence[NodeEstimate]) -> bool:
        """Return whether something like each of `nodes` was in a design that was measured."""
        parts = ((self.values["resources"][name]["factors"].keys(), node.features[name].keys())
                 for name in self.values["resources"] for node in nodes)  # fmt: skip
        return all(not features or factors & features for factors, features in parts)

    def predict(self, resource: str, nodes: Sequence[NodeEstimate], network: Mapping[str, float]) -> Interval:
        """`resource` of a design with these `nodes`; `network` are its sizes, by the names in the file's `range`."""
        part = self.values["resources"][resource]
        value = sum(self.of_node(resource, node) for node in nodes)
        unknown = {kind for node in nodes for kind in node.features[resource]} - set(part["factors"])
        beyond = [f"{kind}: not among the measured designs" for kind in sorted(unknown)] + self._beyond(network)
        low, high = _band(part["interval"], value)
        if beyond:
            low, high = low**OUTSIDE, high**OUTSIDE
        return Interval(value, value * low, value * high, tuple(beyond))

    def counted(self, resource: str, value: float, network: Mapping[str, float]) -> Interval:
        """Return the interval of `resource`, of which the backend expects `value` in a design of these sizes."""
        ratio, beyond = self.values["counted"].get(resource, {}), self._beyond(network)
        low, high = (ratio.get(end, 1.0) ** (OUTSIDE if beyond else 1.0) for end in ("low", "high"))
        return Interval(value, value * low, value * high, tuple(beyond) if low < high else ())

    def _beyond(self, network: Mapping[str, float]) -> list[str]:
        """Which of a network's sizes no measured design had."""
        return [
            f"{name} {network[name]:g}, measured {least:g} to {most:g}"
            for name, (least, most) in self.values["range"].items()
            if name in network and not least <= network[name] <= most
        ]

    def of_node(self, resource: str, node: NodeEstimate) -> float:
        """What of `resource` one node is predicted to take; a feature that was not measured counts as nothing."""
        factors = self.values["resources"][resource]["factors"]
        return float(sum(factors.get(kind, 0.0) * value for kind, value in node.features[resource].items()))


def layer_sizes(network: Graph) -> list[dict[str, int]]:
    """The sizes of the nodes that multiply, as they are built, after compaction."""
    return [
        {
            "inputs": node.inputs, "outputs": node.outputs, "nonzeros": node.nonzeros,
            "weight_bits": node.weight_width, "input_bits": node.input_bits,
            "accumulator_bits": network.node_ranges[node.name].signed_bits,
        }
        for node in network.weighted
    ]  # fmt: skip


def sizes(layers: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """What the range of a calibration is stated in, from `layer_sizes`."""
    return {
        "layers": len(layers),
        "nonzeros": sum(layer["nonzeros"] for layer in layers),
        "fan_in": max(layer["inputs"] for layer in layers),
        "neurons": max(layer["outputs"] for layer in layers),
        "weight_bits": max(layer["weight_bits"] for layer in layers),
        "accumulator_bits": max(layer["accumulator_bits"] for layer in layers),
    }


def _band(classes: Sequence[Mapping[str, float]], value: float) -> tuple[float, float]:
    """(lowest, highest) ratio of measured to predicted, of the size class that `value` is in."""
    for one in classes[:-1]:
        if value < one["below"]:
            return one["low"], one["high"]
    return classes[-1]["low"], classes[-1]["high"]


def sort(network: Graph) -> str:
    """Return 'images' for a network with a tensor of more than one position, else 'vectors'."""
    return IMAGES if network.has_positions else VECTORS


def file(backend: str, over: str = VECTORS) -> Path:
    """Return where the calibration of `backend` is shipped for networks of the sort `over`."""
    return shipped("flows") / backend / ("calibration.yaml" if over == VECTORS else f"calibration-{over}.yaml")


@lru_cache(maxsize=8)
def load(backend: str, over: str = VECTORS) -> Calibration | None:
    """The shipped calibration of `backend` for networks of the sort `over`, None where there is none."""
    path = file(backend, over)
    if not path.is_file():
        return None
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or content.get("schema") != 1:
        raise QapError(f"{path} is not a calibration of this version", f"qap2fpga calibrate --backend {backend}")
    return Calibration(content)


@lru_cache(maxsize=4)
def fingerprint(backend: str) -> str:
    """A digest of the code (without comments and docstrings) and tools that decide the hardware and expectations."""
    hasher = hashlib.sha256()
    for name in GENERATORS[backend]:
        path = PACKAGE / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            # Options are drawn with the designs.
            if source.name not in ("options.py", "__init__.py"):
                hasher.update(_code(source.read_text()))
    folder = shipped("flows") / backend
    for source in (*sorted(folder.glob("*.sv")), folder / "estimate.yaml"):
        hasher.update(source.read_bytes())
    for tool in TOOLS[backend]:
        hasher.update(f"{tool} {_version(tool)}".encode())
    return hasher.hexdigest()[:16]


def _code(text: str) -> bytes:
    """The lines of a source without comments and docstrings, the same in every version of Python."""
    lines = _LITERAL.sub(lambda match: match[0] if match["comment"] is None else "", text).splitlines()
    for node in _statements(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            first = node.body[0]
            lines[first.lineno - 1 : first.end_lineno] = [""] * ((first.end_lineno or first.lineno) - first.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip()).encode()


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield `node` and all statements in it: the expressions, which most of a source is, have no docstrings."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _statements(child)


def _version(tool: str) -> str:
    try:
        return metadata.version(tool)
    except metadata.PackageNotFoundError:
        return "absent"
