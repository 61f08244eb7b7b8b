# SPDX-License-Identifier: Apache-2.0
"""Real builds of the best candidates, each in its own folder, until enough of them meet the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qap2fpga.build.request import Request
from qap2fpga.build.run import build
from qap2fpga.explore.choose import Point
from qap2fpga.explore.estimates import DIED
from qap2fpga.explore.limits import WORDS, Limits, broken
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.report import check, compare, content, studies, summary
from qap2fpga.report.gather import Build
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from qap2fpga.system.workers import Workers

# So many candidates are tried for each build that is wanted, before the search is given up.
TRIES = 3


@dataclass(frozen=True)
class Built:
    """What came of building a candidate. `failed` is why there is no report, else empty.

    `breaks` are the limits that the measured numbers break, and the checks that failed; `ratio` is that of the worst.
    """

    folder: Path
    build: Build | None = None
    breaks: tuple[str, ...] = ()
    ratio: float = 1.0
    failed: str = ""

    @property
    def meets(self) -> bool:
        """Whether it was built, no check failed, and it is within all limits."""
        return not self.failed and not self.breaks


def build_best(
    points: Sequence[Point], most: int, workers: Workers, limits: Limits, progress: Progress
) -> dict[str, Built]:
    """Build ranked points, the best first, until `most` of them meet the limits; by name what came of each.

    As many at a time as are still wanted, so that which are tried does not depend on `workers`; at most `TRIES`
    times as many in all.
    """
    order = sorted((one for one in points if one.rank is not None), key=lambda one: one.rank or 0)[: TRIES * most]
    builds: dict[str, Built] = {}
    while order:
        missing = most - sum(one.meets for one in builds.values())
        if not missing:
            break
        some, order = order[:missing], order[missing:]
        for one, failed in _build_some(some, workers, progress):
            builds[one.candidate.name] = _judged(one, failed, limits)
            progress.note(f"  {one.candidate.name}: {verdict(builds[one.candidate.name])}")
    return builds


def verdict(built: Built) -> str:
    """The outcome in words."""
    if built.failed:
        return f"failed: {built.failed.splitlines()[0]}"
    return "; ".join(built.breaks) or "meets the limits"


def _build_some(some: Sequence[Point], workers: Workers, progress: Progress) -> list[tuple[Point, str]]:
    """(point, why its build failed, else empty) in the order of `some`."""
    ended: dict[str, str] = {}
    with progress.stage(f"build: the best {len(some)} of those left") as say:

        def note(request: Request, failed: str | None) -> None:
            ended[request.output.name] = DIED if failed is None else failed
            say(f"{len(ended)} of {len(some)}")

        workers.each(_build, [_request(one) for one in some], note)
    return [(one, ended[one.candidate.name]) for one in some]


def _request(one: Point) -> Request:
    candidate = one.candidate
    return Request(
        candidate.network.path,
        candidate.target.board,
        candidate.target.backend,
        candidate.target.options,
        Path(one.summary.folder),
        Widths(),
    )


def _build(request: Request) -> str:
    """In a process of its own: build, and say why that failed, or nothing."""
    try:
        build(request, Progress(quiet=True))
    except QapError as error:
        return str(error)
    except Exception as error:  # one build must not stop the others
        return f"{type(error).__name__}: {error}"
    return ""


def _judged(point: Point, failed: str, limits: Limits) -> Built:
    folder = Path(point.summary.folder)
    if failed:
        return Built(folder, failed=failed)
    report = content.load(folder)
    # The build's own accuracy is of the few rows in the model file: the training's is of its whole test set.
    measured = studies.built(point.summary, summary.of_build(point.candidate.name, folder, report))
    measured = replace(measured, kind=summary.BUILD, name=point.candidate.name)
    shown = Build(point.candidate.name, folder, report, measured, studied=True)
    numbers = {name: getattr(measured, name) for name in WORDS}
    over = broken(numbers, measured.accuracy, limits, point.candidate.target.board)
    breaks = [excess.text for excess in over]
    breaks += [f"check failed: {one.name}: {one.found}" for one in check.failed(report)]
    if measured.another_circuit:
        breaks.append(f"measured by {compare.measured_by(measured)}")
    return Built(folder, shown, tuple(breaks), over[0].ratio if over else 1.0)
