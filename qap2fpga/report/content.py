# SPDX-License-Identifier: Apache-2.0
"""What `report.json` holds; `docs/formats.md` documents it. The same build gives the same bytes."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.board import Board
from qap2fpga.design import Design, Stream
from qap2fpga.errors import QapError
from qap2fpga.files import write_atomically
from qap2fpga.network import IntegerNetwork
from qap2fpga.report import check
from qap2fpga.simulate import reference, template
from qap2fpga.simulate.vectors import pack

SCHEMA = 1


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an `.npz` in one step."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def dump(report: dict[str, Any]) -> str:
    """The report as text."""
    return json.dumps(report, indent=2) + "\n"


def load(folder: Path) -> dict[str, Any]:
    """The report of the build in `folder`. Raises `QapError` when there is none that this program can read."""
    path = folder / "report.json" if folder.is_dir() else folder
    try:
        report = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise QapError(f"no report in {folder}", "give a build folder, as qap2fpga build leaves it") from error
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise QapError(f"{path} is not a report of this version", "build again")
    return report


def collect(
    source: str,
    digest: str,
    stage: dict[str, Any],
    board: Board,
    backend: str,
    made: dict[str, Any] | None,
    simulated: list[dict[str, Any]] | None,
    synthesized: dict[str, Any] | None,
    netlist: dict[str, Any] | None,
    versions: dict[str, Any],
    *,
    allow_oversize: bool,
) -> dict[str, Any]:
    """The report of what the stages stored; a stage that did not run leaves its part out or None."""
    facts = stage["facts"]
    simulations = [*stage["simulations"], *(simulated or []), *([netlist] if netlist else [])]
    measurements, predictions = [], []
    if made is not None:
        design = made["design"]
        estimate = design["details"].get("estimate")
        predictions.append(
            {
                "what": "cycles",
                "interval_cycles": design["interval_cycles"],
                "latency_cycles": design["latency_cycles"],
                "tool": "qap2fpga",
                "stage": "estimate",
            }
        )
        if estimate:
            parts = {
                node["name"]: node["estimate"] for node in design["details"].get("nodes", []) if "estimate" in node
            }
            predictions.append(
                {
                    "what": "resources",
                    "tool": "qap2fpga",
                    "version": versions["qap2fpga"],
                    "stage": "estimate",
                    "total": estimate,
                    "parts": parts,
                }
            )
    if synthesized is not None:
        measurements.append(synthesized["measurement"])
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "model": {"file": source, "sha256": digest, **{key: value for key, value in facts.items() if key != "file"}},
        "board": asdict(board),
        "backend": backend,
        "design": made and _design(made),
        "interface": made and made["interface"],
        "simulations": simulations,
        "measurements": measurements,
        "predictions": predictions,
        "timing": made and _timing(made, simulated, board),
    }
    report["fits"] = check.fits(report)
    report["checks"] = [asdict(one) for one in check.all_checks(report, allow_oversize=allow_oversize)]
    report["versions"] = versions
    return report


def _design(made: dict[str, Any]) -> dict[str, Any]:
    design = made["design"]
    kept = ("top", "folder", "sources", "data", "interval_cycles", "latency_cycles")
    return {
        **{key: design[key] for key in kept},
        "output_kind": made["output_kind"],
        "accuracy": made["accuracy"],
        **design["details"],
    }


def _timing(made: dict[str, Any], simulated: list[dict[str, Any]] | None, board: Board) -> dict[str, Any]:
    """Cycles predicted and measured, and what they are in time at the board's clock (no tool has met it yet)."""
    found: dict[str, Any] = {}
    for key in ("latency_cycles", "interval_cycles"):
        values = [one[key] for one in simulated or [] if one.get(key) is not None]
        found[key] = {"predicted": made["design"][key], "measured": values[0] if values else None}
    latency, interval = (
        found[key]["measured"] or found[key]["predicted"] for key in ("latency_cycles", "interval_cycles")
    )
    asked = made["design"]["details"].get("clock_ns")
    clock = asked or board.clock_ns
    return {
        **found,
        "clock_ns": clock,
        "latency_ns": None if latency is None else latency * clock,
        "frames_per_second": None if not interval else 1e9 / (interval * clock),
        "clock_note": ("the clock asked for" if clock != board.clock_ns else "the board file's clock")
        + ", which no place-and-route has confirmed",
    }


def interface(design: Design, network: IntegerNetwork, kind: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Ports, formats, templates and one worked vector of a design, for whoever puts it into other firmware."""
    vectors = arrays["recorded"] if len(arrays["recorded"]) else arrays["random"]
    vector = vectors[:1]
    output = reference.outputs(network, kind, vector)
    real = arrays.get("first_input")
    scale = float(network.output_scale) if kind == "logits" else 1.0
    return {
        "clock": "ap_clk, rising edge",
        "reset": "ap_rst_n, synchronous, active low",
        "handshake": "AXI4-Stream: a beat moves at a clock edge where TVALID and TREADY are high",
        "input": {
            **_stream(design.input),
            "quantizer": {
                "scale": list(network.input.scale),
                "offset": list(network.input.offset),
                "zero_point": network.input.zero_point,
                "rounding": network.input.rounding,
                "low": network.input.low,
                "high": network.input.high,
            },
        },
        "output": {
            **_stream(design.output),
            "kind": kind,
            "scale": str(network.output_scale if kind == "logits" else Fraction(1)),
        },
        "verilog": template.verilog(design),
        "vhdl": template.vhdl(design),
        "example": {
            "real": None if real is None else [float(value) for value in real],
            "integers": vector[0].tolist(),
            "input_bytes": _bytes(vector, design.input),
            "output_bytes": _bytes(output, design.output),
            "output_integers": output[0].tolist(),
            "output_values": [value * scale for value in output[0].tolist()],
        },
    }


def _stream(stream: Stream) -> dict[str, Any]:
    return {**asdict(stream), "beats": stream.beats, "beat_bits": stream.beat_bits, "layout": template.describe(stream)}


def _bytes(values: np.ndarray, stream: Stream) -> list[str]:
    """One hex string a beat, as the number on TDATA (highest byte first)."""
    beats = pack(values, stream)
    digits = stream.beat_bits // 4
    return [f"{sum(int(word) << 32 * place for place, word in enumerate(beat)):0{digits}x}" for beat in beats]
