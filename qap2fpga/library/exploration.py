# SPDX-License-Identifier: Apache-2.0
"""Many networks, backends and clocks to the best hardware within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from qap2fpga.explore import show
from qap2fpga.explore.limits import Limits
from qap2fpga.explore.result import Exploration, Explored
from qap2fpga.hw.boards import Board
from qap2fpga.library.builds import Build
from qap2fpga.library.sources import board_of, several
from qap2fpga.library.table import Table, Tabular, Value, of_dicts
from qap2fpga.report import summary
from qap2fpga.system.progress import Progress
from qap2fpga.system.workers import asked_for

__all__ = ["Candidates", "explore"]

Several = float | Sequence[float]


@dataclass(frozen=True, eq=False, repr=False)
class Candidates(Tabular):
    """What an exploration found; `explore` gives one.

    Attributes:
        explored: every point with its estimate, the builds, and what was left out.
    """

    explored: Explored

    @property
    def met(self) -> int:
        """How many builds meet the limits; without any build, how many candidates are expected to."""
        return self.explored.met

    @property
    def builds(self) -> tuple[Build, ...]:
        """The builds that were made, the best candidates first."""
        done = [one.build for one in self.explored.built.values() if one.build is not None]
        return tuple(Build(one.folder, one.report) for one in done)

    def require_met(self) -> None:
        """Raise `CheckFailed`, with what comes nearest, if nothing meets the limits."""
        self.explored.check()

    @property
    def page(self) -> Path:
        """The HTML page that was written."""
        return self.explored.request.output / "explore.html"

    @property
    def heading(self) -> str:
        """Return the exploration in one line."""
        limits = ", ".join(show.limits(self.explored.request.limits)) or "no limits"
        return f"{show.title(self.explored)}: {self.met} within {limits}"

    @property
    def table(self) -> Table:
        """One row per candidate, best first: rank, what came of it, its key numbers, measured where it was built."""
        rows: list[dict[str, Value]] = []
        for one in show.ordered(self.explored):
            built = self.explored.built.get(one.candidate.name)
            measured = built.build.summary if built is not None and built.build is not None else one.summary
            first: dict[str, Value] = {"rank": one.rank, "pareto": one.best, "outcome": show.outcome(one, built)}
            rows.append(first | summary.values(measured))
        return of_dicts(rows)


def explore(
    places: str | PathLike[str] | Sequence[str | PathLike[str]],
    board: str | Board | Sequence[str | Board],
    backend: str | Sequence[str] = (),
    *,
    target_fps: Several = (),
    clock: Several = (),
    max_lut: float | None = None,
    max_ff: float | None = None,
    max_dsp: float | None = None,
    max_bram18: float | None = None,
    max_latency_ns: float | None = None,
    min_accuracy: float | None = None,
    build: int = 3,
    jobs: int | None = None,
    scheduler: str | None = None,
    output: str | Path = "explore",
    quiet: bool = False,
) -> Candidates:
    """Estimate every network for every target, and build the best that meet the limits. A stopped run goes on.

    A script calls it below `if __name__ == "__main__":`, since worker processes import the script; a notebook need not.

    Args:
        places: study folders, model files, or a study's YAML file to train first; one or several.
        board: boards by name or file, one or several.
        backend: 'finn', 'rtl', one or several; both if not given.
        target_fps: finn: foldings that reach so many vectors per second; the fastest if not given.
        clock: rtl: periods in ns that the pipeline is cut for; the board's if not given.
        max_lut: the most LUTs; the board's if not given. So of `max_ff`, `max_dsp` and `max_bram18`.
        max_ff: the most flip-flops.
        max_dsp: the most DSP blocks.
        max_bram18: the most half block RAMs.
        max_latency_ns: the longest latency at the clock, in ns.
        min_accuracy: the least accuracy on the test set, 0 to 1.
        build: how many builds are to meet the limits; 0: estimates alone.
        jobs: processes at a time on this machine; 2 if not given.
        scheduler: the address of a Dask cluster that does the work instead, as 'tcp://HOST:8786'.
        output: the folder; called again on it, a stopped run goes on.
        quiet: show nothing while it runs.

    Raises:
        QapError: an argument or file cannot be used. A candidate that fails is a row with the reason; that nothing
            meets the limits is `met == 0`.
    """
    from qap2fpga.explore.run import explore as run

    wanted = Exploration(
        places=tuple(map(Path, several(places))),
        backends=several(backend),
        boards=tuple(map(board_of, dict.fromkeys(several(board)))),
        options={"target_fps": several(target_fps), "clock": several(clock)},
        limits=Limits(max_lut, max_ff, max_dsp, max_bram18, max_latency_ns, min_accuracy),
        build=build,
        workers=asked_for(jobs, scheduler, "--jobs"),
        output=Path(output),
    )
    with Progress(quiet=quiet) as progress:
        return Candidates(run(wanted, progress))
