# SPDX-License-Identifier: Apache-2.0
"""Our own top level: FINN's nodes in a row, each MVAU with its read-only weights, then the output stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from qap2fpga.backends.finn.estimate import WEIGHT_BLOCK_RAM_DEPTH
from qap2fpga.backends.finn.output_stage import OutputStage
from qap2fpga.backends.finn.sources import Sources
from qap2fpga.backends.finn.steps import FIFO, MVAU, THRESHOLDING
from qap2fpga.backends.finn.verilog import CONFIGURATION, TOP, Wire, module_instance, top, weights_memory, whole_bytes
from qap2fpga.hw.design import Probe
from qap2fpga.ir.units import Unit


def stitch(model: ModelWrapper, output_stage: OutputStage, folder: Path) -> Sources:
    """Copy all sources of the generated `model` into `folder` and write the top level `finn_design` for them."""
    sources = Sources(folder)
    nodes = list(model.graph.node)
    for node in nodes:
        sources.add_library(node.op_type)
    sources.add_own("qap_weights.sv")
    for module in output_stage.modules:
        sources.add_own(f"{module.kind}.sv")

    declarations: list[str] = []
    body: list[str] = []
    last = len(nodes) - 1
    first = getCustomOp(nodes[0])
    source = Wire("in0", whole_bytes(first.get_instream_width(0)))
    begin = source
    for index, node in enumerate(nodes):
        instance = getCustomOp(node)
        generated = Path(instance.get_nodeattr("code_gen_dir_ipgen"))
        sources.add_generated(node.name, generated)
        end = index == last and not output_stage.modules
        target = Wire("out0" if end else f"s{index}", whole_bytes(instance.get_outstream_width(0)))
        if not end:
            declarations.append(target.declare())
        extra = ""
        if node.op_type == MVAU:
            weights = Wire(f"w{index}", whole_bytes(instance.get_instream_width(1)))
            declarations.append(weights.declare())
            body.append(_weights(node.name, weights, generated))
            extra = f", .ap_clk2x(ap_clk), {weights.connect('in1')}"
        elif node.op_type == THRESHOLDING:
            extra = f",\n    {CONFIGURATION}"
        elif node.op_type == FIFO:
            extra = ", .count(), .maxcount()"
        body.append(module_instance(node.name, "", f"u_{node.name}", source, target, extra))
        source = target
    for index, module in enumerate(output_stage.modules):
        end = index == len(output_stage.modules) - 1
        target = Wire("out0" if end else f"t{index}", whole_bytes(module.out_lanes * module.out_bits))
        if not end:
            declarations.append(target.declare())
        body.append(module_instance(module.kind, module.parameters, f"u_{module.kind}", source, target, ""))
        source = target
    sources.add(f"{TOP}.v", top(begin, source, declarations, body))
    return sources


def probes(model: ModelWrapper, layers: Sequence[Unit]) -> tuple[Probe, ...]:
    """What leaves each MVAU, accumulators, and each Thresholding node, counts."""
    results = {f"{MVAU}_{index}": layer.name for index, layer in enumerate(layers)}
    results |= {f"{THRESHOLDING}_{index}": layer.requantizer.name for index, layer in enumerate(layers)}
    taps: list[Probe] = []
    for node in model.graph.node:
        if node.name not in results:
            continue
        instance = getCustomOp(node)
        kind = instance.get_output_datatype()
        _, beats, pe = instance.get_folded_output_shape()
        port = f"u_{node.name}.out0_V_T"
        lanes = ((kind.bitwidth(), kind.signed()),) * pe
        taps.append(Probe(results[node.name], f"{port}DATA", lanes, beats, f"{port}VALID", f"{port}READY"))
    return tuple(taps)


def _weights(node: str, wire: Wire, folder: Path) -> str:
    depth = len((folder / "memblock.dat").read_text().split())
    return weights_memory(node, wire, depth, block_ram=depth >= WEIGHT_BLOCK_RAM_DEPTH)
