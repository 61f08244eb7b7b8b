# SPDX-License-Identifier: Apache-2.0
"""From a study's records to charts, table and files: which runs, which numbers, what is refused."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from qap2fpga.system.errors import QapError
from qap2fpga.train.figures import chart, draw, records, table, tradeoff, training
from qap2fpga.train.figures.chart import ACCURACY, BOPS, EFFICIENCY, LUT, Chart, Missing
from qap2fpga.train.figures.records import Study
from qap2fpga.train.figures.select import (
    comparable,
    focus,
    group,
    regularization,
    regularized,
    setting_of,
    usual_scales,
    widths,
)
from qap2fpga.train.settings import RunConfig
from tests.support import studies
from tests.support.command import run
from tests.support.studies import CLASSES, SPARSITIES, configure, folded, write

FIGURES: tuple[Callable[[Study], Chart | Missing], ...] = (
    training.loss,
    training.roc,
    tradeoff.bops,
    tradeoff.regularizations,
    tradeoff.search,
    tradeoff.randomization,
    tradeoff.hardware,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all experiments of the paper and a search."""
    return write(tmp_path_factory.mktemp("study"), studies.paper(), studies.trials())


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return records.load(folder)


def made(folder: Path, configs: Sequence[RunConfig], search: Sequence[RunConfig] = (), **more: Any) -> Study:
    return records.load(write(folder, configs, search, **more))


def drawn(figure: Chart | Missing) -> Chart:
    assert isinstance(figure, Chart)
    return figure


def change(folder: Path, place: str, **values: Any) -> None:
    """Put other values into the first level of a JSON file."""
    content = json.loads((folder / place).read_text())
    studies.dump(folder / place, {**content, **values})


# --- reading a study ----------------------------------------------------------------------------------------------


def test_runs_that_did_not_end_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path, folded(), studies.trials()[:3])
    change(tmp_path, "runs/run-000/record.json", finished=False)
    shutil.rmtree(tmp_path / "runs/run-001")
    (tmp_path / "runs/run-002/record.json").write_text('{"schema": 1, "fini')
    change(tmp_path, "runs/trial-001/record.json", finished=False)
    found = records.load(tmp_path)
    assert [one.name for one in found.runs] == ["run-003"]
    assert [one.name for one in found.trials] == ["trial-000", "trial-002"]
    assert found.unfinished == 3
    assert found.unreadable == (tmp_path / "runs/run-002/record.json",)
    lines: list[str] = []
    draw(tmp_path, lines.append)
    assert lines[0] == "1 finished runs and 2 finished trials of a search"
    assert lines[1].startswith("3 runs and trials that failed or are not finished")
    assert str(found.unreadable[0]) in lines[2]


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": 2},
        {"steps": []},
        {"steps": [{"step": 0}]},
        {"config": {"data": {"source": "x.npz"}, "model": {"wights": 3}}},
        {"config": None},
    ],
)
def test_a_record_of_another_form_is_left_out(tmp_path: Path, broken: dict[str, Any]) -> None:
    write(tmp_path, folded()[:2])
    change(tmp_path, "runs/run-001/record.json", **broken)
    found = records.load(tmp_path)
    assert len(found.runs) == 1
    assert found.unreadable == (tmp_path / "runs/run-001/record.json",)


def test_a_run_that_diverged_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, folded()[:2])
    place = tmp_path / "runs/run-001/record.json"
    place.write_text(place.read_text().replace('"accuracy": 0.7', '"accuracy": NaN, "was": 0.7'))
    assert len(records.load(tmp_path).unreadable) == 1


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"is not a study: there is no study.json"):
        records.load(tmp_path / "nowhere")
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(QapError, match="is no sound JSON"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", [])
    with pytest.raises(QapError, match="holds a list"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", {"schema": 7})
    with pytest.raises(QapError, match="schema 7, not 1"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", {"schema": 1, "runs": {}})
    with pytest.raises(QapError, match="lists no runs"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", {"schema": 1, "runs": [{"name": "a", "folder": "runs/a"}, 3]})
    with pytest.raises(QapError, match="has no finished run"):
        records.load(tmp_path)
    studies.dump(tmp_path / "search.json", {"trials": None})
    with pytest.raises(QapError, match="lists no trials"):
        records.load(tmp_path)


# --- choosing runs ------------------------------------------------------------------------------------------------


def test_repetitions_differ_in_fold_seed_and_device_only() -> None:
    base = configure()
    alike = [configure((2, 4)), configure(seed=5), configure(training__device="cpu")]
    assert {setting_of(one) for one in alike} == {setting_of(base)}
    others = [
        configure(bits=4),
        configure(model__weight_bits=4),
        configure(model__weight_bits=[6, 6, 6, 4]),
        configure(model__input_bits=6),
        configure(model__scales="power_of_two"),
        configure(model__widths=[64, 32, 16]),
        configure(training__l1=0.0),
        configure(training__learning_rate=0.01),
        configure(pruning__scope="layer"),
        configure(pruning__schedule="lottery_ticket"),
        configure(data__randomize=0.5),
        configure(paper_code=["late_mask"]),
    ]
    assert len({setting_of(one) for one in [base, *others]}) == len(others) + 1


def test_what_a_float_network_does_not_have_does_not_part_its_runs() -> None:
    same = [
        configure(bits=32),
        configure(bits=32, model__scales="power_of_two"),
        configure(bits=32, model__input_bits=4),
    ]
    assert len({setting_of(one) for one in same}) == 1
    assert setting_of(same[0]).bits == 32
    assert setting_of(configure(model__weight_bits=4)).bits is None


def test_curves_differ_in_what_the_figure_is_about_only(tmp_path: Path) -> None:
    odd = [configure(bits=4, training__learning_rate=0.01), configure(bits=12, model__input_bits=12)]
    found = made(tmp_path, [*odd, *folded(), *folded(bits=32), configure(model__weight_bits=3)])
    groups = comparable(group(found.runs))
    assert widths(groups) == [32, 6]
    assert all(len(runs) == 4 for runs in groups.values())


def test_the_usual_scales_and_regularization_are_those_of_most_runs(tmp_path: Path) -> None:
    configs = [*folded(model__scales="power_of_two"), configure(), *folded(bits=32), configure(training__l1=1e-3)]
    groups = group(made(tmp_path, configs).runs)
    assert {one.scales for one in usual_scales(groups)} == {"power_of_two", None}
    assert {one.l1 for one in regularized(groups)} == {1e-5}
    bare = [configure(model__batch_norm=False, training__l1=0.0)]
    (only,) = regularized(group(made(tmp_path / "bare", bare).runs))
    assert regularization(only) == "no L1, no batch norm"


def test_repetitions_are_in_the_order_of_folds(tmp_path: Path) -> None:
    configs = [configure((fold, 4), seed=seed) for fold in (3, 1, 2) for seed in (2, 1)]
    (runs,) = group(made(tmp_path, configs).runs).values()
    assert [(one.config.fold, one.config.seed) for one in runs] == [((f, 4), s) for f in (1, 2, 3) for s in (1, 2)]


@pytest.mark.parametrize(("bits", "chosen"), [([12, 6, 4], 6), ([12, 8, 4], 4), ([8, 3], 8), ([16], 16)])
def test_where_one_width_is_shown_it_is_six_or_the_next(bits: list[int], chosen: int) -> None:
    assert focus(bits) == chosen


# --- numbers of a curve -------------------------------------------------------------------------------------------


def test_points_are_means_over_folds_with_the_standard_error(study: Study) -> None:
    runs = next(runs for one, runs in group(study.runs).items() if one == setting_of(configure()))
    found = chart.points(runs, BOPS, ACCURACY)
    assert len(found) == len(SPARSITIES)
    for index, point in enumerate(found):
        values = [one.steps[index].accuracy for one in runs]
        assert point.y == fmean(values)
        assert point.error == stdev(values) / math.sqrt(4)
        assert point.x == pytest.approx(studies.bops(configure(), SPARSITIES[index]))
        assert (point.sparsity, point.runs) == (pytest.approx(SPARSITIES[index]), 4)


def test_mean_and_error_of_known_values() -> None:
    assert chart.mean([1.0, 2.0, 3.0, 6.0]) == (3.0, math.sqrt(14 / 3) / 2)
    assert chart.mean([0.5]) == (0.5, None)


def test_steps_that_some_runs_or_records_do_not_have(tmp_path: Path) -> None:
    write(tmp_path, folded()[:2])
    content = json.loads((tmp_path / "runs/run-001/record.json").read_text())
    del content["steps"][3:]
    del content["steps"][1]["estimate"]
    studies.dump(tmp_path / "runs/run-001/record.json", content)
    runs = records.load(tmp_path).runs
    assert [one.runs for one in chart.points(runs, BOPS, ACCURACY)] == [2, 2, 2] + [1] * 9
    assert [one.runs for one in chart.points(runs, LUT, ACCURACY)] == [2, 1, 2] + [1] * 9
    assert [one.error is None for one in chart.points(runs, LUT, ACCURACY)] == [False, True, False] + [True] * 9


def test_the_csv_holds_every_plotted_point(study: Study) -> None:
    for make in FIGURES:
        figure = drawn(make(study))
        rows = list(csv.DictReader(io.StringIO(chart.to_csv(figure))))
        panels = [panel for row in figure.rows for panel in row]
        plotted = [
            (panel.title, curve.label, one.x, one.y)
            for panel in panels
            for curve in panel.curves
            for one in curve.points
        ]
        assert [(row["panel"], row["curve"], float(row["x"]), float(row["y"])) for row in rows] == plotted
        assert not any("%]" in row["y_quantity"] or "\n" in row["y_quantity"] for row in rows)


# --- the figures --------------------------------------------------------------------------------------------------


def test_every_figure_says_what_it_misses(tmp_path: Path) -> None:
    bare = made(tmp_path, [configure(pruning__schedule="none")], luts=False)
    found = [make(bare) for make in FIGURES]
    assert all(isinstance(one, Missing) and one.needs for one in found)
    assert {one.name for one in found} == {
        "loss",
        "roc",
        "bops",
        "regularization",
        "search",
        "randomization",
        "hardware",
    }
    lines: list[str] = []
    written = draw(tmp_path, lines.append)
    assert [path.name for path in written] == ["table.csv", "table.md"]
    assert sum("skipped, it needs" in line for line in lines) == 7
    assert (
        "bops: skipped, it needs model.bits: [32, 12, 6, 4], pruning.schedule: [fine_tuning, lottery_ticket]" in lines
    )


def test_bops_has_a_column_a_schedule_and_a_curve_a_width(study: Study) -> None:
    figure = drawn(tradeoff.bops(study))
    assert [[panel.title for panel in row] for row in figure.rows] == [["fine-tuning", "lottery ticket"]] * 2
    for panel in (panel for row in figure.rows for panel in row):
        assert [curve.label for curve in panel.curves] == ["32 bits", "12 bits", "6 bits", "4 bits"]
        assert len({curve.colour for curve in panel.curves}) == 4
        assert all(len(curve.points) == len(SPARSITIES) and curve.points[0].runs == 4 for curve in panel.curves)


def test_names_and_order_of_runs_do_not_matter(tmp_path: Path, study: Study) -> None:
    configs, trials = studies.paper(), studies.trials()
    random.Random(7).shuffle(configs)
    random.Random(8).shuffle(trials)
    shuffled = made(tmp_path, configs, trials)
    for make in (training.loss, training.roc, tradeoff.bops, tradeoff.regularizations, tradeoff.randomization):
        assert make(shuffled) == make(study)
    assert table.rows(shuffled) == table.rows(study)


def test_loss_runs_over_the_epochs_of_all_steps(study: Study) -> None:
    (panels,) = drawn(training.loss(study)).rows
    assert [panel.title for panel in panels] == ["6 bits, fine-tuning", "6 bits, lottery ticket"]
    first = next(one for one in study.runs if one.config == configure((1, 4), pruning__schedule="fine_tuning"))
    epochs = [epoch for step in first.steps for epoch in step.epochs]
    losses, validation = panels[0].curves
    assert [(one.x, one.y) for one in losses.points] == [(n, e.training_loss) for n, e in enumerate(epochs, 1)]
    assert [one.y for one in validation.points] == [epoch.validation_loss for epoch in epochs]
    starts = [sum(len(step.epochs) for step in first.steps[:index]) + 0.5 for index in range(len(SPARSITIES))]
    assert [x for x, _ in panels[0].verticals] == starts
    assert [text for _, text in panels[0].verticals][:3] == ["0 %", "10 %", "20 %"]


def test_roc_compares_the_float_network_with_the_pruned_one(study: Study) -> None:
    ((panel,),) = drawn(training.roc(study)).rows
    assert panel.title == "full lines: 32 bits, not pruned;  broken lines: 6 bits, 80 % pruned"
    assert [curve.dashed for curve in panel.curves] == [False] * 5 + [True] * 5
    pruned = next(one for one in study.runs if one.config == configure((1, 4))).steps[SPARSITIES.index(0.8)]
    for name, curve in zip(CLASSES, panel.curves[5:], strict=True):
        assert curve.label == f"{name}, AUC {pruned.auc[name]:.3f}"
        assert tuple(one.x for one in curve.points) == pruned.roc[name].signal_efficiency
        assert tuple(one.y for one in curve.points) == pruned.roc[name].background_efficiency


def test_regularization_compares_at_the_widths_that_have_both(study: Study) -> None:
    figure = drawn(tradeoff.regularizations(study))
    assert [panel.title for panel in figure.rows[0]] == ["32 bits", "6 bits"]
    assert [one.label for one in figure.rows[0][1].curves] == ["L1 and batch norm", "no L1", "no batch norm"]


def test_the_best_trial_has_the_lowest_validation_loss(study: Study) -> None:
    (panels,) = drawn(tradeoff.search(study)).rows
    labels = [curve.label for curve in panels[0].curves]
    assert labels[:2] == ["QAP, 32 bits", "QAP, 6 bits"]
    assert labels[2:] == ["BO, 32 bits", "BO, 32 bits, best", "BO, 6 bits", "BO, 6 bits, best"]
    six = [one.steps[-1] for one in study.trials if setting_of(one.config).bits == 6]
    best = min(six, key=lambda step: step.validation_loss)
    (star,) = panels[0].curves[-1].points
    assert (star.x, star.y) == (best.bops, best.accuracy)
    assert len(panels[0].curves[-2].points) == len(six) == 10


def test_trials_of_mixed_bits_stand_beside_all_widths(tmp_path: Path) -> None:
    mixed = [configure(model__weight_bits=[6, 4, 4, 6]), configure(model__weight_bits=[2, 4, 4, 6])]
    (panels,) = drawn(tradeoff.search(made(tmp_path, [*folded(bits=12), *folded(bits=4)], mixed))).rows
    assert [one.label for one in panels[0].curves] == [
        "QAP, 12 bits",
        "QAP, 4 bits",
        "BO, mixed bits",
        "BO, mixed bits, best",
    ]


def test_randomization_shows_shares_of_random_labels_and_the_samples_cap(study: Study) -> None:
    figure = drawn(tradeoff.randomization(study))
    titles = ["6 bits, L1 and batch norm", "6 bits, no L1", "6 bits, no batch norm"]
    assert [panel.title for panel in figure.rows[0]] == titles
    assert [one.label for one in figure.rows[0][0].curves] == [
        "true labels",
        "50 % random",
        "75 % random",
        "90 % random",
    ]
    cap = math.log2(240_000)
    ((found, _),) = figure.rows[2][0].caps
    assert found == pytest.approx((cap / 64 * cap / 32 * cap / 32) ** (1 / 3))
    assert figure.rows[2][0].y is EFFICIENCY and not figure.rows[0][0].caps


def test_without_neural_efficiency_its_row_is_missing(tmp_path: Path) -> None:
    write(tmp_path, [configure(), configure(data__randomize=0.5)])
    for place in ("run-000", "run-001"):
        content = json.loads((tmp_path / "runs" / place / "record.json").read_text())
        for step in content["steps"]:
            del step["metrics"]["test"]["neural_efficiency"]
        studies.dump(tmp_path / "runs" / place / "record.json", content)
    assert len(drawn(tradeoff.randomization(records.load(tmp_path))).rows) == 2


def test_hardware_shows_estimates_only(study: Study, tmp_path: Path) -> None:
    (panels,) = drawn(tradeoff.hardware(study)).rows
    assert [panel.x for panel in panels] == [BOPS, LUT]
    runs = [one for one in panels[1].curves if one.line]
    assert [one.label for one in runs] == [
        "12 bits, arbitrary scales",
        "6 bits, arbitrary scales",
        "6 bits, power of two scales",
        "4 bits, arbitrary scales",
    ]
    assert [one.dashed for one in runs] == [False, False, True, False]
    write(tmp_path, folded(), studies.trials()[:2], luts=False)
    entries = json.loads((tmp_path / "search.json").read_text())["trials"]
    entries[1]["objectives"] = {"validation_loss": 0.7, "predicted_luts": 1234.0}
    studies.dump(tmp_path / "search.json", {"trials": entries})
    (panels,) = drawn(tradeoff.hardware(records.load(tmp_path))).rows
    ((only,),) = [panel.curves for panel in panels[1:]]
    assert only.label == "search, 6 bits"
    assert [one.x for one in only.points] == [1234.0]


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_a_network_and_schedule(study: Study) -> None:
    rows = table.rows(study)
    regular = [row for row in rows if row.trained_with == "L1 and batch norm" and row.scales != "power of two"]
    assert [(row.model, row.bits, row.schedule) for row in regular if row.bits in ("32", "6")] == [
        ("nominal", "32", ""),
        ("pruning", "32", "fine-tuning"),
        ("pruning", "32", "lottery ticket"),
        ("PTQ", "6", ""),
        ("pruning, then PTQ", "6", "fine-tuning"),
        ("QAT", "6", ""),
        ("QAP", "6", "fine-tuning"),
        ("QAP", "6", "lottery ticket"),
        ("BO", "32", ""),
        ("BO", "6", ""),
    ]
    assert rows[0].bops == studies.bops(configure(bits=32), 0.0) == 4652832
    assert rows[0].runs == 4 and rows[-1].runs == 1 and rows[-1].accuracy_error is None


def test_the_pruned_row_is_the_sparsest_within_a_percentage_point(tmp_path: Path) -> None:
    write(tmp_path, [configure()])
    content = json.loads((tmp_path / "runs/run-000/record.json").read_text())
    accuracies = [0.770, 0.772, 0.761, 0.759, 0.7601, 0.755, 0.69, 0.68, 0.67, 0.66, 0.65, 0.5]
    for step, value in zip(content["steps"], accuracies, strict=True):
        step["metrics"]["test"]["accuracy"] = value
    studies.dump(tmp_path / "runs/run-000/record.json", content)
    dense, pruned = table.rows(records.load(tmp_path))
    assert (dense.model, dense.accuracy, dense.sparsity) == ("QAT", 0.770, 0.0)
    assert (pruned.model, pruned.accuracy, pruned.sparsity) == ("QAP", 0.7601, 0.4)


def test_the_table_as_csv_and_markdown(study: Study) -> None:
    rows = table.rows(study)
    read = list(csv.DictReader(io.StringIO(table.to_csv(rows))))
    assert [float(one["accuracy"]) for one in read] == [row.accuracy for row in rows]
    assert read[-1]["accuracy_error"] == ""
    lines = table.to_markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert f"| {100 * rows[0].accuracy:.2f} ± {100 * (rows[0].accuracy_error or 0):.2f} |" in lines[2]


# --- images and files ---------------------------------------------------------------------------------------------


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


@pytest.mark.slow
def test_a_whole_study_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    result = run("figures", folder, "--output", tmp_path / "out")
    assert result.code == 0 and not result.err
    assert "92 finished runs and 20 finished trials" in result.out
    names = [one(records.load(folder)).name for one in FIGURES]
    expected = {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")} | {"table.csv", "table.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_the_command_refuses_what_is_no_study(tmp_path: Path) -> None:
    result = run("figures", tmp_path)
    assert result.code == 2
    assert "is not a study" in result.err and "`qap2fpga study`" in result.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write(tmp_path / "study", [configure(pruning__schedule="none")])
    (tmp_path / "file").write_text("")
    result = run("figures", tmp_path / "study", "--output", tmp_path / "file")
    assert result.code == 2
    assert "cannot write" in result.err


def test_charts_need_no_matplotlib() -> None:
    modules = (chart, records, table, tradeoff, training, sys.modules["qap2fpga.train.figures.select"])
    assert not any("matplotlib" in Path(one.__file__ or "").read_text() for one in modules)
