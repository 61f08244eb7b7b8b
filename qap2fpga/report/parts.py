# SPDX-License-Identifier: Apache-2.0
"""Where the cells of a circuit are: its nodes predicted and measured, its layers' shares, and its use of the board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from qap2fpga.hw.design import is_of
from qap2fpga.hw.resources import LABELS, Counts
from qap2fpga.report import show
from qap2fpga.report.routed import resource_names
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.hardware import Design
from qap2fpga.report.schema.results import Measurement, ResourcePrediction

Cells = Mapping[str, float | None]

BETWEEN = "between the layers"
# A node's instance in the top level, by which synthesis reports it.
INSTANCE = "u_"


@dataclass(frozen=True)
class Part:
    """One node: cells by resource, predicted and measured; a missing entry or None is not known."""

    name: str
    layer: str | None
    predicted: Cells
    measured: Counts

    def width(self, kind: str, resource: str, largest: float) -> float:
        """Return the length of a bar for the 'predicted' or 'measured' number, of 100."""
        value = (self.predicted if kind == "predicted" else self.measured).get(resource)
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
    circuit: str | None
    predicted: bool
    total: Cells
    intervals: Mapping[str, str] = field(default_factory=dict)


def columns(report: Report) -> list[Column]:
    """Return all predictions of resources, then all measurements in the order they were made."""
    predicted = [Column("predicted", one.stage, one.circuit, True, one.total, _ends(one)) for one in report.resources]
    measured = [
        Column(f"{one.tool} {one.version}", one.stage, one.circuit, False, one.total) for one in report.measurements
    ]
    return predicted + measured


def _ends(prediction: ResourcePrediction) -> dict[str, str]:
    intervals = prediction.intervals if prediction.calibrated else {}
    return {name: show.ends(one.low, one.high) for name, one in intervals.items() if one.low < one.high}


def parts(report: Report) -> list[Part]:
    """Return every node of a measurement compared with its prediction, and what lies outside of all nodes.

    It is the last measurement that says anything of parts: a router sees one flat netlist.
    """
    apart = [one for one in report.measurements if one.parts]
    measurement = apart[-1] if apart else report.latest
    measured = dict((measurement.parts if measurement else None) or {})
    circuit = measurement.circuit if measurement else None
    predicted, layers = _predicted(report, circuit), _layers(report)
    nodes = []
    for name, cells in predicted.items():
        mine = [measured.pop(key) for key in list(measured) if is_of(key, name)]
        nodes.append(Part(name, layers.get(name), cells, _sum(mine)))
    nodes += [Part(name.removeprefix(INSTANCE), None, {}, cells) for name, cells in measured.items()]
    rest, top = _rest(measurement), _top(report, circuit)
    if top in predicted:
        return [replace(part, measured=rest) if part.name == top else part for part in nodes]
    return [*nodes, Part("outside the nodes", None, {}, rest)] if any(rest.values()) else nodes


def shares(parts: Iterable[Part]) -> list[Share]:
    """The measured LUTs of each layer, largest bars in the order of the layers."""
    sums: dict[str, int] = {}
    for part in parts:
        layer = part.layer or BETWEEN
        sums[layer] = sums.get(layer, 0) + (part.measured.get("lut") or 0)
    together = sums.pop(BETWEEN, 0)
    if together:
        sums[BETWEEN] = together
    total, start, shares = sum(sums.values()), 0.0, []
    for layer, lut in sums.items():
        if lut:
            width = 100 * lut / total
            shares.append(Share(layer, lut, round(start, 2), round(width, 2)))
            start += width
    return shares


def uses(report: Report) -> list[Use]:
    """Return the last measurement compared with the board, nothing without one."""
    use = report.fits.use if report.fits else {}
    return [
        Use(label, use[name].used, use[name].available, use[name].percent)
        for name, label in resource_names(report.board).items()
        if name in use
    ]


def largest(nodes: Iterable[Part], resource: str) -> float:
    """Return the largest number of `resource`, to which bars are drawn; 0 if there is none."""
    return max((side.get(resource) or 0 for part in nodes for side in (part.predicted, part.measured)), default=0)


def deviation(part: Part, resource: str) -> str:
    """Return how far the measured number lies from the predicted one."""
    return show.difference(part.predicted.get(resource), part.measured.get(resource))


def _predicted(report: Report, circuit: str | None) -> Mapping[str, Cells]:
    return next((one.parts for one in report.resources if circuit in (None, one.circuit)), {})


def design_of(report: Report) -> Design | None:
    """Return the design whose parts are simulated and measured."""
    return _stand_in(report) or report.design


def _stand_in(report: Report) -> Design | None:
    """The design that stands in for the backend's own."""
    return report.stand_in.design if report.stand_in else None


def _layers(report: Report) -> dict[str, str]:
    """The layer of each node that belongs to one."""
    nodes = [node for design in (report.design, _stand_in(report)) if design for node in design.nodes]
    return {node.name: node.layer for node in nodes if node.layer}


def _top(report: Report, circuit: str | None) -> str | None:
    """The top module of `circuit`, in which all nodes are; as a node it is what is outside of all others."""
    design = report.design if circuit in (None, report.backend) else _stand_in(report)
    return design.top if design else None


def _sum(cells: Iterable[Counts]) -> dict[str, int | None]:
    """The sum by resource; one that is not known for some part is not known for the sum."""
    listed, sums = list(cells), dict[str, int | None]()
    for name in LABELS:
        counts = [one.get(name) for one in listed]
        sums[name] = None if not counts or None in counts else sum(count for count in counts if count is not None)
    return sums


def _rest(measurement: Measurement | None) -> dict[str, int | None]:
    """What the total has more than all parts."""
    if not measurement or not measurement.parts:
        return {}
    inside, rest = _sum(measurement.parts.values()), dict[str, int | None]()
    for name in LABELS:
        total, sum_of_parts = measurement.total.get(name), inside[name]
        rest[name] = None if total is None or sum_of_parts is None else total - sum_of_parts
    return rest
