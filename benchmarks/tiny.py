# SPDX-License-Identifier: Apache-2.0
"""What networks of the shapes of MLPerf Tiny take on hardware: predicted for all, measured where that is asked for.

    python benchmarks/tiny.py results.jsonl [--networks kws-mlp,resnet8,...] [--backends rtl,finn] [--board zcu104]
        [--bits 4] [--zeros 75] [--measure] [--page PAGE.md]

Shapes are those of the MLPerf Tiny models and of the networks that were submitted with FINN and hls4ml; weights are
drawn, pruned by magnitude and quantized, so hardware is what a trained network of these bits and zeros takes, and
accuracy is not spoken of. With `--measure`, designs that fit are generated, simulated on a few frames and mapped by
Yosys. Lines that are in the results are not made again. `--page` writes the table as a page.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.api import Backend, Options
from qap2fpga.estimate.images import Drawing, Numbers
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir import outputs
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.synth import yosys
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import append_json, read_json_lines, write_atomically
from qap2fpga.verify import rtl

SEED = 2021
FRAMES = 3


def _dense(drawing: Drawing, widths: tuple[int, ...]) -> Graph:
    last = INPUT
    for width in widths[:-1]:
        last = drawing.step(drawing.linear(last, width))
    return drawing.classified(last, widths[-1])


def keyword_mlp(random: np.random.Generator, numbers: Numbers) -> Graph:
    """Keyword spotting as FINN's submission does it: 490-256-256-256-12."""
    return _dense(Drawing(random, Shape(490), numbers), (256, 256, 256, 12))


def autoencoder(random: np.random.Generator, numbers: Numbers) -> Graph:
    """Anomaly detection: 640-128-128-128-128-8-128-128-128-128-640."""
    return _dense(Drawing(random, Shape(640), numbers), (128,) * 4 + (8,) + (128,) * 4 + (640,))


def keyword_separable(random: np.random.Generator, numbers: Numbers) -> Graph:
    """Keyword spotting with depthwise separable convolutions over 49x10, 64 channels, four blocks."""
    drawing = Drawing(random, Shape(1, 49, 10), numbers)
    first = Geometry((10, 4), (2, 2), pads=(4, 1, 5, 1))
    last = drawing.step(drawing.linear(INPUT, 64, first))
    for _ in range(4):
        last = drawing.step(drawing.depthwise(last, drawing.geometry(last, 3, 1)))
        last = drawing.conv(last, 64, 1)
    return drawing.classified(_averaged(drawing, last), 12)


def resnet(random: np.random.Generator, numbers: Numbers) -> Graph:
    """Image classification: ResNet-8 over 32x32x3, with 16, 32 and 64 channels."""
    drawing = Drawing(random, Shape(3, 32, 32), numbers)
    last = drawing.conv(INPUT, 16, 3)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        branch = drawing.conv(drawing.conv(last, channels, 3, stride), channels, 3)
        skip = last if stride == 1 else drawing.conv(last, channels, 1, stride)
        last = drawing.sum(branch, skip)
    return drawing.classified(_averaged(drawing, last), 10)


def cnv(random: np.random.Generator, numbers: Numbers) -> Graph:
    """Image classification: FINN's CNV over 32x32x3, six convolutions and three dense layers."""
    drawing, last = Drawing(random, Shape(3, 32, 32), numbers), INPUT
    for channels in (64, 128, 256):
        for _ in range(2):
            last = drawing.step(drawing.linear(last, channels, Geometry((3, 3))))
        if channels < 256:
            last = drawing.max(last, 2, 2)
    for _ in range(2):
        last = drawing.step(drawing.linear(last, 512))
    return drawing.classified(last, 10)


def _averaged(drawing: Drawing, source: str) -> str:
    """The sums over whole frames, requantized: a global average."""
    _, height, width, channels = drawing.values[source].shape
    ones = np.ones((height * width, channels), np.int64)
    bits = drawing.numbers.activation_bits
    node = Depthwise(
        name=drawing.name("average"), sources=(source,), weights=ones, weight_bits=0, input_bits=bits,
        geometry=Geometry((height, width)),
    )  # fmt: skip
    return drawing.step(drawing.add(node))


Draw = Callable[[np.random.Generator, Numbers], Graph]
NETWORKS: dict[str, Draw] = {
    "kws-mlp": keyword_mlp, "autoencoder": autoencoder, "kws-separable": keyword_separable, "resnet8": resnet,
    "cnv": cnv,
}  # fmt: skip


def main() -> None:
    """Append the missing lines to the results, and print all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--backends", default="rtl,finn")
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--zeros", type=float, default=75, help="percent of the weights")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    board = boards.load(arguments.board)
    numbers = Numbers(8, arguments.bits, arguments.bits, 1 - arguments.zeros / 100)
    # Of what was predicted first and measured later the last line counts.
    lines = list({json.dumps(line["key"]): line for line in read_json_lines(arguments.results)}.values())
    for name in arguments.networks.split(","):
        for backend in arguments.backends.split(","):
            key = {
                "network": name,
                "backend": backend,
                "board": board.name,
                "bits": arguments.bits,
                "zeros": arguments.zeros,
            }
            done = [line for line in lines if line["key"] == key]
            if done and (not arguments.measure or "measured" in done[-1] or "refused" in done[-1]):
                continue
            line = {"key": key, **_line(NETWORKS[name], numbers, backend, board, measure=arguments.measure)}
            append_json(arguments.results, line)
            lines = [other for other in lines if other["key"] != key] + [line]
            print(json.dumps(line), file=sys.stderr)
    if arguments.page:
        write_atomically(arguments.page, page(lines, Path(__file__).name))


def _line(draw: Draw, numbers: Numbers, backend: str, board: Board, *, measure: bool) -> dict[str, Any]:
    """What `backend` expects of the network, and with `measure` what was generated, simulated and mapped."""
    graph = compact(draw(np.random.default_rng(SEED), numbers))
    generator = backends.get(backend)
    options = generator.make_options()
    line: dict[str, Any] = {
        "weights": sum(node.weights.size for node in graph.weighted),
        "nonzeros": sum(node.nonzeros for node in graph.weighted),
        "bops": sum(one.paper for one in graph.bops().values()),
    }
    begin = time.monotonic()
    try:
        expected = generator.expect(graph, board, options)
        cycles = {"interval_cycles": expected.interval_cycles, "latency_cycles": expected.latency_cycles}
        line["predicted"] = {**expected.total, **cycles}
        if measure:
            with tempfile.TemporaryDirectory(prefix="qap2fpga-") as scratch:
                line["measured"] = _measured(graph, generator, options, board, Path(scratch))
    except QapError as error:
        line["refused"] = str(error)
    return {**line, "seconds": round(time.monotonic() - begin)}


def _measured(graph: Graph, generator: Backend[Any], options: Options, board: Board, folder: Path) -> dict[str, Any]:
    vectors = np.concatenate([random_vectors(graph, FRAMES, SEED), extremes(graph)[:FRAMES]])
    design = generator.generate(graph, board, folder / "design", options, vectors).circuit
    if design is None:
        raise QapError(f"the {generator.name} backend leaves C++", "no HLS tool is here to make hardware of it")
    runs = rtl.Rtl(design, folder / "rtl").simulate(vectors, outputs.outputs(graph, options.output_kind, vectors))
    latency, interval = rtl.measured(runs)
    total = yosys.synthesize(design, board, folder / "yosys", time_limit_s=3600.0).total
    return {**asdict(total), "interval_cycles": interval, "latency_cycles": latency, "frames": len(vectors)}


def page(lines: list[dict[str, Any]], script: str) -> str:
    """Return the results as a page."""
    text = [
        "# Networks of the shapes of MLPerf Tiny",
        "",
        f"Made by `benchmarks/{script}`; weights are drawn, so no accuracy is claimed. Predicted is what the backend",
        "expects before it generates anything; measured are Yosys' counts after synthesis, and cycles in Verilator.",
        "",
        "| network | backend | board | bits | zeros | | LUT | FF | DSP | BRAM18 | interval | latency |",
        "| --- | --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for line in lines:
        key = line["key"]
        head = f"| {key['network']} | {key['backend']} | {key['board']} | {key['bits']} | {key['zeros']:g} % |"
        if "refused" in line:
            text.append(f"{head} refused: {line['refused'].splitlines()[0]} | | | | | | |")
        for kind in ("predicted", "measured"):
            if kind in line:
                names = (*NAMES, "interval_cycles", "latency_cycles")
                cells = " | ".join(_cell(line[kind].get(name)) for name in names)
                text.append(f"{head} {kind} | {cells} |")
    return "\n".join([*text, ""])


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


if __name__ == "__main__":
    main()
