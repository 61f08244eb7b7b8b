# SPDX-License-Identifier: Apache-2.0
"""The benchmark of growth: what it runs, what it reads of it, and what its page says."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cost, growth, growth_page
from qap2fpga.system.progress import Progress


def line(family: str, size: int, **more: Any) -> dict[str, Any]:
    return {"family": family, "size": size, "wall": 2.0 * size, "cpu": float(size**2), "mib": 100.0,
            "stages": {"synthesize": size / 10}, **more}  # fmt: skip


def test_an_exponent_is_of_the_largest_sizes() -> None:
    assert growth_page.exponent([1, 2, 4, 8], [50, 4, 16, 64]) == pytest.approx(2)
    assert growth_page.exponent([1, 2], [1, 2]) is None


def test_a_page_has_every_point_and_the_reason_of_one_that_did_not_end(tmp_path: Path) -> None:
    lines = [line(growth_page.LAYERS, size, nonzeros=10 * size, lut=100 * size, failed=[]) for size in (8, 2, 4)]
    lines += [{"family": growth_page.LAYERS, "size": 16, "stopped": "not within 5 s"}]
    lines += [line(growth_page.NONZEROS, zeros, nonzeros=(100 - zeros) ** 2, lut=1, failed=["LUT as predicted"])
              for zeros in (80, 90, 60)]  # fmt: skip
    growth_page.write(lines, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    layers, weights = text.split("## Layers, rtl")[1], text.split("## Weights, rtl")[1].split("## Layers")[0]
    sizes = [row.split("|")[1].strip() for row in layers.splitlines() if row.startswith("| ")][2:]
    assert sizes == ["2", "4", "8", "16"] and "| 16 | not within 5 s |" in layers
    rows = [row for row in weights.splitlines() if row.startswith("| ")][2:]
    assert [row.split("|")[2].strip() for row in rows] == ["100", "400", "1,600"]  # from few weights to many
    assert "Checks that failed: LUT as predicted." in weights and "Checks" not in layers
    assert (tmp_path / "page.svg").read_text().startswith("<?xml")
    assert "| layers, rtl | layers | 2 to 8 | 2.00 | 2.00 | 0.00 | logic: " in text


def test_stages_are_read_as_a_build_prints_them(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=False) as progress:
        for title in ("synthesize: Yosys", "simulate: RTL in Verilator", growth.NETLIST):
            with progress.stage(title):
                pass
        progress.reused("model: export, lower, compare")
    times = growth.stages(capfd.readouterr().err)
    assert list(times) == ["synthesize", "simulate", "netlist"] and max(times.values()) < 60


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    script = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(subprocess.TimeoutExpired):
        cost.of(["-c", script], tmp_path, os.environ, 5)
    process = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    deadline = time.monotonic() + 60
    while process.exists() and ") Z " not in process.read_text():  # it may wait to be collected
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_family_is_on_the_page() -> None:
    assert (
        {one.name for one in growth.FAMILIES}
        == set(growth_page.FAMILIES)
        == set(growth_page.WHAT)
        == set(growth_page.CAUSES)
    )


@pytest.mark.slow
def test_a_point_is_measured(tmp_path: Path) -> None:
    family = growth.Family("estimates", (1,), growth.explored)
    result = growth.measure(family, 1, 300)
    assert result["size"] == 1 and result["cpu"] > 0.5 and result["mib"] > 50 and "stopped" not in result
    bad = growth.Family("bad", (1,), lambda size, folder: ("build", "missing.pt", "--board", "pynq-z2"))
    assert growth.measure(bad, 1, 300)["stopped"].startswith("qap2fpga: ")


def test_what_a_report_says(tmp_path: Path) -> None:
    layers = [{"hardware": {"nonzeros": 3}}, {"hardware": {"nonzeros": 4}}]
    checks = [{"name": "a", "outcome": "passed"}, {"name": "b", "outcome": "failed"}]
    content = {"model": {"layers": layers}, "measurements": [{"total": {"lut": 9}}], "checks": checks}
    (tmp_path / "report.json").write_text(json.dumps(content))
    assert growth.facts(tmp_path / "report.json") == {"nonzeros": 7, "lut": 9, "failed": ["b"]}
    assert growth.facts(tmp_path / "none.json") == {}
