# SPDX-License-Identifier: Apache-2.0
"""Published results of vendors' tools as `fit_vendor.py` needs them, and the ratios that they show.

Tables: C synthesis of single hls4ml dense layers and of whole projects, and FINN's estimates beside Vivado's numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.estimate.features import Hls4mlLayer
from qap2fpga.ir.bops import equation
from qap2fpga.report.imported.checks import ratios
from qap2fpga.reports.designs import ImportedDesign, group
from qap2fpga.reports.folder import read_folder

RESOURCES = {"lut": "LUT_hls", "ff": "FF_hls", "dsp": "DSP_hls", "bram18": "BRAM_18K_hls"}
CYCLES = {"latency_cycles": "WorstLatency_hls", "interval_cycles": "IntervalMax_hls"}
# The tables do not state it; where a layer has no latency, C synthesis registers 16 bits of every input.
INPUT_BITS = 16
STAGES = {"hls": "C synthesis", "synthesis": "Vivado synthesis", "routed": "Vivado routed"}
# Of the tables' device: 1,728,000 LUTs are an XCU250, UltraScale+.
FAMILY = "xcup"
# A jet tagger of hls4ml's tutorial, whose notebooks (parts 1 and 4 of Hector-Plata/hls4ml-tutorial) state the layers,
# the bits of the weights and how much was pruned; by the project's folder.
TAGGER = ((16, 64), (64, 32), (32, 32), (32, 5))
TAGGERS = {"model_1/hls4ml_prj": (16, 0.0), "model_3/hls4ml_prj": (6, 0.75)}


@dataclass(frozen=True)
class Run:
    """One C synthesis of one layer."""

    layer: Hls4mlLayer
    measured: dict[str, float]

    @property
    def design(self) -> tuple[int, int, int]:
        """What makes a design: other reuse factors and strategies of the same weights are not independent of it."""
        return self.layer.inputs, self.layer.outputs, self.layer.weight_bits

    @property
    def shape(self) -> tuple[int, int]:
        """Runs of one shape, or of the transposed one, are left out together."""
        first, second = sorted((self.layer.inputs, self.layer.outputs))
        return first, second


def read_tables(folder: Path) -> tuple[list[Run], int]:
    """The runs that ended, without repetitions, and how many failed."""
    runs: dict[tuple[object, ...], Run] = {}
    failed = 0
    for name in ("latency", "resource"):
        with (folder / f"wa_hls4ml_dense_{name}.csv").open() as stream:
            for row in csv.DictReader(stream):
                if row["hls_synth_success"] != "True":
                    failed += 1
                    continue
                sizes = (int(row[key]) for key in ("d_in", "d_out", "prec", "rf"))
                layer = Hls4mlLayer(*sizes, row["strategy"])
                measured = {key: float(row[column]) for key, column in {**RESOURCES, **CYCLES}.items()}
                runs.setdefault((layer, *measured.values()), Run(layer, measured))
    return list(runs.values()), failed


def observed(of: str, to: str, kind: str, values: Sequence[float], independent: int, note: str = "") -> dict[str, Any]:
    """A ratio, or a number where `to` is empty, that is told and not predicted with."""
    entry: dict[str, Any] = {"of": of, "to": to, "kind": kind, "n": len(values), "independent_designs": independent}
    if values:
        entry |= {"least": float(f"{min(values):.4g}"), "median": float(f"{np.median(values):.4g}"),
                  "most": float(f"{max(values):.4g}")}  # fmt: skip
    return entry | ({"note": note} if note else {})


def observed_runs(runs: Sequence[Run], strategy: str, shared: bool) -> list[dict[str, Any]]:
    """LUT and FF of C synthesis per bit operation of the layer taken as dense, and its cycles."""
    what = f"single dense layers, strategy {strategy}, reuse factor {'above 1' if shared else '1'}"
    designs = len({one.design for one in runs})
    rows = []
    for name in ("lut", "ff"):
        values = [one.measured[name] / paper_bops(one.layer) for one in runs]
        rows.append(observed(f"C synthesis {name.upper()}", "BOPs (equation 1, nothing pruned)", what, values, designs))
    for name in CYCLES:
        values = [one.measured[name] for one in runs]
        rows.append(observed(f"C synthesis {name.replace('_', ' ')}", "", what, values, designs))
    return [{**row, "strategy": strategy, "shared": shared} for row in rows]


def paper_bops(layer: Hls4mlLayer) -> float:
    return equation(layer.inputs, layer.outputs, 1.0, INPUT_BITS, layer.weight_bits)


def observed_projects(folder: Path) -> list[dict[str, Any]]:
    """Whole hls4ml projects: the table states no layers, so there is nothing to predict from."""
    with (folder / "hls_projects_csynth.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    distinct = {(row["part"], row["lut"], row["ff"], row["dsp"], row["bram"], row["lat_worst"]) for row in rows}
    note = "layers, weights and reuse factors are not in the table" + (
        f"; {len(rows) - len(distinct)} rows repeat the numbers of another" if len(rows) > len(distinct) else ""
    )
    return [observed("C synthesis LUT", "FF of the same report", "whole projects",
                     [float(row["lut"]) / float(row["ff"]) for row in rows], len(distinct), note)]  # fmt: skip


def observed_pairs(place: Path) -> list[dict[str, Any]]:
    """Cells of one stage by those of the next one of the same design, from reports, and FINN's own table."""
    pairs: dict[tuple[str, str, str], list[float]] = {}
    for design in group(read_folder(place / "reports").reports):
        for row in ratios(design):
            for name in RESOURCES:
                if row[name] is not None and "estimate" not in (row["of"], row["to"]):
                    pairs.setdefault((str(row["of"]), str(row["to"]), name), []).append(float(str(row[name])))
    observations = [observed(f"{STAGES[of]} {name.upper()}", f"{STAGES[to]} {name.upper()}",
                             "designs with reports of both stages", values, len(values)) | {"stages": True}
                    for (of, to, name), values in sorted(pairs.items())]  # fmt: skip
    with (place / "tables" / "finn_estimate_vs_actual.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    whole = [float(row["est_LUT"]) / float(row["post_LUT"]) for row in rows if row["post_LUT"]]
    nodes = [float(row["est_MVAU_LUT"]) / float(row["post_MVAU_LUT"])
             for row in rows if float(row["post_MVAU_LUT"] or 0) > 0]  # fmt: skip
    networks = len({row["ops"] for row in rows if row["post_LUT"]})
    note = "foldings of one network; the routed design has the shell around it"
    finn = [
        observed("FINN estimated LUT", "routed LUT", "FINN designs", whole, networks, note),
        observed("FINN estimated LUT of MVAUs", "routed LUT of MVAUs", "FINN designs", nodes, networks),
    ]
    return [*observations, *({**one, "flow": "finn"} for one in finn)]


@dataclass(frozen=True)
class Project:
    """C synthesis of a whole hls4ml network with all layers side by side: cells in all but the softmax, which our
    projects have not, and those of its dense layers."""

    folder: str
    network: str
    total: dict[str, int]
    dense: dict[str, int]


def projects(place: Path) -> list[Project]:
    """Every whole network in the reports whose dense layers, of strategy 'latency', are functions of their own.

    Streaming ones are left out: between their layers are FIFOs, which our projects have not.
    """
    by_name: dict[str, Project] = {}
    for design in group(read_folder(place / "reports").reports):
        for one in design.reports:
            total, parts = one.parsed.resources, one.parsed.parts
            dense, softmax = ([cells for name, cells in parts.items() if kind in name]
                              for kind in ("dense_latency", "softmax"))  # fmt: skip
            if total is not None and len(dense) > 1:
                sums = {name: sum(getattr(cells, name) for cells in dense) for name in RESOURCES}
                whole = {name: getattr(total, name) - sum(getattr(cells, name) for cells in softmax)
                         for name in RESOURCES}  # fmt: skip
                by_name.setdefault(str(design.root), Project(str(design.root), network_of(design), whole, sums))
    return list(by_name.values())


def network_of(design: ImportedDesign) -> str:
    """What is the same for builds of one network with other options: the folder that holds their projects."""
    return str(design.root.parent)


def observed_networks(projects: Sequence[Project]) -> list[dict[str, Any]]:
    """Cells of a whole network by those of its dense layers: what activations, registers and control add."""
    rows = []
    for name in RESOURCES:
        used = [one for one in projects if one.dense[name]]
        if used:
            row = observed(f"C synthesis {name.upper()} of a network", f"{name.upper()} of its dense layers",
                           "whole networks, strategy latency, softmax left out",
                           [one.total[name] / one.dense[name] for one in used],
                           len({one.network for one in used}))  # fmt: skip
            rows.append({**row, "network": name})
    return rows


def tagger_layers(weight_bits: int) -> list[Hls4mlLayer]:
    return [Hls4mlLayer(inputs, outputs, weight_bits, 1, "latency") for inputs, outputs in TAGGER]
