# SPDX-License-Identifier: Apache-2.0
"""What someone needs who puts a design into other firmware: ports, formats, templates and one worked vector."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction

import numpy as np

from qap2fpga.hw import template
from qap2fpga.hw.beats import pack
from qap2fpga.hw.design import Artifact, Design, Stream
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import IN_SCALE
from qap2fpga.report.schema.hardware import Interface
from qap2fpga.system.codec import decode

# Values of a frame's input and output. A megapixel image would make a report that is too large to be read.
MOST_SHOWN = 1 << 16


def describe(artifact: Artifact, network: Graph, kind: str, arrays: dict[str, np.ndarray]) -> Interface:
    """Return the interface of `artifact`, whose output is of `kind`, with the first of the build's vectors as an
    example, unless frames are too long to be read as one."""
    scale = network.output_scale if kind in IN_SCALE else Fraction(1)
    circuit = artifact.circuit
    into, out = (_array(port) if circuit is None else _stream(port) for port in (artifact.input, artifact.output))
    tree = {
        **(_function(artifact) if circuit is None else _streams(circuit)),
        "input": {**into, "quantizer": _quantizer(network)},
        "output": {**out, "kind": kind, "scale": str(scale)},
    }
    if artifact.input.elements + artifact.output.elements <= MOST_SHOWN:
        tree["example"] = _example(artifact, network, kind, arrays, scale)
    interface: Interface = decode(Interface, tree, "interface", artifact.top)
    return interface


def _example(
    artifact: Artifact, network: Graph, kind: str, arrays: dict[str, np.ndarray], scale: Fraction
) -> dict[str, object]:
    vector = (arrays["recorded"] if len(arrays["recorded"]) else arrays["random"])[:1]
    output = reference.outputs(network, kind, vector)
    real = arrays.get("first_input")
    example: dict[str, object] = {
        "real": None if real is None else [float(value) for value in real],
        "integers": vector[0].tolist(),
        "output_integers": output[0].tolist(),
        "output_values": [value * float(scale) for value in output[0].tolist()],
    }
    if artifact.circuit is not None:
        example |= {"input_bytes": _bytes(vector, artifact.input), "output_bytes": _bytes(output, artifact.output)}
    return example


def _quantizer(network: Graph) -> dict[str, object]:
    """How a real input becomes the integer that the design takes."""
    return {
        "scale": list(network.input.scale),
        "offset": list(network.input.offset),
        "zero_point": network.input.zero_point,
        "rounding": network.input.rounding,
        "low": network.input.low,
        "high": network.input.high,
        **({"ends": [list(one) for one in network.input.ends]} if network.input.ends else {}),
    }


def _streams(design: Design) -> dict[str, object]:
    return {
        "clock": "ap_clk, rising edge",
        "reset": "ap_rst_n, synchronous, active low",
        "handshake": "AXI4-Stream: a beat moves at a clock edge where TVALID and TREADY are high",
        "input": None,
        "output": None,
        "verilog": template.verilog(design),
        "vhdl": template.vhdl(design),
    }


def _function(project: Artifact) -> dict[str, object]:
    handed = "one vector at a time" if project.wrappable else "streams of packets, one position each, channels in order"
    return {
        "function": project.top,
        "header": f"firmware/{project.top}.h",
        "ports": f"chosen by the HLS tool, after the pragmas in the source: {handed}",
    }


def _array(port: Stream) -> dict[str, object]:
    """An argument of a function: how many integers of which width; how they are handed over is the HLS tool's."""
    return {"name": port.name, "elements": port.elements, "bits": port.bits, "signed": port.signed}


def _stream(stream: Stream) -> dict[str, object]:
    return {**asdict(stream), "beats": stream.beats, "beat_bits": stream.beat_bits, "layout": template.describe(stream)}


def _bytes(values: np.ndarray, stream: Stream) -> list[str]:
    """One hex string per beat, as the number on TDATA (highest byte first)."""
    beats = pack(values, stream)
    digits = stream.beat_bits // 4
    return [f"{sum(int(word) << 32 * place for place, word in enumerate(beat)):0{digits}x}" for beat in beats]
