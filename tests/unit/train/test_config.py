# SPDX-License-Identifier: Apache-2.0
"""The configuration of a training run: YAML in, checked values out, every mistake named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.system.errors import QapError
from qap2fpga.train import config as settings
from qap2fpga.train.paper import MISTAKES
from qap2fpga.train.settings import ModelConfig

LEAST = {"data": {"source": "jets.npz"}}


def test_a_file_is_read_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("""
data: {source: jets.csv, label: kind, features: [a, b], split: [472500, 157500, 240000]}
model: {widths: [8], weight_bits: [6, 4], batch_norm: false}
training: {l1: 1e-5, learning_rate: 1}
pruning: {sparsities: paper}
fold: [2, 4]
""")
    config = settings.load(path)
    assert config.data.features == ("a", "b")
    assert config.data.split == (472500, 157500, 240000)
    assert config.model.layer_weight_bits == (6, 4)
    assert config.model.layer_activation_bits == (6,)
    # YAML takes 1e-5 for a text.
    assert config.training.l1 == 1e-5
    assert config.training.learning_rate == 1.0
    assert config.pruning.sparsities == "paper"
    assert config.fold == (2, 4)
    plain = settings.to_dict(config)
    assert json.loads(json.dumps(plain)) == plain
    assert settings.from_dict(plain) == config


def test_the_defaults_are_the_example() -> None:
    config = settings.from_dict(LEAST)
    assert config.model == ModelConfig()
    assert config.model.widths == (64, 32, 32)
    assert (config.model.weight_bits, config.model.activation_bits, config.model.input_bits) == (6, 6, 8)
    assert (config.pruning.sparsity, config.pruning.steps, config.seed) == (0.8, 8, 1)
    assert not config.model.is_float


def test_a_setting_is_replaced_by_its_path() -> None:
    config = settings.from_dict(LEAST)
    assert settings.replace(config, "model.weight_bits", [6, 5, 4, 3]).model.weight_bits == (6, 5, 4, 3)
    both = settings.replace(config, "model.bits", 4).model
    assert (both.weight_bits, both.activation_bits) == (4, 4)
    assert settings.replace(config, "model.bits", 32).model.is_float
    assert settings.replace(config, "seed", 7).seed == 7
    assert settings.replace(config, "paper_code", "all").paper_code == tuple(MISTAKES)
    assert settings.from_dict({**LEAST, "paper_code": "all"}).paper_code == tuple(MISTAKES)
    for path in ("model.bit", "model", "models.widths", "seed.widths", "data.label.x"):
        with pytest.raises(QapError, match="there is no setting") as caught:
            settings.replace(config, path, 1)
        assert "model.bits" in caught.value.hint


@given(st.sampled_from(settings.names()), st.data())
def test_replacing_a_setting_by_itself_changes_nothing(path: str, data: st.DataObject) -> None:
    bits = data.draw(st.integers(2, 16))
    config = settings.replace(settings.from_dict(LEAST), "model.bits", bits)
    name = settings.SHORTHANDS.get(path, (path,))[0]
    value: Any = settings.to_dict(config)
    for part in name.split("."):
        value = value[part]
    assert settings.replace(config, path, value) == config


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"model": {"witdhs": 6}}, "unknown key 'model.witdhs'", "did you mean 'widths'"),
        ({"modle": {}}, "unknown key 'modle'", "did you mean 'model'"),
        ({"data": {}}, "'data.source' is missing", ""),
        ({"data": None}, "data = None", "section"),
        ({"model": []}, "model = []", "section"),
        ({"training": {"epochs": True}}, "training.epochs = True", "a whole number"),
        ({"training": {"epochs": 2.5}}, "training.epochs = 2.5", "a whole number"),
        ({"training": {"l1": "much"}}, "training.l1 = 'much'", "a number"),
        ({"model": {"widths": "64"}}, "model.widths = '64'", "a list, each a whole number"),
        ({"model": {"weight_bits": [6, "6"]}}, "model.weight_bits", "a whole number or a list"),
        ({"fold": [1]}, "fold = [1]", "a list of 2"),
        ({"pruning": {"sparsities": "papers"}}, "'papers'", "'paper'"),
    ],
)
def test_a_wrong_type_or_key_is_named(change: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(QapError) as caught:
        settings.from_dict({**LEAST, **change})
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.split", [0.5, 0.5, 0.5]),
        ("data.split", [0.5, 0.5]),
        ("data.split", [0.5, 0.5, 0.0]),
        ("data.split", [100, 0.2, 20]),
        ("data.split", [100, 20, 1]),
        ("data.randomize", 1.1),
        ("data.features", []),
        ("data.features", ["a", "a"]),
        ("model.widths", []),
        ("model.widths", [8, 0]),
        ("model.weight_bits", 1),
        ("model.weight_bits", 0),
        ("model.weight_bits", 17),
        ("model.weight_bits", [6, 6, 6]),
        ("model.weight_bits", [6, 6, 6, 32]),
        ("model.activation_bits", 32),
        ("model.activation_bits", [6, 6]),
        ("model.input_bits", 0),
        ("model.bias_bits", 1),
        ("model.scales", "power"),
        ("training.epochs", 0),
        ("training.patience", 0),
        ("training.batch", 1),
        ("training.learning_rate", 0),
        ("training.learning_rate", float("nan")),
        ("training.l1", -1),
        ("training.l1", float("inf")),
        ("training.schedule", "linear"),
        ("training.loss", "mse"),
        ("training.device", "tpu"),
        ("pruning.schedule", "tuning"),
        ("pruning.scope", "all"),
        ("pruning.lanes", 4),
        ("pruning.sparsity", 1.0),
        ("pruning.sparsity", -0.1),
        ("pruning.sparsity", float("nan")),
        ("pruning.sparsities", [0.5, 0.5]),
        ("pruning.sparsities", [0.0, 0.5]),
        ("pruning.sparsities", [0.5, 1.0]),
        ("pruning.steps", 0),
        ("pruning.epochs", 0),
        ("fold", [0, 4]),
        ("fold", [5, 4]),
        ("fold", [1, 1]),
        ("seed", -1),
        ("paper_code", ["late_masks"]),
    ],
)
def test_a_value_out_of_range_is_named(path: str, value: Any) -> None:
    config = settings.from_dict(LEAST)
    with pytest.raises(QapError, match=path.split(".")[-1] if path != "paper_code" else "no mistake") as caught:
        settings.check(settings.replace(config, path, value))
    assert caught.value.hint


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(QapError, match=r"model\.scales"):
        settings.from_dict({**LEAST, "model": {"weight_bits": 32, "scales": "power_of_two"}})
    with pytest.raises(QapError, match=r"training\.quantization"):
        settings.from_dict({**LEAST, "model": {"weight_bits": 32}, "training": {"quantization": "after"}})
    with pytest.raises(QapError, match=r"pruning\.scope = balanced with pruning\.lanes = null|None"):
        settings.from_dict({**LEAST, "pruning": {"scope": "balanced"}})
    with pytest.raises(QapError, match=r"pruning\.lanes = 0"):
        settings.from_dict({**LEAST, "pruning": {"scope": "balanced", "lanes": 0}})


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"", b"\xff\xfe\x00"])
def test_what_is_not_a_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(QapError, match=r"run\.yaml"):
        settings.load(tmp_path / "run.yaml")
    with pytest.raises(QapError, match="does not exist"):
        settings.load(tmp_path / "absent.yaml")
