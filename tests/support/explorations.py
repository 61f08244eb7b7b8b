# SPDX-License-Identifier: Apache-2.0
"""Small networks, candidates and estimates for the tests of explorations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.estimate.prediction import Estimated, Interval
from qap2fpga.explore import builds, candidates, choose
from qap2fpga.explore.choose import Point
from qap2fpga.explore.estimates import Line
from qap2fpga.explore.limits import Limits
from qap2fpga.explore.result import Exploration, Explored
from qap2fpga.hw import boards
from qap2fpga.report.summary import CHECKPOINT, Summary
from qap2fpga.system.progress import Progress
from qap2fpga.system.workers import Workers
from tests.support.reports import finished

PYNQ, LARGE = boards.load("pynq-z2"), boards.load("vu13p")


NO_LIMITS = Limits()


def network(name: str, accuracy: float | None = 0.75) -> candidates.Network:
    return candidates.Network(Path(f"{name}.pt"), f"sha of {name}", Summary(CHECKPOINT, name, ".", accuracy=accuracy))


def candidate(name: str, accuracy: float | None = 0.75) -> candidates.Candidate:
    target = candidates.Target("rtl", PYNQ, RtlOptions(clock=5.0))
    return candidates.Candidate(name, f"key of {name}", network(name, accuracy), target)


def estimated(lut: float, cycles: float = 10, *, spread: float = 1.0, calibrated: bool = True) -> Line:
    """A line of the estimates."""
    exact = {"latency_cycles": cycles, "interval_cycles": 1, "dsp": 0, "ff": 100, "bram18": 0}
    predictions = {name: Interval.exact(value) for name, value in exact.items()}
    predictions["lut"] = Interval(lut, lut / spread, lut * spread)
    return Line(key="key", name="name", estimate=Estimated(calibrated=calibrated, predictions=predictions))


def point(name: str, lut: float, accuracy: float | None = 0.75, limits: Limits = NO_LIMITS, **more: Any) -> Point:
    return choose.point(candidate(name, accuracy), estimated(lut, **more), {}, f"builds/{name}", limits)


def built(folder: Path, name: str, **total: int) -> None:
    """What a build leaves."""
    report = {**finished(**total), "backend": "rtl"}
    for one in (*report["measurements"], *report["predictions"]):
        one["circuit"] = "rtl"
    report["checks"] = []
    (folder / "builds" / name).mkdir(parents=True, exist_ok=True)
    (folder / "builds" / name / "report.json").write_text(json.dumps(report))


def explored(folder: Path, count: int, wanted: int, limits: Limits = NO_LIMITS) -> Explored:
    """Points p0, p1, ... in this order, and as many builds as it takes."""
    points = choose.rank([
        choose.point(candidate(f"p{one}", 0.9 - one / 100), estimated(100), {}, str(folder / "builds" / f"p{one}"),
                     limits) for one in range(count)
    ])  # fmt: skip
    result = builds.build_best(points, wanted, Workers(2), limits, Progress(quiet=True))
    request = Exploration((), (), (PYNQ,), {}, limits, wanted, Workers(2), folder)
    return Explored(request, tuple(points), result, ("[b]a network[/b] is gone",))
