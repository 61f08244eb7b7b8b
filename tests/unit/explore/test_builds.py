# SPDX-License-Identifier: Apache-2.0
"""Builds go on until enough of them meet the limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qap2fpga.explore import builds, choose
from qap2fpga.explore.limits import Limits
from qap2fpga.explore.result import Exploration, Explored
from qap2fpga.system.errors import CheckFailed
from tests.support.explorations import NO_LIMITS, PYNQ, built, candidate, estimated, explored, point


def test_builds_go_on_until_enough_meet_the_limits(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    waves, outcomes = fake
    outcomes |= {"p0": 1001, "p2": "Yosys failed"}
    exploration = explored(tmp_path, 9, 2, Limits(max_lut=1000))
    assert waves == [["p0", "p1"], ["p2"], ["p3"]] and exploration.met == 2
    exploration.check()
    assert builds.verdict(exploration.built["p0"]) == "1,001 LUTs (--max-lut 1,000)"
    assert builds.verdict(exploration.built["p2"]) == "failed: Yosys failed"
    assert exploration.built["p3"].meets


def test_builds_end_after_so_many_tries_and_the_nearest_is_named(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    waves, outcomes = fake
    outcomes |= {f"p{one}": 2000 - 100 * one for one in range(9)}
    exploration = explored(tmp_path, 9, 2, Limits(max_lut=1000))
    assert [name for wave in waves for name in wave] == [f"p{one}" for one in range(builds.TRIES * 2)]
    with pytest.raises(CheckFailed, match=r"nearest is p5: 1,500 LUTs \(--max-lut 1,000\)") as error:
        exploration.check()
    assert error.value.exit_code == 1


def test_without_builds_the_estimates_say_what_is_nearest(tmp_path: Path) -> None:
    limits = Limits(max_lut=90)
    points = [point("far", 500, limits=limits), point("near", 120, limits=limits)]
    request = Exploration((), (), (PYNQ,), {}, limits, 0, 2, tmp_path)
    with pytest.raises(CheckFailed, match=r"nearest by its estimate is near: 120 LUTs"):
        Explored(request, tuple(choose.rank(points)), {}, ()).check()
    Explored(request, tuple(choose.rank([*points, point("in", 90, limits=limits)])), {}, ()).check()


def test_a_build_with_a_failed_check_does_not_meet_the_limits(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    (one,) = choose.rank([choose.point(candidate("p0"), estimated(100), {}, str(tmp_path / "builds/p0"), NO_LIMITS)])
    built(tmp_path, "p0")
    assert builds._judged(one, "", NO_LIMITS).meets
    path = tmp_path / "builds/p0/report.json"
    report = json.loads(path.read_text())
    report["checks"] = [{"name": "DSP blocks", "expected": "0", "found": "2", "outcome": "failed", "why": "?"}]
    path.write_text(json.dumps(report))
    assert builds._judged(one, "", NO_LIMITS).breaks == ("check failed: DSP blocks: 2",)
    report["measurements"][0]["circuit"] = "finn"
    path.write_text(json.dumps({**report, "checks": []}))
    assert not builds._judged(one, "", NO_LIMITS).meets
