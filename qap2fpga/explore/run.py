# SPDX-License-Identifier: Apache-2.0
"""`qap2fpga explore`: candidates, estimates, choice, builds, and what is written of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qap2fpga.explore import builds, candidates, choose, estimates, write
from qap2fpga.explore.choose import DROPPED, FAILED, RANKED, Point
from qap2fpga.explore.limits import Limits
from qap2fpga.explore.result import Exploration, Explored
from qap2fpga.system.errors import QapError
from qap2fpga.system.locks import locked
from qap2fpga.system.progress import Progress


def explore(request: Exploration, progress: Progress) -> Explored:
    """Do all of it, as far as it is not done, and write the result.

    Raises `QapError` for input that cannot be used; one candidate that fails is a point with a reason.
    """
    if request.build < 0:
        raise QapError("--build is below 0", "give a whole number; --build 0 only estimates")
    on = candidates.targets(request.backends, request.boards, request.options)
    for place in request.places:
        candidates.require(place)
    with locked(request.output):
        places = [_trained(place, request, progress) for place in request.places]
        search = candidates.find(places)
        chosen = candidates.candidates(search.networks, on)
        # An estimate takes seconds; what is known to be too inaccurate needs none.
        good = [one for one in chosen if not _too_inaccurate(one.network.summary.accuracy, request.limits)]
        title = f"estimate: {len(good)} of {len(chosen)} candidates, {len(search.networks)} networks"
        with progress.stage(title) as say:
            estimated = estimates.estimate_all(good, request.output, request.workers, say)
        points = [
            choose.point(
                one, estimated.lines.get(one.key), estimated.models.get(one.network.sha256, {}),
                str(request.output / "builds" / one.name), request.limits,
            )
            for one in chosen
        ]  # fmt: skip
        _require_accuracy(points, request.limits)
        ranked = choose.rank(points)
        progress.note(f"  {_counts(ranked)}")
        built = builds.build_best(ranked, request.build, request.workers, request.limits, progress)
        explored = Explored(request, tuple(ranked), built, search.left_out)
        write.write(explored)
    return explored


def _trained(place: Path, request: Exploration, progress: Progress) -> Path:
    """The study folder of a study's file, trained as far as it is not; any other place as it is."""
    if place.suffix not in (".yaml", ".yml"):
        return place
    from qap2fpga.train.study import study

    folder = request.output / "studies" / place.stem
    on = request.workers
    count = None if on.scheduler else on.processes
    result = study(place, folder, scheduler=on.scheduler, workers=count, quiet=progress.quiet)
    for name, message in result.failures.items():
        progress.note(f"  training {name} failed: {message}")
    return folder


def _too_inaccurate(accuracy: float | None, limits: Limits) -> bool:
    return limits.min_accuracy is not None and accuracy is not None and accuracy < limits.min_accuracy


def _require_accuracy(points: Sequence[Point], limits: Limits) -> None:
    unknown = [one for one in points if not one.failed and one.summary.accuracy is None]
    if limits.min_accuracy is not None and unknown:
        name = unknown[0].candidate.network.path
        hint = "leave --min-accuracy out, or give a study, or a model.pt with its test accuracy or labelled examples"
        raise QapError(f"--min-accuracy is given, but the accuracy of {name} is not known", hint)


def _counts(points: Sequence[Point]) -> str:
    by = {status: sum(one.status == status for one in points) for status in (RANKED, DROPPED, FAILED)}
    best = sum(one.best for one in points)
    return f"{by[RANKED]} may meet the limits, {best} of them the Pareto set; {by[DROPPED]} cannot; {by[FAILED]} failed"
