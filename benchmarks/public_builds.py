# SPDX-License-Identifier: Apache-2.0
"""Builds of model files that others have published, as far as `simulate`, each with a backend that can hold it.

`python -m benchmarks.public_models FOLDER [NAME ...] --build RESULTS.jsonl` is how it is started. A file goes through
`qap2fpga build` as a user would run it: first to the integer network, then with the first of `WAYS` that takes it. A
result is one line; files that have a line are left alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from qap2fpga import backends
from qap2fpga.backends.rtl import estimate
from qap2fpga.backends.rtl.pace import pace
from qap2fpga.build.folder import MARK, stored
from qap2fpga.hw import boards
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir import storage
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import append_json, read_json_lines

STAGES = ("model", "generate", "simulate")
LAST_STAGES = ("simulate", "csim")
# Lines of an error message that a result keeps.
KEPT = 4


@dataclass(frozen=True)
class Way:
    """A backend, a board and options to try; `most_luts` is how large a network is unrolled for a simulation."""

    backend: str
    board: str
    options: Mapping[str, str] = field(default_factory=dict)
    most_luts: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Return the way as arguments of `qap2fpga build`."""
        chosen = {"backend": self.backend, "board": self.board, **self.options}
        return tuple(word for name, value in chosen.items() for word in (f"--{name}", value) if word)


# In order of preference: unrolled where that is small, folded where it is not, C++ where no hardware of ours fits.
WAYS = (
    Way("rtl", "zcu104", most_luts=40_000),
    Way("finn", "zcu104"),
    Way("finn", "alveo-u250"),
    Way("rtl", "alveo-u250"),
    Way("hls4ml", "alveo-u250"),
    Way("hls4ml", "alveo-u250", {"allow-oversize": ""}),
)


@dataclass(frozen=True)
class Trial:
    """What the estimate says of a way: whether it is taken, and why or why not."""

    takes: bool
    reason: str


@dataclass(frozen=True)
class Built:
    """What became of a file; `tried` are the ways before the one that was taken, with the reasons against them."""

    file: str
    options: tuple[str, ...]
    multiplications: int | None = None
    tried: Mapping[str, str] = field(default_factory=dict)
    way: str = ""
    reason: str = ""
    reached: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    vectors: int = 0
    mismatches: int | None = None
    interval_cycles: float | None = None
    latency_cycles: int | None = None
    message: str = ""


def trial(network: Path, way: Way) -> Trial:
    """Return whether `way` takes the `network`, from what its backend expects of it."""
    graph, board, backend = storage.load(network), boards.load(way.board), backends.get(way.backend)
    options = backend.make_options(**{name.replace("-", "_"): True for name in way.options})
    # Before a solver is asked, which is what takes long where the answer is no.
    luts = estimate.before(graph, pace(graph)) if way.most_luts is not None else 0
    if way.most_luts is not None and luts > way.most_luts:
        return Trial(
            False, f"unrolled it takes about {luts:,} LUTs; a simulation of more than {way.most_luts:,} is slow"
        )
    reasons = backend.check(graph, board, options)
    if reasons:
        return Trial(False, "; ".join(f"{one}" for one in reasons))
    try:
        expected = backend.expect(graph, board, options)
    except QapError as error:
        return Trial(False, f"{error}")
    counts = ", ".join(f"{round(expected.total[name])} {name}" for name in NAMES if expected.total.get(name))
    words = f"expected: a frame every {expected.interval_cycles} cycles; {counts or 'size known only to an HLS tool'}"
    return Trial(True, words)


def build_all(files: Sequence[Path], asked: Mapping[str, str], results: Path, limit_s: float) -> None:
    """Build the `files` that have no line in `results`, one after the other, and print what became of each.

    `asked` are options that a file gets if it is refused with these words.
    """
    done = {line["file"] for line in read_json_lines(results)}
    for path in files:
        if path.name in done:
            continue
        built = _Build(path, asked, results.with_suffix(""), limit_s).run()
        append_json(results, asdict(built))
        print(shown(built), flush=True)


def shown(built: Built) -> str:
    """Return a line for people."""
    simulated = f"{built.vectors} vectors, {built.mismatches} mismatches" if built.vectors else ""
    times = " ".join(f"{name} {seconds:.0f} s" for name, seconds in built.seconds.items())
    cells = (
        built.file,
        built.way,
        f"until {built.reached or 'nothing'}",
        times,
        simulated,
        built.reason,
        built.message,
    )
    return "\t".join(cells).replace("\n", " ")


class _Build:
    """One file on its way."""

    def __init__(self, path: Path, asked: Mapping[str, str], folder: Path, limit_s: float) -> None:
        self.path, self.asked, self.limit_s = path, asked, limit_s
        self.output = folder / path.name.replace(".", "-")
        self.options: tuple[str, ...] = ()
        self.seconds: dict[str, float] = {}
        self.message = ""

    @property
    def network(self) -> Path:
        """The file of the integer network."""
        return self.output / "network.npz"

    @property
    def multiplications(self) -> int | None:
        """How many products with a weight other than 0 a frame takes; None without a network."""
        if not self.network.is_file():
            return None
        graph = storage.load(self.network)
        return sum(node.nonzeros * graph.shapes[node.name].positions for node in graph.weighted)

    def _model(self) -> None:
        """Build to the integer network, with more options as the refusals ask for them."""
        while True:
            self._build(Way("rtl", "zcu104"), "model")
            more = [option for words, option in self.asked.items() if words in self.message]
            if not more or more[0] in self.options:
                return
            self.options += (more[0],)

    def run(self) -> Built:
        """Build with the first way that takes the network, and return how far that came."""
        self._model()
        if self.multiplications is None:
            return Built(self.path.name, self.options, seconds=self.seconds, message=self.message)
        tried: dict[str, str] = {}
        for way in WAYS:
            one = self._tried(way)
            if one.takes:
                return self._built(way, one.reason, tried)
            tried[" ".join(way.words)] = one.reason
        message = "no backend takes it"
        return Built(self.path.name, self.options, self.multiplications, tried, seconds=self.seconds, message=message)

    def _built(self, way: Way, reason: str, tried: Mapping[str, str]) -> Built:
        self._build(way, "simulate")
        reached = [stage for stage in (*STAGES, "csim") if (self.output / MARK / f"{stage}.json").is_file()]
        runs = [one for stage in reached if stage in LAST_STAGES for one in stored(self.output, stage)]
        intervals = [one["interval_cycles"] for one in runs if one["interval_cycles"] is not None]
        latencies = [one["latency_cycles"] for one in runs if one["latency_cycles"] is not None]
        return Built(
            self.path.name, self.options, self.multiplications, tried, " ".join(way.words), reason, reached[-1],
            self.seconds, sum(one["vectors"] for one in runs), sum(one["mismatches"] for one in runs) if runs else None,
            min(intervals, default=None), min(latencies, default=None), self.message,
        )  # fmt: skip

    def _tried(self, way: Way) -> Trial:
        """The estimate, in a process of its own: it may take long."""
        words = [sys.executable, "-m", "benchmarks.public_builds", str(self.network), json.dumps(asdict(way))]
        begin = time.monotonic()
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=self.limit_s)
        except subprocess.TimeoutExpired:
            return Trial(False, f"its estimate did not end within {self.limit_s:g} s")
        self.seconds[f"estimate {way.backend} {way.board}"] = round(time.monotonic() - begin, 1)
        if done.returncode:
            return Trial(False, f"its estimate failed: {_end(done.stderr)}")
        return Trial(**json.loads(done.stdout))

    def _build(self, way: Way, until: str) -> None:
        """Run `qap2fpga build` as far as `until`, and keep its time and the end of its message, if it failed."""
        words = ("build", str(self.path), *way.words, *self.options, "--output", str(self.output), "--until", until)
        begin = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "qap2fpga", *words], capture_output=True, text=True, check=False,
                timeout=self.limit_s,
            )  # fmt: skip
            self.message = _end(done.stderr) if done.returncode else ""
        except subprocess.TimeoutExpired:
            self.message = f"not ended within {self.limit_s:g} s"
        self.seconds[until] = round(time.monotonic() - begin, 1)


def _end(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-KEPT:])


def main() -> None:
    """Print what the estimate says of one way, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("way", help="fields of `Way` as JSON")
    asked = parser.parse_args()
    print(json.dumps(asdict(trial(asked.network, Way(**json.loads(asked.way))))))


if __name__ == "__main__":
    main()
