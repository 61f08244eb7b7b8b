# SPDX-License-Identifier: Apache-2.0
"""After a mismatch: which layer is wrong first.

The outputs only say that something is. A second program is then compiled in which the testbench's harness writes down
every beat that passes a design's probes, and the schedule that failed is run again with the same vectors. The first
probe, in the order of the data, that shows other integers than the network names the layer, its channel and the vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.hw import template
from qap2fpga.hw.beats import pack, unpack
from qap2fpga.hw.design import Design, Probe
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError
from qap2fpga.verify import verilator
from qap2fpga.verify.compare import Mismatch
from qap2fpga.verify.engine import Shown, first_wrong
from qap2fpga.verify.verilator import RANDOM_X, Schedule

INSTANCE = "network"  # of the design in the harness
RESET = "reset"
RIGHT = "every layer is right, so the fault is after the last one"


@dataclass(frozen=True)
class Suspect:
    """A design that a mismatch is traced in: what its simulation was made of, and the network that it should be.

    `folder` is where the second program goes; `options` and `optimize` are those of `verilator.build`.
    """

    design: Design
    sources: Sequence[Path]
    network: Graph
    folder: Path
    threads: int
    options: Sequence[str] = RANDOM_X
    optimize: str = "-Og"

    def traced(
        self, mismatch: Mismatch, vectors: np.ndarray, schedule: Schedule, progress: Callable[[str], None]
    ) -> Mismatch:
        """Return `mismatch`, which `vectors` (n, inputs) showed under `schedule`, with the first wrong layer named."""
        if not self.design.probes:
            return mismatch
        try:
            outputs, passed = self._again(vectors, schedule, progress)
            first = mismatch.comparison.first
            shown = first is None or outputs[first.vector, first.channel] != first.expected
            reason = "it did not show again in a second simulation"
            if shown:
                reason = first_wrong(self.network, passed, vectors) or RIGHT
        except QapError as error:
            # The mismatch is what the user must hear of, whatever became of looking into it.
            reason = f"its layers could not be looked at ({error.message})"
        return mismatch.with_reason(reason)

    def _again(
        self, vectors: np.ndarray, schedule: Schedule, progress: Callable[[str], None]
    ) -> tuple[np.ndarray, list[Shown]]:
        """The outputs (n, outputs) of another run of `schedule`, and what passed each probe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        progress(f"a mismatch: looking at the layers of {self.design.top}")
        files = {f"probe{index}": self.folder / f"probe{index}.txt" for index in range(len(self.design.probes))}
        binary = verilator.build(
            self.design, self.sources, self.folder, jobs=self.threads, options=self.options, optimize=self.optimize,
            harness=harness(self.design), progress=progress,
        )  # fmt: skip
        beats = self.folder / "input.beats"
        pack(vectors, self.design.input).tofile(beats)
        run = verilator.run(binary, self.design, beats, len(vectors), self.folder, schedule, files)
        outputs, _ = unpack(run.beats, self.design.output)
        probed = zip(files.values(), self.design.probes, strict=True)
        return outputs, [Shown(probe.node, recorded(path, probe), counts=probe.counts) for path, probe in probed]


def harness(design: Design) -> str:
    """The testbench's harness, which also writes what passes each of the design's probes.

    Where to, the program is told when it runs: `+probe0=FILE`.
    """
    text = template.harness(design, INSTANCE)
    assert text.endswith("endmodule\n")
    taps = [_tap(f"probe{index}", probe) for index, probe in enumerate(design.probes)]
    return "".join([text.removesuffix("endmodule\n"), *taps, "endmodule\n"])


def _tap(name: str, probe: Probe) -> str:
    passes = f"{INSTANCE}.{probe.valid} && {INSTANCE}.{probe.ready}"
    lines = [
        f"integer {name};",
        f"string {name}_file;",
        f'initial if ($value$plusargs("{name}=%s", {name}_file)) {name} = $fopen({name}_file);',
    ]
    if not probe.valid:
        shifted = f"{{{name}_on_its_way[{probe.cycles - 2}:0], in_valid}}" if probe.cycles > 1 else "in_valid"
        passes = f"in_ready && {name}_on_its_way[{probe.cycles - 1}]"
        lines += [
            f"reg [{probe.cycles - 1}:0] {name}_on_its_way = 0;",
            "always @(posedge clock)",
            f"    if (!reset_n) {name}_on_its_way <= 0; else if (in_ready) {name}_on_its_way <= {shifted};",
        ]
    lines += [
        "always @(posedge clock)",
        f'    if (!reset_n) $fwrite({name}, "{RESET}\\n");',
        f'    else if ({passes}) $fwrite({name}, "%h\\n", {INSTANCE}.{probe.signal});',
    ]
    return "".join(f"    {line}\n" for line in lines)


def recorded(path: Path, probe: Probe) -> np.ndarray:
    """The values (frames, elements) that were written to `path` since the last reset."""
    lines = path.read_text().split()
    last = max((at for at, line in enumerate(lines) if line == RESET), default=-1)
    words = [int(line, 16) for line in lines[last + 1 :]]
    values = np.zeros((len(words), len(probe.lanes)), np.int64)
    at = 0
    for lane, (bits, signed) in enumerate(probe.lanes):
        column = np.array([word >> at & (1 << bits) - 1 for word in words], np.int64)
        values[:, lane] = column - ((column >> bits - 1) << bits) if signed else column
        at += bits
    whole = len(words) // probe.beats
    return values[: whole * probe.beats].reshape(whole, probe.beats * len(probe.lanes))
