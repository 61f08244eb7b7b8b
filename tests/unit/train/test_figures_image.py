# SPDX-License-Identifier: Apache-2.0
"""Images: the same bytes for the same chart, and texts that do not overlap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qap2fpga.train.figures import draw, training
from qap2fpga.train.figures.records import Study
from tests.support import studies
from tests.support.figures import drawn
from tests.support.studies import folded, write


def test_the_same_chart_gives_the_same_bytes_whatever_the_users_settings(study: Study) -> None:
    import matplotlib

    from qap2fpga.train.figures import image

    figure = drawn(training.roc(study))
    png, svg = image.render(figure)
    assert png.startswith(b"\x89PNG") and b"Software" not in png
    assert svg.startswith(b"<?xml") and b"<dc:date>" not in svg
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.hashsalt": None, "font.size": 20}):
        assert image.render(figure) == (png, svg)
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_no_text_lies_on_another_or_on_a_curve(study: Study) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from qap2fpga.train.figures.chart import Curve, Point
    from qap2fpga.train.figures.labels import SIZE, Space, name_curves

    figure = Figure((4, 3), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    curves = [Curve(f"curve {n}", (Point(0.1, n / 8), Point(0.9, n / 8 + 0.02)), n) for n in range(1, 8)]
    assert name_curves(axes, curves, ["black"] * 7)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 7
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
        for curve in curves:
            line = axes.transData.transform([(0.1, curve.points[0].y), (0.9, curve.points[1].y)])
            inside = (box.x0 < line[1][0] and box.x1 > line[0][0]) and not (box.y0 > line[1][1] or box.y1 < line[0][1])
            assert not inside
    full = Space(axes, [Curve("", tuple(Point(x / 50, y / 50) for x in range(51) for y in range(51)), 0)])
    assert not full.write("no room", [Point(0.5, 0.5)], SIZE, "black")
    assert len(axes.texts) == 7


@pytest.mark.filterwarnings("ignore:Data has no positive values")  # matplotlib says so, and draws the axis
def test_values_that_a_logarithmic_axis_cannot_show(tmp_path: Path) -> None:
    write(tmp_path, folded())
    for place in tmp_path.glob("runs/*/record.json"):
        content = json.loads(place.read_text())
        for step in content["steps"]:
            step["metrics"]["test"]["mean_background_efficiency"]["value"] = 0.0
        studies.dump(place, content)
    written = draw(tmp_path, lambda _line: None)
    assert {path.parent for path in written} == {tmp_path / "figures"}
    names = {path.name for path in written}
    assert {"bops.png", "bops.svg", "bops.csv", "loss.png", "roc.png", "hardware.png"} <= names
