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

from qap2fpga.lower.bops import equation
from qap2fpga.predict.features import Hls4mlLayer
from qap2fpga.report.imported.checks import ratios
from qap2fpga.report.imported.designs import group
from qap2fpga.report.imported.folder import read_folder

RESOURCES = {"lut": "LUT_hls", "ff": "FF_hls", "dsp": "DSP_hls", "bram18": "BRAM_18K_hls"}
CYCLES = {"latency_cycles": "WorstLatency_hls", "interval_cycles": "IntervalMax_hls"}
# The tables do not state it; where a layer has no latency, C synthesis registers 16 bits of every input.
INPUT_BITS = 16


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


def observed(of: str, to: str, kind: str, found: Sequence[float], independent: int, note: str = "") -> dict[str, Any]:
    """A ratio that is told and not predicted with."""
    entry: dict[str, Any] = {"of": of, "to": to, "kind": kind, "n": len(found), "independent_designs": independent}
    if found:
        entry |= {"least": float(f"{min(found):.4g}"), "median": float(f"{np.median(found):.4g}"),
                  "most": float(f"{max(found):.4g}")}  # fmt: skip
    return entry | ({"note": note} if note else {})


def observed_runs(runs: Sequence[Run], strategy: str, shared: bool) -> dict[str, Any]:
    """LUT and FF of C synthesis per bit operation of the layer taken as dense."""
    what = f"single dense layers, strategy {strategy}, reuse factor {'above 1' if shared else '1'}"
    found = {name: [one.measured[name] / paper_bops(one.layer) for one in runs] for name in ("lut", "ff")}
    own = observed("C synthesis LUT", "BOPs (equation 1, nothing pruned)", what, found["lut"],
                   len({one.design for one in runs}))  # fmt: skip
    latency = [one.measured["latency_cycles"] for one in runs]
    return own | {"ff_per_bop_median": float(f"{np.median(found['ff']):.4g}"),
                  "latency_cycles": [int(min(latency)), int(max(latency))]}  # fmt: skip


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
    """LUTs of one stage by those of the next one of the same design, from reports, and FINN's own table."""
    pairs: dict[tuple[str, str], list[float]] = {}
    for design in group(read_folder(place / "reports").reports):
        for row in ratios(design):
            if row["lut"] is not None and "estimate" not in (row["of"], row["to"]):
                pairs.setdefault((str(row["of"]), str(row["to"])), []).append(float(str(row["lut"])))
    found = [observed(f"{of} LUT", f"{to} LUT", "designs with reports of both stages", values, len(values))
             for (of, to), values in sorted(pairs.items())]  # fmt: skip
    with (place / "tables" / "finn_estimate_vs_actual.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    whole = [float(row["est_LUT"]) / float(row["post_LUT"]) for row in rows if row["post_LUT"]]
    nodes = [float(row["est_MVAU_LUT"]) / float(row["post_MVAU_LUT"])
             for row in rows if float(row["post_MVAU_LUT"] or 0) > 0]  # fmt: skip
    networks = len({row["ops"] for row in rows if row["post_LUT"]})
    note = "foldings of one network; the routed design has the shell around it"
    return [
        *found,
        observed("FINN estimated LUT", "routed LUT", "FINN designs", whole, networks, note),
        observed("FINN estimated LUT of MVAUs", "routed LUT of MVAUs", "FINN designs", nodes, networks),
    ]
