# SPDX-License-Identifier: Apache-2.0
"""Networks of HGQ2, converted by alkaid, beside our own with learned bits: accuracy on test data against LUTs.

    python -m benchmarks.peers FOLDER --data jets.npz|digits [--sides hgq,ours] [--minutes 10] [--trials 4]
        [--seeds 1,2,3] [--page PAGE.md]

Each side trains the same data within the same CPU minutes: `--trials` times with the first seed, each with other
settings; those with the best front on validation data are used for the other seeds. All checkpoints of a front become
Verilog, and Yosys counts the cells of everybody's by one command. Results are lines of JSON in FOLDER, one a candidate;
what is there is not done again, so a stopped run goes on where it was. A task that failed is tried again.
`digits` are scikit-learn's: 1,797 images of 8x8 pixels.

The packages of HGQ2 and alkaid are installed into FOLDER/hgq when they are first needed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import peers_front, peers_page
from benchmarks.peers_count import Counted, counted
from benchmarks.peers_front import Line
from benchmarks.peers_hgq import Hgq
from benchmarks.peers_ours import Ours
from benchmarks.peers_side import Candidate, Data, Outcome, Settings, Side, Task, checked, digits, read, split, stored
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import append_json, read_json_lines, write_atomically
from qap2fpga.system.locks import locked

# Each is given a folder of its own for what it installs.
SIDES: Mapping[str, Callable[[Path], Side]] = {"hgq": Hgq, "ours": Ours}
RESULTS, DIGITS = "results.jsonl", "digits"
MOST_TRIALS, MOST_MINUTES = 100, 10_000.0

Count = Callable[[Path, str], Counted]
Say = Callable[[str], None]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    """A run of the benchmark: where its results are, the data, and what each training may take."""

    folder: Path
    data: Data
    cpu_s: float
    count: Count = counted
    say: Say = _say

    @property
    def results(self) -> Path:
        """The file of the results."""
        return self.folder / RESULTS

    def run(self, side: Side, trials: int, seeds: Sequence[int]) -> None:
        """Do what is missing of one side: its trials, then the best of them with the other seeds.

        What fails is said and left out; without one trial that ended there are no other seeds.
        """
        every = side.settings(trials)
        for settings in every:
            self.task(side, settings, seeds[0])
        fronts = [(peers_front.score(self.lines(side, one, seeds[0])), number) for number, one in enumerate(every)]
        best, number = max(fronts, key=lambda pair: (pair[0], -pair[1]))
        self.say(f"{side.name}: scores of the trials {', '.join(f'{score:.4f}' for score, _ in fronts)}")
        if best > 0:
            for seed in seeds[1:]:
                self.task(side, every[number], seed)

    def task(self, side: Side, settings: Settings, seed: int) -> None:
        """Train, if that is not done, and count what is not counted. A failure becomes a line of the results."""
        task = self.identity(side, settings, seed)
        place = self.folder / "tasks" / f"{side.name}-{seed}-{digest(task)}"
        try:
            outcome = self.outcome(side, Task(self.data.path, seed, self.cpu_s, settings), place)
        except QapError as error:
            self.say(f"{side.name}, seed {seed}: {error}")
            append_json(self.results, {"task": task, "failed": error.message})
            return
        there = {line["name"] for line in self.lines(side, settings, seed) if "lut" in line}
        for candidate in outcome.candidates:
            if candidate.name not in there:
                line = {"task": task, **self.line(candidate, place)}
                line |= {"cpu_s": outcome.cpu_s, "training": dict(outcome.notes)}
                append_json(self.results, line)
                self.say(f"{side.name}, seed {seed}: {json.dumps({key: line[key] for key in line if key != 'task'})}")

    def outcome(self, side: Side, task: Task, place: Path) -> Outcome:
        """Return what the side makes of `task`, or has made of it before."""
        file = place / "outcome.json"
        if file.exists():
            return read(file)
        place.mkdir(parents=True, exist_ok=True)
        self.say(f"{side.name}, seed {task.seed}: {self.cpu_s:g} CPU seconds with {json.dumps(dict(task.settings))}")
        outcome = side.run(task, place)
        checked(outcome, side.name)
        if not outcome.candidates:
            raise QapError("training left no network", "more minutes, or other settings")
        write_atomically(file, json.dumps(stored(outcome), indent=1))
        return outcome

    def line(self, candidate: Candidate, place: Path) -> dict[str, object]:
        """Return what the results say of a candidate: its cells, or why they are not known."""
        try:
            cells: Mapping[str, object] = asdict(self.count(place / candidate.folder, candidate.top))
        except QapError as error:
            cells = {"uncounted": error.message}
        known = {"name": candidate.name, "validation": candidate.validation, "test": candidate.test}
        return {**known, **cells, "notes": dict(candidate.notes)}

    def lines(self, side: Side, settings: Settings, seed: int) -> list[Line]:
        """Return the results of one task."""
        task = json.loads(json.dumps(self.identity(side, settings, seed)))
        return [line for line in read_json_lines(self.results) if line["task"] == task and "name" in line]

    def comparable(self) -> list[Line]:
        """Return the results of these data and this CPU time, of all sides, also of those that were not asked for."""
        return [
            line for line in read_json_lines(self.results)
            if line["task"]["data"] == self.data.digest and line["task"]["cpu_s"] == self.cpu_s
        ]  # fmt: skip

    def identity(self, side: Side, settings: Settings, seed: int) -> dict[str, object]:
        """Return all that decides a task's outcome, but for the time that it took."""
        return {
            "side": side.name, "data": self.data.digest, "rows": dict(self.data.rows), "cpu_s": self.cpu_s,
            "seed": seed, "settings": dict(settings),
        }  # fmt: skip


def digest(task: Mapping[str, object]) -> str:
    """Return a name for `task`."""
    return hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()[:12]


def numbers(text: str) -> list[int]:
    """Return the seeds in `text`. Raises `QapError` for anything else, and for one that is there twice."""
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise QapError(f"--seeds {text}", "whole numbers with commas between them, as 1,2,3") from error
    if len(set(seeds)) < len(seeds) or not all(0 <= seed < 1 << 31 for seed in seeds):
        raise QapError(f"--seeds {text}", "different numbers from 0 to 2147483647")
    return seeds


def sides(text: str) -> list[str]:
    """Return the names of sides in `text`. Raises `QapError` for one that there is not."""
    names = list(dict.fromkeys(filter(None, text.split(","))))
    for name in names:
        if name not in SIDES:
            raise QapError(f"no side {name}", nearest(name, SIDES))
    return names


def within(name: str, value: float, most: float) -> None:
    """Raise `QapError` for a value that is not above 0, or above `most`."""
    if not 0 < value <= most:
        raise QapError(f"--{name} {value:g}", f"above 0, {most:g} at most")


def main(words: Sequence[str] | None = None) -> None:
    """Do what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True, help=f"an .npz with X and y, or {DIGITS}")
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes of one training")
    parser.add_argument("--trials", type=int, default=4, help="settings that are tried with the first seed")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args(words)
    try:
        _run(asked)
    except QapError as error:
        sys.exit(str(error))


def _run(asked: argparse.Namespace) -> None:
    names, seeds = sides(asked.sides), numbers(asked.seeds)
    within("minutes", asked.minutes, MOST_MINUTES)
    within("trials", asked.trials, MOST_TRIALS)
    with locked(asked.folder):
        source = digits(asked.folder) if asked.data == Path(DIGITS) else asked.data
        bench = Bench(asked.folder, split(source, asked.folder), 60 * asked.minutes)
        for name in names:
            bench.run(SIDES[name](asked.folder / name), asked.trials, seeds)
        if asked.page:
            peers_page.write(bench.comparable(), asked.page, asked.data)


if __name__ == "__main__":
    main()
