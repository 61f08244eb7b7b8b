# SPDX-License-Identifier: Apache-2.0
"""The drawing of a network: each node and edge once, nothing on top of another; lines say shape, bits and cost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from qap2fpga.ir import described
from qap2fpga.report import drawing, parts
from qap2fpga.report.drawing import Drawing
from qap2fpga.report.schema import Report
from tests.support import reports
from tests.support.graphs import residual, small_cnn
from tests.unit.report.test_network import image


def points(path: str) -> list[tuple[float, float]]:
    """The corners of a path of M, H and V."""
    corners: list[tuple[float, float]] = []
    for letter, numbers in re.findall(r"([MHV])([-\d. ]+)", path):
        values = [float(one) for one in numbers.split()]
        x, y = corners[-1] if corners else (0.0, 0.0)
        corners.append((values[0], values[1]) if letter == "M" else (values[0], y) if letter == "H" else (x, values[0]))
    return corners


def inside(drawn: Drawing, path: str) -> Iterator[str]:
    """The boxes that the path runs through."""
    for (x, y), (to, until) in zip(points(path), points(path)[1:], strict=False):
        for box in drawn.boxes:
            left, right = box.x + 1, box.x + drawing.WIDTH - 1
            beside = max(x, to) <= left or min(x, to) >= right
            if not beside and max(y, until) > box.y + 1 and min(y, until) < box.y + drawing.HEIGHT - 1:
                yield box.name


def branched() -> Report:
    report = image()
    assert report.model is not None
    return replace(report, model=replace(report.model, nodes=described.nodes(residual())))


@pytest.mark.parametrize("report", [image(), branched()], ids=["chain", "branches"])
def test_nothing_is_on_top_of_another(report: Report) -> None:
    drawn = drawing.drawing(report, ())
    assert drawn is not None
    for one, other in combinations(drawn.boxes, 2):
        assert abs(one.x - other.x) >= drawing.WIDTH or abs(one.y - other.y) >= drawing.HEIGHT
    for path in (one.line for one in drawn.arrows):
        assert not list(inside(drawn, path)), path
        assert all(0 <= x <= drawn.width and 0 <= y <= drawn.height for x, y in points(path))


def test_every_edge_is_an_arrow_between_its_nodes() -> None:
    drawn = drawing.drawing(branched(), ())
    assert drawn is not None
    places = {box.name: box for box in drawn.boxes}
    ends = set()
    for arrow in drawn.arrows:
        (x, y), (to, until) = points(arrow.line)[0], points(arrow.line)[-1]
        (start,) = (one.name for one in drawn.boxes if one.y + drawing.HEIGHT == y and 0 < x - one.x < drawing.WIDTH)
        (end,) = (one.name for one in drawn.boxes if one.y - drawing.HEAD == until and 0 < to - one.x < drawing.WIDTH)
        ends.add((start, end))
    assert {("conv", "add"), ("in", "add"), ("pool", "both"), ("mean", "both"), ("add", "pool")} <= ends
    assert places["in"].y < places["conv"].y < places["add"].y


def test_a_box_says_shape_bits_zeros_and_luts() -> None:
    report = image()
    layers = [parts.Part("a", "conv1", {}, {"lut": 30}), parts.Part("b", "conv1", {"lut": 12}, {}),
              parts.Part("c", "dense", {"lut": 84}, {"lut": None})]  # fmt: skip
    drawn = drawing.drawing(report, layers)
    assert drawn is not None and report.model is not None
    boxes = {box.name: box for box in drawn.boxes}
    assert boxes["conv1"].lines[1] == "6x5x3, 2 bits unsigned"
    assert boxes["conv1"].lines[2].endswith("42 LUTs")
    assert (boxes["conv1"].bar, boxes["dense"].bar, boxes["pool"].bar) == (50.0, 100.0, 0.0)


def test_a_chain_of_dense_layers_is_drawn_from_its_layers() -> None:
    drawn = drawing.drawing(reports.read(reports.finished()), ())
    assert drawn is not None
    names = [box.name for box in drawn.boxes]
    assert names[0] == "input" and len(names) == len(drawn.arrows) + 1
    assert re.fullmatch(r"\d+ % zeros", drawn.boxes[1].lines[2])


def test_a_report_without_a_network_has_no_drawing() -> None:
    assert drawing.drawing(replace(image(), model=None), ()) is None


def test_long_names_are_cut_with_a_sign_and_whole_in_the_title() -> None:
    report = image()
    assert report.model is not None
    long = "a" * 60
    nodes = tuple(replace(one, what=long) if one.name == "pool" else one for one in described.nodes(small_cnn()))
    drawn = drawing.drawing(replace(report, model=replace(report.model, nodes=nodes)), ())
    assert drawn is not None
    (box,) = (one for one in drawn.boxes if one.name == "pool")
    assert box.lines[0] == "a" * (drawing.LONGEST - 1) + "…" and long in box.title
