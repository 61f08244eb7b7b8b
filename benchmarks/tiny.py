# SPDX-License-Identifier: Apache-2.0
"""What networks of the shapes of MLPerf Tiny take on hardware, predicted and measured, and the docs page that says so.

    python -m benchmarks.tiny benchmarks/tiny.jsonl [--networks kws-mlp,resnet8,...] [--backends finn,rtl,hls4ml]
        [--board pynq-z2] [--bits 4] [--zeros 75] [--fps 1000] [--measure] [--limit SECONDS]
        [--page docs/tiny-networks.md]

Shapes are those of the MLPerf Tiny models and of the networks that were submitted with FINN and hls4ml; weights are
drawn, pruned by magnitude and quantized, so hardware is what a trained network of these bits and zeros takes, and
accuracy is not spoken of. With `--measure`, designs that fit are generated, simulated on a few frames and mapped by
Yosys; what has not ended within the limit is said to have not. Lines that are in the results are not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tiny_page
from qap2fpga import backends
from qap2fpga.backends.api import Options
from qap2fpga.estimate.estimate import estimate
from qap2fpga.estimate.images import Drawing, Numbers
from qap2fpga.hw import boards
from qap2fpga.hw.design import HlsProject
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir import outputs
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.synth import yosys
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import append_json, read_json_lines, write_atomically
from qap2fpga.verify import rtl
from qap2fpga.verify.csim import CSimulation
from qap2fpga.verify.verilator import Schedule

SEED = 2021
# Frames beside those that fill a pipeline, whose second half shows its interval; alone so many show the latency.
FRAMES, SINGLE_FRAMES = 18, 2


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


@dataclass(frozen=True)
class Case:
    """One row of the page: a network, what its numbers are, and who makes hardware of it for which board.

    `fps` are the frames per second that are asked for where a backend can share hardware in time; None: the most.
    `sparse` is `--sparse` of a backend that has it.
    """

    network: str
    backend: str
    board: str
    bits: int
    zeros: float
    fps: float | None
    sparse: str | None = None

    def graph(self) -> Graph:
        """Draw the network."""
        numbers = Numbers(8, self.bits, self.bits, 1 - self.zeros / 100)
        return compact(NETWORKS[self.network](np.random.default_rng(SEED), numbers))

    def options(self, graph: Graph) -> Options:
        """Return the backend's options."""
        backend = backends.get(self.backend)
        if self.fps is None:
            return backend.make_options(sparse=self.sparse)
        if backend.knows("target_fps"):
            return backend.make_options(target_fps=self.fps, sparse=self.sparse)
        if backend.knows("target_interval") and not graph.is_chain:
            cycles = int(1e9 / boards.load(self.board).clock_ns / self.fps)
            return backend.make_options(target_interval=cycles)
        return backend.make_options()


Result = dict[str, Any]
Send = Callable[[Result], None]


def facts(case: Case, send: Send) -> None:
    """Send how large the network is."""
    graph = case.graph()
    positions = [(node, graph.shapes[node.name].positions) for node in graph.weighted]
    send(
        {
            "weights": sum(node.weights.size for node, _ in positions),
            "nonzeros": sum(node.nonzeros for node, _ in positions),
            "macs": sum(node.weights.size * count for node, count in positions),
            "bops": round(sum(one.paper for one in graph.bops().values())),
        }
    )


def predict(case: Case, send: Send) -> None:
    """Send what `qap2fpga estimate` says of the network: cells of C++ are not known, since they depend on its tool."""
    graph, board = case.graph(), boards.load(case.board)
    expected = estimate(graph, case.backend, board, case.options(graph))
    if expected.refused:
        send({"stopped": expected.refused})
    cells = () if expected.csynth is not None else NAMES
    names = {*cells, "interval_cycles", "latency_cycles"}
    send({name: one.value for name, one in expected.predictions.items() if name in names})


def measure(case: Case, send: Send) -> None:
    """Generate, simulate and map the network; send cycles when these are known, then cells."""
    graph, board = case.graph(), boards.load(case.board)
    options = case.options(graph)
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as scratch:
        folder = Path(scratch)
        artifact = backends.get(case.backend).generate(graph, board, folder / "design", options, _vectors(graph, 4))
        filling = (artifact.circuit.latency_cycles or 0) // artifact.interval_cycles if artifact.circuit else 0
        vectors = _vectors(graph, FRAMES + filling)
        expected = outputs.outputs(graph, options.output_kind, vectors)
        if isinstance(artifact, HlsProject):
            send(_agreed(CSimulation(artifact, graph, folder / "csim").simulate(vectors, expected)[:1]))
            return
        assert artifact.circuit is not None  # it is Verilog
        runs = _Cycles(artifact.circuit, folder / "rtl").simulate(vectors, expected)
        latency, interval = rtl.measured(runs)
        send({"interval_cycles": interval, "latency_cycles": latency, **_agreed(runs)})
        send(asdict(yosys.synthesize(artifact.circuit, board, folder / "yosys", time_limit_s=3600.0).total))


def _vectors(graph: Graph, count: int) -> np.ndarray:
    """The frames of least and largest inputs, and random ones."""
    return np.concatenate([extremes(graph, 2)[:2], random_vectors(graph, max(count, 4) - 2, SEED)])


class _Cycles(rtl.Rtl):
    """The design's RTL under the two schedules that measure cycles: at full speed, and one frame at a time."""

    def plan(self) -> tuple[Schedule, ...]:
        return tuple(one for one in super().plan() if one.name in (rtl.SINGLE, rtl.FULL_SPEED))

    def frames(self, schedule: Schedule, vectors: int) -> int:
        return min(vectors, SINGLE_FRAMES) if schedule.single else vectors


def _agreed(runs: Sequence[Simulation]) -> Result:
    """How many frames a simulation took, of which none differs: one that did would have ended it."""
    if any(run.mismatches for run in runs):
        raise CheckFailed("a simulation differs from the integer network")
    return {"frames": max(run.vectors for run in runs)}


def within(limit_s: float, work: Callable[[Case, Send], None], case: Case) -> Result:
    """Return all that `work` sends until it ends, is refused, or is stopped at the limit: `stopped` says why."""
    spawn = get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(work, case, sender))
    process.start()
    sender.close()
    deadline, result = time.monotonic() + limit_s, {}
    try:
        while receiver.poll(max(0.0, deadline - time.monotonic())):
            result |= receiver.recv()
        result |= {"stopped": f"not ended within {limit_s:g} s", "limit_s": limit_s}
        process.terminate()
    except EOFError:
        if not result.pop("ended", False) and "stopped" not in result:
            result["stopped"] = "its process ended, as for want of memory"
    process.join()
    return result


def _work(work: Callable[[Case, Send], None], case: Case, sender: Connection) -> None:
    try:
        work(case, sender.send)
        sender.send({"ended": True})
    except (QapError, CheckFailed) as error:
        sender.send({"stopped": str(error)})


def main() -> None:
    """Append the missing lines to the results, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--backends", default="finn,rtl,hls4ml")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--zeros", type=float, default=75, help="percent of the weights")
    parser.add_argument("--fps", type=float, help="frames per second, where a backend can share hardware in time")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--limit", type=float, default=1800, help="seconds for each of prediction and measurement")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    for network in filter(None, asked.networks.split(",")):
        for backend in asked.backends.split(","):
            for sparse in ("never", "auto") if backends.get(backend).knows("sparse") else (None,):
                case = Case(network, backend, asked.board, asked.bits, asked.zeros, asked.fps, sparse)
                extend(asked.results, case, asked.limit if asked.measure else None, asked.limit)
    if asked.page:
        write_atomically(asked.page, tiny_page.page(lines(asked.results)))


def lines(results: Path) -> list[Result]:
    """Return the results; of what was predicted first and measured later the last line counts."""
    return list({json.dumps(line["case"]): line for line in read_json_lines(results)}.values())


def extend(results: Path, case: Case, measuring_s: float | None, limit_s: float) -> None:
    """Append what is missing of `case` to the results: facts and prediction, and then, if asked for, measurement."""
    line = next((one for one in lines(results) if one["case"] == asdict(case)), None)
    if line is None or not _ended(line.get("predicted"), limit_s):
        sizes = within(limit_s, facts, case)
        line = {**(line or {"case": asdict(case)}), "facts": sizes, "predicted": within(limit_s, predict, case)}
        append_json(results, line)
    if measuring_s is not None and "stopped" not in line["predicted"] and not _ended(line.get("measured"), measuring_s):
        append_json(results, {**line, "measured": within(measuring_s, measure, case)})


def _ended(result: Result | None, limit_s: float) -> bool:
    """Whether there is a result, of which more time than before would make nothing else."""
    return result is not None and result.get("limit_s", math.inf) >= limit_s


if __name__ == "__main__":
    main()
