# SPDX-License-Identifier: Apache-2.0
"""Latency of one frame alone in the design: when each of its beats passes each node, read off their RTL.

Times are cycles of a handshake. A queue that is written in cycle t shows the beat in t + 2: one edge into the
memory, one into the output register.
"""

from __future__ import annotations

from qap2fpga.backends.finn.folding import Folding, fifo_depth
from qap2fpga.backends.finn.output_stage import OutputStage
from qap2fpga.backends.finn.plan import Plan

QUEUE = 2


def latency(plan: Plan, folding: Folding, output_stage: OutputStage, *, deep_pipeline: bool) -> int:
    """Cycles from the one the first input beat is taken in to the one the last output beat is given in, both counted.

    With an empty pipeline before, and an output that is always taken.
    """
    first = plan.layers[0]
    times = list(range(first.mw // folding.layers[0][0]))
    for index, (layer, (simd, pe)) in enumerate(zip(plan.layers, folding.layers, strict=True)):
        if index:
            bits = layer.input_bits
            times = _converter(times, folding.layers[index - 1][1] * bits, simd * bits)
            if fifo_depth(layer.mw, simd):
                times = _queue(times, QUEUE)
        times = _mvau(times, layer.mw // simd, layer.mh // pe, simd)
        if layer.thresholds is not None:
            # thresholding.sv: a stage per bit, two with the deep pipeline, then a queue
            times = _queue(times, layer.activation_bits * (1 + deep_pipeline) + QUEUE)
    for module in output_stage.modules:
        times = times[-1:] if module.kind == "qap_class" else times
        times = _queue(times, module.latency)
    return times[-1] + 1


def _queue(times: list[int], delay: int) -> list[int]:
    """Beats through a pipeline or queue that takes one per cycle."""
    return [time + delay for time in times]


def _mvau(times: list[int], fold: int, repeat: int, simd: int) -> list[int]:
    """mvu_vvu_axi.sv: a frame of `fold` beats replayed `repeat` times, one output beat each time."""
    depth = 4 + (simd - 1).bit_length() + (simd == 1)  # PIPELINE_DEPTH of mvu.sv
    arrive = [time + QUEUE for time in times] if repeat > 1 else times
    results, now = [], -1
    for _ in range(repeat):
        for beat in range(fold):
            now = max(now + 1, arrive[beat])
        results.append(now + depth + QUEUE)
    return results


def _converter(times: list[int], in_bits: int, out_bits: int) -> list[int]:
    """vpc.sv: a beat leaves the cycle after its last bit came in; a new one is taken when there is room."""
    if in_bits == out_bits:
        return times
    results: list[int] = []
    waiting_bits, now, total = 0, -1, len(times) * in_bits
    waiting = list(times)
    while len(results) * out_bits < total:
        now += 1
        room = waiting_bits <= out_bits or (in_bits < out_bits and waiting_bits < out_bits)
        gives = waiting_bits >= out_bits
        takes = bool(waiting) and waiting[0] <= now and room
        if gives:
            results.append(now)
        waiting_bits += takes * in_bits - gives * out_bits
        if takes:
            waiting.pop(0)
    return results
