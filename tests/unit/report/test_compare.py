# SPDX-License-Identifier: Apache-2.0
"""Builds side by side: only what rests on the same is compared, and the front holds all that nothing beats."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.report import compare, summary
from qap2fpga.report.compare import Line
from qap2fpga.report.summary import Summary
from tests.support.reports import closed, finished, read, row, shown


def of(report: dict[str, Any], name: str = "a") -> Summary:
    return summary.of_build(name, Path(name), read(closed(report)))


def line(key: str, *reports: dict[str, Any]) -> Line:
    lines = compare.lines([of(one, str(index)) for index, one in enumerate(reports)])
    return next(one for one in lines if one.measure.key == key)


def best(key: str, *reports: dict[str, Any]) -> list[int]:
    return [index for index, cell in enumerate(line(key, *reports).cells) if cell.best]


def stands_in() -> dict[str, Any]:
    """An hls4ml build whose measured circuit is the rtl backend's."""
    report = finished()
    report["backend"] = "hls4ml"
    report["stand_in"] = {"backend": "rtl", "refused": None, "design": {"folder": "rtl", "top": "rtl_design"}}
    for part in (*report["measurements"], *report["predictions"], report["simulations"][1]):
        part["circuit"] = "rtl"
    return closed(report)


def test_the_key_numbers_of_a_build() -> None:
    result = of(finished())
    assert (result.lut, result.dsp, result.stage, result.tool) == (5000, 12, "synthesis", "yosys")
    assert (result.accuracy, result.accuracy_rows, result.accuracy_from) == (0.7615, 499, "the integer network")
    assert (result.latency_cycles, result.cycles_from, result.latency_ns) == (137, "measured", 1370.0)
    assert result.zeros == 819 / 1024
    assert result.board_lut == 5000 / 53200
    assert result.lut_per_bop == 5000 / 28100.25
    assert not result.another_circuit
    assert result.sound


def test_the_chips_accuracy_goes_before_the_networks() -> None:
    report = finished()
    report["design"]["accuracy"] = {"output": "class", "rows": 400, "value": 0.75}
    result = of(report)
    assert (result.accuracy, result.accuracy_rows, result.accuracy_from) == (0.75, 400, "the chip's output (class)")


def test_an_estimate_is_not_passed_off_as_a_measurement() -> None:
    report = finished()
    report["measurements"] = []
    for key in ("latency_cycles", "interval_cycles"):
        report["timing"][key]["measured"] = None
    result = of(report)
    assert (result.lut, result.stage, result.verdict) == (4900, "estimate", None)
    assert (result.latency_cycles, result.cycles_from) == (137, "predicted")
    assert line("lut", report, finished()).apart == ("stage", "tool")
    assert best("lut", report, finished()) == []
    assert line("latency_cycles", report, finished()).apart == ("cycles",)


def test_the_best_is_marked_both_ways() -> None:
    small, large = finished(lut=4000), finished(lut=6000)
    assert best("lut", small, large, finished(lut=4000)) == [0, 2]
    exact = finished()
    exact["model"]["accuracy"] = 0.9
    assert best("accuracy", small, exact) == [1]
    assert best("lut", small, small) == []
    assert not line("lut", small, small).differs
    assert line("lut", small, large).differs
    assert best("lut", small, finished(lut=None)) == []


def test_a_build_with_a_failed_check_is_never_the_best() -> None:
    wrong = finished(lut=10)
    wrong["simulations"][1]["mismatches"] = 1
    assert best("lut", wrong, finished(lut=4000), finished(lut=5000)) == [1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda report: report.update(board={**report["board"], "name": "other"}), "board"),
        (lambda report: report["measurements"][0].update(stage="routed"), "stage"),
        (lambda report: report["measurements"][0].update(tool="Vivado"), "tool"),
    ],
)
def test_cells_of_other_boards_stages_and_tools_are_not_compared(change: Any, reason: str) -> None:
    other = finished(lut=10)
    change(other)
    assert line("lut", finished(), other).apart == (reason,)
    assert best("lut", finished(), other) == []
    # Those of one kind still are, beside the other.
    assert best("lut", finished(), other, finished(lut=4000)) == [2]
    assert "≠ LUT, FF, DSP, BRAM18" in shown(finished(), other)


def test_another_circuit_is_not_compared_with_ones_own() -> None:
    assert of(stands_in()).another_circuit
    assert line("lut", finished(), stands_in()).apart == ("circuit",)
    assert line("latency_ns", finished(), stands_in()).apart == ("circuit",)
    assert line("bops_paper", finished(), stands_in()).apart == ()
    assert row(shown(finished(), stands_in()), "measured by")[1] == "yosys, synthesis (rtl circuit)"


def test_accuracies_of_other_rows_are_not_compared() -> None:
    other = finished()
    other["model"] |= {"rows": 1000, "accuracy": 0.9}
    assert line("accuracy", finished(), other).apart == ("rows",)
    assert best("accuracy", finished(), other) == []
    other["model"] |= {"rows": 499, "data": "validation.npz"}
    assert line("accuracy", finished(), other).apart == ("data",)


def test_times_at_other_clocks_are_not_compared() -> None:
    other = deepcopy(finished())
    other["timing"] |= {"clock_ns": 5.0, "latency_ns": 685.0}
    assert line("latency_ns", finished(), other).apart == ("clock",)
    assert best("latency_ns", finished(), other) == []


def test_many_builds_are_rows_and_a_few_are_columns() -> None:
    few = shown(finished(), finished(lut=4000))
    assert row(few, "LUT") == ["5,000", "4,000 *"]
    many = shown(finished(), *(finished(lut=4000 + index) for index in range(10)))
    lines = {line.split()[0]: line.split() for line in many.splitlines() if line.startswith("build")}
    assert lines["build0"] == ["build0", "5,000"]
    assert lines["build1"] == ["build1", "4,000", "*"]
    assert lines["build10"] == ["build10", "4,009"]
    (same,) = (line for line in many.splitlines() if line.startswith("the same in all: "))
    for text in ("board pynq-z2", "backend finn", "accuracy 76.15 %", "BOPs 28,100", "FF 6,000", "DSP 12", "BRAM18 4"):
        assert text in many.replace("\n", " "), text
    assert "LUT" not in same


points = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(st.lists(points, max_size=30))
def test_the_front_is_what_no_other_point_beats(chosen: list[tuple[int, int]]) -> None:
    def beaten(one: tuple[int, int]) -> bool:
        return any(other != one and other[0] <= one[0] and other[1] >= one[1] for other in chosen)

    front = compare.front(chosen)
    assert sorted(front) == [index for index, one in enumerate(chosen) if not beaten(one)]
    assert [chosen[index][0] for index in front] == sorted(chosen[index][0] for index in front)
