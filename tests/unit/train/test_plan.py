# SPDX-License-Identifier: Apache-2.0
"""Study files: expanded to runs with readable names, and refused whole when something in them is wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.system.errors import QapError
from qap2fpga.train import config as configs
from qap2fpga.train import plan
from tests.conftest import ROOT

JETS = str(ROOT / "examples" / "jets.npz")
STUDY: dict[str, Any] = {
    "base": {"data": {"source": JETS}},
    "experiments": [
        {"name": "bits", "vary": {"model.bits": [32, 6], "pruning.schedule": ["fine_tuning", "lottery_ticket"]}},
        {"name": "no batch norm", "vary": {"model.bits": [6], "model.batch_norm": [False]}},
    ],
    "folds": 2,
    "searches": [
        {
            "name": "widths",
            "set": {"model.bits": 6, "pruning.schedule": "none"},
            "parameters": {"model.widths": [[8, 64], [4, 32], [4, 32]]},
        }
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """`STUDY` with another value at a path of keys and indices; `...` takes the key away."""
    tree = copy.deepcopy(STUDY)
    *before, last = path.split("/")
    place: Any = tree
    for part in before:
        place = place[int(part)] if part.isdigit() else place[part]
    key = int(last) if last.isdigit() else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return tree


def test_every_combination_and_fold_is_a_run() -> None:
    runs = plan.from_dict(STUDY).runs
    assert [run.name for run in runs] == [
        *(f"bits-{bits}b-{schedule}-fold{fold}"
          for bits in (32, 6) for schedule in ("fine_tuning", "lottery_ticket") for fold in (1, 2)),
        *(f"no_batch_norm-6b-no_batch_norm-fold{fold}" for fold in (1, 2)),
    ]  # fmt: skip
    third = runs[2]
    assert (third.experiment, third.point) == ("bits", "bits-32b-lottery_ticket")
    assert third.varied == {"model.bits": 32, "pruning.schedule": "lottery_ticket"}
    expected = configs.from_dict(
        {
            "data": {"source": JETS},
            "model": {"weight_bits": 32, "activation_bits": 32},
            "pruning": {"schedule": "lottery_ticket"},
            "fold": [1, 2],
        }
    )
    assert third.config == expected


def test_without_folds_the_bases_fold_stays() -> None:
    tree = changed("folds", ...)
    tree["base"]["fold"] = [2, 3]
    runs = plan.from_dict(tree).runs
    assert [run.config.fold for run in runs] == [(2, 3)] * 5
    assert all(run.name == run.point for run in runs)


def test_a_bare_grid_is_an_experiment() -> None:
    runs = plan.from_dict({"base": STUDY["base"], "vary": {"seed": [1, 2]}}).runs
    assert [(run.name, run.experiment, run.config.seed) for run in runs] == [
        ("grid-seed_1", "grid", 1),
        ("grid-seed_2", "grid", 2),
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(2, 16), min_size=1, max_size=5, unique=True), st.integers(2, 5))
def test_names_do_not_depend_on_what_else_varies(bits: list[int], folds: int) -> None:
    """A study that grows finds its finished runs again."""
    tree = {"base": STUDY["base"], "folds": folds, "vary": {"model.bits": bits}}
    more = {**tree, "vary": {"model.bits": [32, *bits]}}
    few, many = ({run.name: run.config for run in plan.from_dict(one).runs} for one in (tree, more))
    assert len(few) == len(bits) * folds
    assert few.items() <= many.items()


@pytest.mark.parametrize(
    ("path", "value", "token"),
    [
        ("model.batch_norm", True, "batch_norm"),
        ("training.l1", 0.0, "l1_0.0"),
        ("training.l1", 1e-4, "l1_0.0001"),
        ("model.widths", [64, 32], "widths_64x32"),
        ("pruning.sparsities", "paper", "paper"),
        ("model.bias_bits", None, "bias_bits_None"),
    ],
)
def test_tokens(path: str, value: Any, token: str) -> None:
    (run,) = plan.from_dict({"base": STUDY["base"], "vary": {path: [value]}}).runs
    assert run.name == f"grid-{token}"


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    shared = [round(step / 40, 3) for step in range(1, 30)]
    sparsities = [[*shared, 0.8], [*shared, 0.9]]
    runs = plan.from_dict({"base": STUDY["base"], "vary": {"pruning.sparsities": sparsities}}).runs
    assert runs[0].name[:100] == runs[1].name[:100]
    assert runs[0].name != runs[1].name
    assert max(len(run.name) for run in runs) < 120


def test_only_takes_one_experiment_or_search() -> None:
    study = plan.from_dict(STUDY)
    assert study.only(None) == study
    bits, widths = study.only("bits"), study.only("widths")
    assert ({run.experiment for run in bits.runs}, bits.searches) == ({"bits"}, ())
    assert (widths.runs, widths.searches) == ((), study.searches)
    with pytest.raises(QapError, match=r"no experiment or search 'bit'\n  did you mean 'bits'"):
        study.only("bit")


def test_a_search_has_the_papers_defaults() -> None:
    (search,) = plan.from_dict(STUDY).searches
    assert (search.trials, search.parallel, search.objectives) == (20, 3, ("validation_loss",))
    assert [(one.name, one.low, one.high) for one in search.parameters] == [
        ("model.widths.0", 8, 64),
        ("model.widths.1", 4, 32),
        ("model.widths.2", 4, 32),
    ]
    config = search.config({"model.widths.0": 10, "model.widths.1": 20, "model.widths.2": 30})
    assert (config.model.widths, config.pruning.schedule) == ((10, 20, 30), "none")


def test_ranges_of_numbers_and_choices() -> None:
    tree = changed(
        "searches/0/parameters",
        {
            "pruning.sparsity": [0, 0.9],
            "model.weight_bits": [[2, 8], {"choices": [4, 6]}, [2, 8], [2, 8]],
            "model.scales": {"choices": ["arbitrary", "power_of_two"]},
        },
    )
    (search,) = plan.from_dict(tree).searches
    sparsity, _, second, *_, scales = search.parameters
    assert (sparsity.name, sparsity.low, sparsity.high) == ("pruning.sparsity", 0.0, 0.9)
    assert isinstance(sparsity.low, float)
    assert (second.name, second.choices) == ("model.weight_bits.1", (4, 6))
    assert scales.choices == ("arbitrary", "power_of_two")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("expriments", [], "unknown key 'expriments'\n  did you mean 'experiments'"),
        ("base", ..., "'base' is missing"),
        ("base", {"data": {"source": JETS}, "modle": {}}, "base: unknown key 'modle'\n  did you mean 'model'"),
        ("base/data/source", "nowhere.npz", "there is no data file nowhere.npz"),
        ("folds", 0, "folds = 0"),
        ("folds", True, "folds = True"),
        ("experiments", {}, "experiments = {}"),
        ("experiments/0", "bits", "an experiment is 'bits'"),
        ("experiments/0/name", ..., "an experiment has the name None"),
        ("experiments/0/vari", {}, "unknown key 'vari'\n  did you mean 'vary'"),
        ("experiments/0/vary", [], "experiment 'bits': vary = \\[\\]"),
        ("experiments/0/vary/model.bits", 6, "model.bits = 6\n  give a list of values: model.bits: \\[...\\]"),
        ("experiments/0/vary/model.wights", [6], "experiment 'bits': there is no setting 'model.wights'"),
        ("experiments/0/vary/model.bits", [1], "experiment 'bits': model.weight_bits = 1 is out of range"),
        (
            "experiments/0/vary/seed",
            list(range(10_000)),
            r"'bits' has [1-9]\d,000 runs\n  vary less: 10,000 runs at most",
        ),
        ("experiments/1/name", "bits", "'bits' and 'bits' have one name"),
        ("experiments/0/predict_luts", 1, "experiment 'bits': predict_luts = 1"),
        ("experiments/1/name", "bi/ts", None),
        ("base/paper_code", ["shared_checkpoint"], "would take each other's networks"),
        ("experiments/0/vary/model.bits", [6, 6], "'bits-6b-fine_tuning-fold1' and 'bits-6b-fine_tuning-fold1' are"),
        ("experiments/1/vary/model.batch_norm", [True], "'bits-6b-fine_tuning-fold1' and 'no_batch_norm-6b-batch"),
        ("searches/0/name", "no_batch_norm", "'no batch norm' and 'no_batch_norm' have one name"),
        ("searches/0/trial", 3, "unknown key 'trial'\n  did you mean 'trials'"),
        ("searches/0/trials", 0, "trials = 0"),
        ("searches/0/objectives", ["accuracy"], "no objective 'accuracy'\n  did you mean 'validation_accuracy'"),
        ("searches/0/objectives", [], "objectives = \\[\\]"),
        ("searches/0/parameters", {}, "parameters = {}"),
        ("searches/0/parameters/model.widths", [64, 8], "model.widths = \\[64, 8\\] is no range"),
        ("searches/0/parameters/model.widths", [[8, 8]], "model.widths = \\[8, 8\\] is no range"),
        ("searches/0/parameters/model.widths", {"choices": [1]}, "is no range"),
        ("searches/0/parameters/model.widths", [[0, 8]], "search 'widths': model.widths = \\(0,\\) is out of range"),
        ("searches/0/parameters/pruning.sparsity", [0.5, 1.0], "pruning.sparsity = 1.0 is out of range"),
        ("searches/0/set/model.bits", 1, "search 'widths': model.weight_bits = 1 is out of range"),
    ],
)
def test_mistakes_are_told_before_anything_starts(path: str, value: Any, message: str | None) -> None:
    tree = changed(path, value)
    if message is None:
        plan.from_dict(tree)
        return
    with pytest.raises(QapError, match=message):
        plan.from_dict(tree)


def test_a_float_network_has_no_luts() -> None:
    tree = changed("searches/0/set/model.bits", 32)
    tree["searches"][0]["objectives"] = ["validation_accuracy", "predicted_luts"]
    with pytest.raises(QapError, match="a float network has no LUTs"):
        plan.from_dict(tree)


def test_luts_are_predicted_of_quantized_networks() -> None:
    runs = plan.from_dict(changed("experiments/0/predict_luts", True)).runs
    assert [run.predict_luts for run in runs] == [False] * 4 + [True] * 4 + [False] * 2


def test_a_study_without_runs_is_refused() -> None:
    with pytest.raises(QapError, match="there is nothing to do"):
        plan.from_dict({"base": STUDY["base"]})


def test_load_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(changed("folds", -1)))
    with pytest.raises(QapError, match=r"study.yaml: folds = -1"):
        plan.load(tmp_path / "study.yaml")
    with pytest.raises(QapError, match="does not exist"):
        plan.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("name", "runs", "trials"), [("study", 128, [20, 20, 20, 20, 60]), ("study-small", 20, [7, 8])]
)
def test_the_shipped_studies(name: str, runs: int, trials: list[int]) -> None:
    study = plan.load(ROOT / "examples" / f"{name}.yaml")
    assert len(study.runs) == runs
    assert [one.trials for one in study.searches] == trials
