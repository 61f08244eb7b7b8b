# SPDX-License-Identifier: Apache-2.0
"""How much faster this checkout is than another revision: `python -m benchmarks.faster REVISION [--runs N]`.

Both are run in turn, as a user starts them, on the same machine and with the same packages; what a command takes is
that of a whole process with all its children. A figure is the median over the runs of the ratio of a pair. Nothing else
should run on the machine. The cache of builds is left out (`--no-cache`), where a revision has one, but for the command
that is about it; Verilator's runtime, which a machine compiles once, is there already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cost
from benchmarks.cost import Cost

ROOT = Path(__file__).parent.parent
EXAMPLE, OTHER = "examples/jets-6b-80pruned.pt", "examples/jets-4b-small.pt"
BOARD, SECOND = "pynq-z2", "pynq-z1"
# The campaign of a calibration, as long as a comparison can wait for. No command has so few designs.
SCRIPT, DESIGNS = "campaign.py", "designs.jsonl"
CAMPAIGN = f"""\
from pathlib import Path
from qap2fpga.estimate import campaign, draw
try:
    from qap2fpga.system.workers import Workers
except ImportError:  # older revisions take the number
    Workers = int
if __name__ == "__main__":
    lines = campaign.run("rtl", draw.recipes(16, 1), Path("{DESIGNS}"), Workers(2), print)
    assert not [line for line in lines if "failed" in line]
"""


@dataclass(frozen=True)
class Task:
    """A command, what it is called, and the aim as a ratio. `after` is run before it, in the same folder, untimed."""

    name: str
    words: tuple[str, ...]
    aim: float | None
    after: tuple[str, ...] = ()


def build(backend: str, *more: str, model: str = EXAMPLE, board: str = BOARD) -> tuple[str, ...]:
    return ("build", model, "--backend", backend, "--board", board, "--quiet", *more)


TASKS = (
    Task("example, finn", build("finn"), 0.5),
    Task("example, rtl", build("rtl"), 0.35),
    Task("example, hls4ml, to C simulation", build("hls4ml", "--until", "simulate"), 0.6),
    Task("model stage", build("rtl", "--until", "model"), 0.4),
    Task("estimate, rtl, one board", ("estimate", EXAMPLE, "--board", BOARD, "--backend", "rtl"), 0.4),
    Task("estimate, all backends and boards", ("estimate", EXAMPLE), 0.5),
    Task("campaign of 16 designs", (SCRIPT,), 0.5),
    Task("rtl for a second board of the family", build("rtl", board=SECOND), None, build("rtl")),
)


class Revision:
    """A checkout in `folder`, and a folder of its own for the cache of builds."""

    def __init__(self, folder: Path, place: Path) -> None:
        self.folder, self.place = folder, place
        self.environment = {**os.environ, "PYTHONPATH": str(folder), "QAP2FPGA_CACHE": str(place / "cache")}
        self.has_cache = "--no-cache" in self.output("build", "--help")

    def output(self, *words: str) -> str:
        command = [sys.executable, "-m", "qap2fpga", *words]
        done = subprocess.run(
            command, cwd=self.place, env={**self.environment, "COLUMNS": "200"}, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def cost(self, words: tuple[str, ...], *, cached: bool) -> Cost:
        """Run a command."""
        alone = ("--no-cache",) if self.has_cache and words[0] == "build" and not cached else ()
        program = () if words[0] == SCRIPT else cost.PROGRAM
        # Whatever was read before: only builds have an option against it. A campaign takes Verilator's runtime alone.
        without = {} if cached or words[0] in ("build", SCRIPT) else {"QAP2FPGA_CACHE_MIB": "0"}
        given = [*program, *(str(self.folder / word) if word.endswith(".pt") else word for word in (*words, *alone))]
        code, taken, said = cost.of(given, self.place, {**self.environment, **without})
        if code:
            raise SystemExit(f"{' '.join(given)} ended with {code}:\n{said}")
        return taken

    def run(self, task: Task) -> Cost:
        """Run a task in a folder without builds."""
        shutil.rmtree(self.place / "builds", ignore_errors=True)
        (self.place / DESIGNS).unlink(missing_ok=True)
        (self.place / SCRIPT).write_text(CAMPAIGN)
        if task.after:
            shutil.rmtree(self.place / "cache", ignore_errors=True)
            self.cost(task.after, cached=True)
        return self.cost(task.words, cached=bool(task.after))


def main() -> None:
    """Print a line per task as it ends, and one JSON object of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tasks", nargs="*", help="those whose names contain one of these")
    given = parser.parse_args()
    chosen = [one for one in TASKS if not given.tasks or any(word in one.name for word in given.tasks)]
    result: dict[str, object] = {"revision": given.revision, "runs": given.runs, "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        subprocess.run(["git", "worktree", "add", "--detach", place / "tree", given.revision], cwd=ROOT, check=True)
        try:
            pair = []
            for side, folder in (("before", place / "tree"), ("now", ROOT)):
                (place / side).mkdir()
                pair.append(Revision(folder, place / side))
            for one in pair:
                # So that Python's own files and Verilator's runtime are compiled.
                one.cost(build("rtl", "--until", "simulate", model=OTHER), cached=False)
            for task in chosen:
                costs = [(pair[0].run(task), pair[1].run(task)) for _ in range(given.runs)]
                result[task.name] = line = figures(task, costs)
                print(f"{task.name}: {json.dumps(line)}", file=sys.stderr, flush=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", place / "tree"], cwd=ROOT, check=True)
    print(json.dumps(result, indent=1))


def figures(task: Task, costs: list[tuple[Cost, Cost]]) -> dict[str, object]:
    """Medians of both sides, and of the ratios of pairs."""
    return {
        "aim": task.aim,
        "ratio": round(statistics.median(now.wall / before.wall for before, now in costs), 3),
        "ratio_cpu": round(statistics.median(now.cpu / before.cpu for before, now in costs), 3),
        "seconds": [round(statistics.median(one[side].wall for one in costs), 2) for side in (0, 1)],
        "cpu_seconds": [round(statistics.median(one[side].cpu for one in costs), 2) for side in (0, 1)],
        "mib": [round(max(one[side].mib for one in costs)) for side in (0, 1)],
    }


if __name__ == "__main__":
    main()
