# SPDX-License-Identifier: Apache-2.0
"""Where the interval comes from: cycles of folded parts, stages of a pipeline, positions of a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qap2fpga.report import pace
from qap2fpga.report.schema import Report
from tests.support import reports
from tests.unit.report.test_network import image


def of(*nodes: dict[str, Any], interval: int = 64) -> Report:
    tree: dict[str, Any] = reports.finished()
    tree["design"] |= {"nodes": list(nodes)}
    tree["timing"]["interval_cycles"] |= {"predicted": interval, "measured": interval}
    return reports.read(tree)


def test_the_slowest_of_folded_parts_is_named() -> None:
    shown = pace.pace(of({"name": "m", "cycles": 64, "SIMD": 2, "PE": 4}, {"name": "t", "cycles": 16, "PE": 1}))
    assert shown is not None
    assert [(one.name, one.text, one.width, one.slowest) for one in shown.bars] == [
        ("m", "64, SIMD 2, PE 4", 100.0, True), ("t", "16, PE 1", 25.0, False),
    ]  # fmt: skip
    assert shown.interval == "The slowest part takes 64 cycles: m; which is the interval."
    shown = pace.pace(of({"name": "m", "cycles": 1, "PE": 4}, {"name": "n", "cycles": 1, "PE": 1}, interval=3))
    assert shown is not None
    assert shown.interval == "The slowest part takes 1 cycle: m and 1 others as slow; the interval is 3."


def test_fifos_are_listed_beside_the_parts_that_take_cycles() -> None:
    shown = pace.pace(of(
        {"name": "windows", "cycles": 64, "lanes_in": 1, "lanes_out": 9},
        {"name": "queue", "layer": "sum", "cycles": 64, "lanes_in": 1, "lanes_out": 1, "depth": 3},
        {"name": "pool", "cycles": 32, "lanes_in": 2, "lanes_out": 2},
        {"name": "skip", "layer": "sum", "cycles": 64, "lanes_in": 1, "lanes_out": 1, "depth": 17},
    ))  # fmt: skip
    assert shown is not None
    assert [(one.name, one.text) for one in shown.bars] == [("windows", "64, lanes 1 to 9"), ("pool", "32, 2 lanes")]
    assert shown.fifos == (("skip", "sum", 17), ("queue", "sum", 3))


def test_stages_follow_each_other() -> None:
    shown = pace.pace(of({"name": "u", "layer": "fc1", "stages": 1}, {"name": "v", "stages": 3}, interval=1))
    assert shown is not None
    assert [(one.name, one.text, one.start, one.width) for one in shown.bars] == [
        ("fc1", "1 stage", 0.0, 25.0), ("v", "3 stages", 25.0, 75.0),
    ]  # fmt: skip
    assert shown.interval == "A new vector may enter every cycle."


def test_positions_of_a_frame_where_parts_say_nothing() -> None:
    shown = pace.pace(image())
    assert shown is not None
    assert [(one.name, one.text) for one in shown.bars][:3] == [
        ("in", "30, 6x5x2"), ("conv1", "30, 6x5x3"), ("pool", "6, 3x2x3"),
    ]  # fmt: skip
    assert shown.interval == "A new vector may enter every 30 cycles."


def test_nothing_is_shown_of_what_says_nothing() -> None:
    assert pace.pace(of({"name": "m"})) is None
    assert pace.pace(replace(of(), design=None)) is None
    assert pace.pace(replace(of(), model=None)) is None
