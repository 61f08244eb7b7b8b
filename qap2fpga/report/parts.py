# SPDX-License-Identifier: Apache-2.0
"""Where the cells of a circuit are: its nodes predicted and measured, its layers' shares, and its use of the board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from qap2fpga.hw.design import is_of
from qap2fpga.report import check, show
from qap2fpga.report.routed import resource_names
from qap2fpga.report.show import RESOURCE_NAMES
from qap2fpga.report.summary import Report

BETWEEN = "between the layers"
# A node's instance in the top level, by which synthesis reports it.
INSTANCE = "u_"


@dataclass(frozen=True)
class Part:
    """One node: cells by resource, predicted and measured; a missing entry or None is not known."""

    name: str
    layer: str | None
    predicted: dict[str, Any]
    measured: dict[str, Any]

    def width(self, kind: str, resource: str, largest: float) -> float:
        """The length of a bar for the 'predicted' or 'measured' number, of 100."""
        value = getattr(self, kind).get(resource)
        return round(100 * value / largest, 2) if value and largest else 0.0


@dataclass(frozen=True)
class Share:
    """What one layer takes of all measured LUTs; `start` and `width` of 100."""

    layer: str
    lut: int
    start: float
    width: float


@dataclass(frozen=True)
class Use:
    """One resource of the board: how much of it is used. `percent` may be above 100."""

    label: str
    used: int
    available: int
    percent: float

    @property
    def width(self) -> float:
        """The length of its bar, of 100."""
        return min(100.0, self.percent)


@dataclass(frozen=True)
class Column:
    """One origin of numbers: an estimate, or what a tool counted at a stage.

    `intervals` are, by resource, the ends that a calibrated prediction is checked against, as text.
    """

    title: str
    stage: str
    circuit: str
    predicted: bool
    total: dict[str, Any]
    intervals: dict[str, str] = field(default_factory=dict)


def columns(report: Report) -> list[Column]:
    """All predictions of resources, then all measurements in the order they were made."""
    predicted = [one for one in report["predictions"] if one["what"] == "resources"]
    found = [Column("predicted", one["stage"], one["circuit"], True, one["total"], _ends(one)) for one in predicted]
    for one in report["measurements"]:
        found.append(Column(f"{one['tool']} {one['version']}", one["stage"], one["circuit"], False, one["total"]))
    return found


def _ends(prediction: dict[str, Any]) -> dict[str, str]:
    given = (prediction.get("intervals") or {}).items() if prediction.get("calibrated") else ()
    return {name: show.ends(one["low"], one["high"]) for name, one in given if one["low"] < one["high"]}


def parts(report: Report) -> list[Part]:
    """Every node of a measurement held against its prediction, and what lies outside of all nodes.

    It is the last measurement that says anything of parts: a router sees one flat netlist.
    """
    apart = [one for one in report["measurements"] if one.get("parts")]
    measurement = apart[-1] if apart else check.latest(report)
    measured: dict[str, Any] = dict((measurement or {}).get("parts") or {})
    circuit = measurement["circuit"] if measurement else None
    predicted = _predicted(report, circuit)
    layers = _layers(report)
    found = []
    for name, cells in predicted.items():
        mine = {key: measured.pop(key) for key in list(measured) if is_of(key, name)}
        found.append(Part(name, layers.get(name), cells, _sum(mine.values())))
    found += [Part(name.removeprefix(INSTANCE), None, {}, cells) for name, cells in measured.items()]
    rest, top = _rest(measurement), _top(report, circuit)
    if top in predicted:
        return [replace(part, measured=rest) if part.name == top else part for part in found]
    return [*found, Part("outside the nodes", None, {}, rest)] if any(rest.values()) else found


def shares(found: Iterable[Part]) -> list[Share]:
    """The measured LUTs of each layer, largest bars in the order of the layers."""
    sums: dict[str, int] = {}
    for part in found:
        layer = part.layer or BETWEEN
        sums[layer] = sums.get(layer, 0) + (part.measured.get("lut") or 0)
    together = sums.pop(BETWEEN, 0)
    if together:
        sums[BETWEEN] = together
    total, start, made = sum(sums.values()), 0.0, []
    for layer, lut in sums.items():
        if lut:
            width = 100 * lut / total
            made.append(Share(layer, lut, round(start, 2), round(width, 2)))
            start += width
    return made


def uses(report: Report) -> list[Use]:
    """The last measurement, else nothing, against the board."""
    found = (report.get("fits") or {}).get("use") or {}
    return [
        Use(label, found[name]["used"], found[name]["available"], found[name]["percent"])
        for name, label in resource_names(report.get("board") or {}).items()
        if name in found
    ]


def largest(found: Iterable[Part], resource: str) -> float:
    """The largest number of `resource`, to which bars are drawn; 0 if there is none."""
    return max((side.get(resource) or 0 for part in found for side in (part.predicted, part.measured)), default=0)


def deviation(part: Part, resource: str) -> str:
    """How far the measured number lies from the predicted one."""
    return show.difference(part.predicted.get(resource), part.measured.get(resource))


def _predicted(report: Report, circuit: str | None) -> dict[str, Any]:
    for one in report["predictions"]:
        if one["what"] == "resources" and circuit in (None, one["circuit"]):
            return dict(one.get("parts") or {})
    return {}


def _layers(report: Report) -> dict[str, str]:
    """The layer of each node that belongs to one."""
    designs = (report.get("design"), (report.get("stand_in") or {}).get("design"))
    nodes = [node for design in designs if design for node in design.get("nodes") or []]
    return {node["name"]: node["layer"] for node in nodes if node.get("layer")}


def _top(report: Report, circuit: str | None) -> str | None:
    """The top module of `circuit`, in which all nodes are; as a node it is what is outside of all others."""
    own = circuit in (None, report["backend"])
    design = report.get("design") if own else (report.get("stand_in") or {}).get("design")
    return (design or {}).get("top")


def _sum(cells: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sum by resource; one that is not known for some part is not known for the sum."""
    listed = list(cells)
    found = {}
    for name in RESOURCE_NAMES:
        counts = [one.get(name) for one in listed]
        found[name] = None if not counts or None in counts else sum(count for count in counts if count is not None)
    return found


def _rest(measurement: Report | None) -> dict[str, Any]:
    """What the total has more than all parts."""
    if not measurement or not measurement.get("parts"):
        return {}
    inside = _sum(measurement["parts"].values())
    rest = {}
    for name in RESOURCE_NAMES:
        total = measurement["total"].get(name)
        rest[name] = None if total is None or inside[name] is None else total - inside[name]
    return rest
