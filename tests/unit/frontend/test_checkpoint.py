# SPDX-License-Identifier: Apache-2.0
"""Trained networks in: what `save` keeps gives the user's own values bit for bit; what cannot be kept is named."""

from __future__ import annotations

import errno
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.inject.enum import RestrictValueType, ScalingImplType, StatsOp
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8BiasPerTensorFloatInternalScaling,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    Int16Bias,
    ShiftedUint8ActPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryWeightPerTensorConst,
    Uint8ActPerTensorFixedPoint,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn
from torch.nn.utils import prune

import qap2fpga
from qap2fpga.frontend.checkpoint import load
from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.system.errors import QapError
from tests.support.networks import random_model


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """On layers this small, threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Brevitas' own scale of a 1-bit weight is a constant; FPGA4HEP's is the largest weight of the channel.
BINARY_PER_CHANNEL = SignedBinaryWeightPerTensorConst.let(
    scaling_impl_type=ScalingImplType.STATS,
    scaling_stats_op=StatsOp.MAX,
    scaling_per_output_channel=True,
    restrict_scaling_type=RestrictValueType.FP,
)


def dense(inputs: int, outputs: int, bits: int = 4, *, per_channel: bool = False, **more: Any) -> nn.Module:
    options = {"bias": True, **more}
    if "weight_quant" not in options:
        if bits == 1:
            options["weight_quant"] = BINARY_PER_CHANNEL if per_channel else SignedBinaryWeightPerTensorConst
        else:
            options["weight_quant"] = Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat
            options["weight_bit_width"] = bits
    return qnn.QuantLinear(inputs, outputs, **options)


def relu(bits: int = 4, quant: Any = Uint8ActPerTensorFloat, **more: Any) -> nn.Module:
    return qnn.QuantReLU(act_quant=quant, bit_width=bits, **more)


def sign() -> nn.Module:
    return qnn.QuantHardTanh(act_quant=SignedBinaryActPerTensorConst, min_val=-1.0, max_val=1.0)


def entry(bits: int = 8, quant: Any = Int8ActPerTensorFloat, **more: Any) -> nn.Module:
    return qnn.QuantIdentity(act_quant=quant, bit_width=bits, **more)


def trained(module: nn.Module, inputs: tuple[int, ...] = (5,)) -> nn.Module:
    """`module` in eval mode, its scales and statistics collected, its batch norms of both signs."""
    torch.manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.affine:
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    module.train()
    for _ in range(5):
        module(torch.randn(40, *inputs))
    return module.eval()


def run(module: nn.Module, rows: Tensor) -> Tensor:
    with torch.no_grad():
        found = module(rows)
    return found.value if hasattr(found, "value") else found


def assert_same(module: nn.Module, path: Path, inputs: tuple[int, ...] = (5,)) -> Model:
    """Saved, read and built again, `module` gives equal bits on rows that `save` never saw."""
    torch.manual_seed(2)
    qap2fpga.save(module, torch.randn(20, *inputs), path)
    model = file.read(path, Widths())
    rows = 2 * torch.randn(400, *inputs)
    wanted, found = run(module, rows), run(build(model), rows.reshape(400, -1))
    assert wanted.std() > 0
    assert torch.equal(found, wanted)
    return model


class Own(nn.Module):
    """A user's class: layers in no order, nested, and a forward that says how they run."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.last = layers[-1]
        self.body = nn.ModuleDict({f"part{index}": layer for index, layer in enumerate(layers[1:-1])})
        self.first = layers[0]

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for name in self.body:
            x = self.body[name](x)
        return self.last(x)


@pytest.mark.parametrize(
    ("own", "per_channel", "turn"), [(False, False, 0), (True, True, 1), (False, True, 3), (True, False, 3)]
)
def test_mixed_bits_give_the_users_values(tmp_path: Path, own: bool, per_channel: bool, turn: int) -> None:
    bits = np.roll([1, 2, 3, 4, 6, 8], turn).tolist()
    sizes = [5, 7, 6, 6, 5, 4, 3]
    layers: list[nn.Module] = [entry(bits[-1])] if bits[-1] > 1 else [entry(quant=Int8ActPerTensorFloat)]
    for index, width in enumerate(bits):
        layers.append(dense(sizes[index], sizes[index + 1], width, per_channel=per_channel, bias=index % 2 == 0))
        if index < len(bits) - 1:
            layers.append(nn.BatchNorm1d(sizes[index + 1]))
            layers.append(sign() if bits[-2 - index] == 1 else relu(bits[-2 - index]))
    model = assert_same(trained(Own(layers) if own else nn.Sequential(*layers)), tmp_path / "model.pt")
    quantizers = [op.quantizer for op in model.ops if op.kind == "dense"]
    assert [quantizer.bits for quantizer in quantizers] == bits
    assert [quantizer.scale.ndim for quantizer in quantizers if quantizer.bits > 1] == [int(per_channel)] * 5
    assert ["bias" in op.tensors for op in model.ops if op.kind == "dense"] == [True, False] * 3
    if own:
        assert [op.name for op in model.ops][:3] == ["first", "body.part0", "body.part1"]


def test_the_weights_kept_are_the_quantized_ones(tmp_path: Path) -> None:
    """As integers, they are those that Brevitas says."""
    module = trained(nn.Sequential(entry(), dense(5, 7, 6, per_channel=True), relu(), dense(7, 3, 3)))
    model = assert_same(module, tmp_path / "model.pt")
    for op, layer in zip([op for op in model.ops if op.kind == "dense"], (module[1], module[3]), strict=True):
        scale = op.quantizer.scale.reshape(-1, 1)
        assert np.array_equal(np.rint(op.tensors["weight"] / scale), layer.quant_weight().int().numpy())


def test_masks_of_torch_prune_are_kept(tmp_path: Path) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 12, 6), nn.BatchNorm1d(12), relu(6), dense(12, 3, 6)))
    prune.l1_unstructured(module[1], "weight", 0.6)
    prune.random_unstructured(module[4], "weight", 0.25)
    model = assert_same(module, tmp_path / "model.pt")
    assert model.masks["1"].dtype == bool
    assert (~model.masks["1"]).sum() == 36
    assert (~model.masks["4"]).sum() == 9
    assert np.array_equal(model.masks["1"], module[1].weight_mask.numpy() != 0)
    assert not model.ops[1].tensors["weight"][~model.masks["1"]].any()
    assert prune.is_pruned(module[1])  # the user's module is left as it was


def test_without_a_mask_the_zeros_are_the_mask(tmp_path: Path) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 4)))
    with torch.no_grad():
        module[1].weight[1:3, :2] = 0
    model = assert_same(module, tmp_path / "model.pt")
    assert (~model.masks["1"]).sum() == 4


def test_zero_points_of_activations_are_kept(tmp_path: Path) -> None:
    shifted = ShiftedUint8ActPerTensorFloat
    module = nn.Sequential(entry(6, shifted), dense(5, 7), nn.BatchNorm1d(7), entry(5, shifted), dense(7, 3))
    model = assert_same(trained(module), tmp_path / "model.pt")
    assert [op.quantizer.zero_point > 0 for op in model.ops if op.kind == "quantize"] == [True, True]
    assert [op.quantizer.signed for op in model.ops if op.kind == "quantize"] == [False, False]


def test_signs_have_plus_one_at_zero(tmp_path: Path) -> None:
    module = trained(nn.Sequential(entry(quant=SignedBinaryActPerTensorConst), dense(5, 7, 1), sign(), dense(7, 3, 1)))
    model = assert_same(module, tmp_path / "model.pt")
    zeros, positive = torch.zeros(1, 5), torch.full((1, 5), 0.1)
    assert torch.equal(run(build(model), zeros), run(build(model), positive))
    assert torch.equal(run(module, zeros), run(build(model), zeros))


KINDS: dict[str, Callable[[], list[nn.Module]]] = {
    "no input quantizer": lambda: [dense(5, 7), relu(), dense(7, 3)],
    "dropout, no bias": lambda: [
        entry(),
        nn.Dropout(0.5),
        dense(5, 7, bias=False),
        nn.Identity(),
        relu(),
        nn.Dropout(),
        dense(7, 3, bias=False),
    ],
    "hard tanh": lambda: [
        entry(),
        dense(5, 7),
        qnn.QuantHardTanh(act_quant=Int8ActPerTensorFloat, bit_width=4, min_val=-2.0, max_val=2.0),
        dense(7, 3),
    ],
    "quantizer apart": lambda: [entry(), dense(5, 7), nn.ReLU(), entry(4, Uint8ActPerTensorFloat), dense(7, 3)],
    "batch norm without affine, and last": lambda: [
        entry(),
        dense(5, 7),
        nn.BatchNorm1d(7, affine=False, eps=0.1),
        relu(),
        dense(7, 3),
        nn.BatchNorm1d(3),
    ],
    "output quantizer": lambda: [entry(), dense(5, 7), relu(), dense(7, 3), entry(6)],
    "power of two": lambda: [
        entry(quant=Int8ActPerTensorFixedPoint),
        dense(5, 7, weight_quant=Int8WeightPerTensorFixedPoint),
        relu(quant=Uint8ActPerTensorFixedPoint),
        dense(7, 3),
    ],
    "quantizers inside": lambda: [
        dense(5, 7, input_quant=Int8ActPerTensorFloat, output_quant=Uint8ActPerTensorFloat, output_bit_width=4),
        dense(7, 3),
    ],
    "bias of the accumulator's scale": lambda: [
        entry(return_quant_tensor=True),
        dense(5, 7, bias_quant=Int16Bias),
        relu(),
        dense(7, 3),
    ],
    "bias of its own scale": lambda: [
        entry(),
        dense(5, 7, bias_quant=Int8BiasPerTensorFloatInternalScaling),
        relu(),
        dense(7, 3),
    ],
    "quant tensor": lambda: [entry(), dense(5, 7), relu(return_quant_tensor=True), dense(7, 3)],
    # Three levels are two bits without the lowest one: nothing is lost.
    "ternary": lambda: [entry(), dense(5, 7, weight_quant=SignedTernaryWeightPerTensorConst), relu(), dense(7, 3)],
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_layers(tmp_path: Path, name: str) -> None:
    assert_same(trained(nn.Sequential(*KINDS[name]())), tmp_path / "model.pt")


def test_images_are_flattened(tmp_path: Path) -> None:
    module = nn.Sequential(entry(), nn.Flatten(), dense(12, 7), relu(), dense(7, 3))
    model = assert_same(trained(module, (1, 3, 4)), tmp_path / "model.pt", (1, 3, 4))
    assert model.example.shape == (20, 12)


def test_one_layer_alone(tmp_path: Path) -> None:
    model = assert_same(trained(dense(5, 3)), tmp_path / "model.pt")
    assert [op.name for op in model.ops] == ["dense"]


def test_a_layer_called_input_and_no_input_quantizer() -> None:
    """The quantizer that is put before the model takes no other layer's place."""
    model = random_model(1)
    ops = (*model.ops[1:2], *model.ops[2:])
    renamed = [type(op)("input" if op.name == "fc1" else op.name, op.kind, op.tensors, op.quantizer) for op in ops]
    bare = Model(tuple(renamed), {}, {})
    module = build(file.with_input_quantizer(bare, 8, 0.25, True))
    assert len(module) == len(renamed) + 1
    assert isinstance(module[0], qnn.QuantIdentity)


def test_example_labels_and_provenance_are_kept(tmp_path: Path) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 3)))
    rows = np.random.default_rng(0).normal(size=(6, 5))
    path = tmp_path / "new" / "model.pt"
    qap2fpga.save(module, rows, path, labels=torch.arange(6) % 3, provenance={"by": "me", "epochs": 3})
    model = file.read(path, Widths())
    assert np.array_equal(model.example, rows.astype(np.float32))
    assert model.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert model.provenance["by"] == "me"
    assert set(model.provenance["versions"]) == {"torch", "brevitas", "python"}


def test_the_file_is_plain_tensors_and_the_same_every_time(tmp_path: Path) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 7), nn.BatchNorm1d(7), relu(), dense(7, 3)))
    for name in ("a.pt", "b.pt"):
        qap2fpga.save(module, torch.ones(4, 5), tmp_path / name)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    keys = ["format", "version", "architecture", "quantizers", "state_dict", "masks", "example", "provenance"]
    assert list(content) == keys
    assert content["format"] == "qap2fpga-model"
    assert [entry["kind"] for entry in content["architecture"]] == ["quantize", "dense", "batch_norm", "relu", "dense"]
    assert set(content["quantizers"]["1"]) == {"bits", "signed", "narrow", "zero_point", "rounding", "scale"}


def test_the_users_module_is_left_as_it_was(tmp_path: Path) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 7), nn.BatchNorm1d(7), relu(), dense(7, 3)))
    module.train()
    module[2].eval()  # a frozen batch norm
    modes = [part.training for part in module.modules()]
    state = {key: value.clone() for key, value in module.state_dict().items()}
    qap2fpga.save(module, torch.randn(9, 5), tmp_path / "model.pt")
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())


# ---- what is refused


class Forward(nn.Module):
    """Three dense layers and a forward of the test's own."""

    def __init__(self, forward: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.quant, self.own_forward = entry(), forward
        self.one, self.act1, self.two, self.act2 = dense(5, 6), relu(), dense(6, 6), relu()
        self.three = dense(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.own_forward(self, x)

    def hidden(self, x: Tensor) -> Tensor:
        return self.act1(self.one(self.quant(x)))


WEIGHTS_OF_ONE_BIT = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 1}
REFUSED = {
    "float layer": (
        lambda: nn.Sequential(entry(), nn.Linear(5, 7), relu(), dense(7, 3)),
        r"node 1 \(Gemm\) cannot be lowered\n  layer 1 \(Linear\) has float weights",
    ),
    "unquantized weights": (lambda: nn.Sequential(entry(), dense(5, 3, weight_quant=None)), "layer 1: its weights"),
    "one-bit Int": (
        lambda: nn.Sequential(entry(), dense(5, 3, **WEIGHTS_OF_ONE_BIT)),
        "layer 1: an Int quantizer of 1",
    ),
    "no statistics": (
        lambda: nn.Sequential(entry(), dense(5, 7), nn.BatchNorm1d(7, track_running_stats=False), relu(), dense(7, 3)),
        "layer 2: a batch norm without running statistics",
    ),
    "no dense layer": (lambda: nn.Sequential(entry()), "no dense layer"),
    "function between layers": (
        lambda: Forward(lambda m, x: m.three(m.act2(torch.sin(m.two(m.hidden(x)))))),
        r"node Sin \(Sin\) cannot be lowered",
    ),
    "function that the example does not reach": (
        lambda: Forward(lambda m, x: m.three(m.act2(m.two(m.hidden(x if x.abs().max() < 6 else -x))))),
        "the module gives something else than what Brevitas exports of it",
    ),
    "function after the last layer": (
        lambda: Forward(lambda m, x: torch.sin(m.three(m.act2(m.two(m.hidden(x)))))),
        r"node Sin \(Sin\) cannot be lowered",
    ),
    "two outputs, one of no layer": (
        lambda: Forward(lambda m, x: (m.three(m.act2(m.two(m.hidden(x)))), x)),
        r"the output \S+ is the input as it is",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_lowered_is_named(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    module = trained(make())
    torch.manual_seed(3)
    with pytest.raises(QapError, match=message) as caught:
        qap2fpga.save(module, torch.randn(20, 5), tmp_path / "model.pt")
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_module_on_another_device_is_told_to_move(tmp_path: Path) -> None:
    """Its sums round otherwise, so nothing would compare equal. ('meta' is the device that every machine has.)"""
    with pytest.raises(QapError, match="the model is on meta") as caught:
        qap2fpga.save(nn.Sequential(entry(), dense(5, 3)).to("meta"), torch.ones(3, 5), tmp_path / "model.pt")
    assert "module.cpu()" in caught.value.hint


@pytest.mark.parametrize("where", ["weight", "bias", "running_var", "NaN statistics"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, where: str) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 7), nn.BatchNorm1d(7), relu(), dense(7, 3)))
    with torch.no_grad():
        if where == "running_var":
            module[2].running_var[3] = -1
        elif where == "NaN statistics":
            module[2].running_mean[3] = torch.nan
        else:
            getattr(module[1], where)[0] = torch.inf
    layer = "1" if where in ("weight", "bias") else "2"
    with pytest.raises(QapError, match=f"layer {layer}: .*(NaN or infinite|below 0)"):
        qap2fpga.save(module, torch.randn(9, 5), tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("example", "options", "message"),
    [
        (torch.randn(9, 6), {}, "does not run on the example"),
        (torch.randn(5), {}, r"the example input has shape \(5,\)"),
        (torch.full((4, 5), torch.nan), {}, "the example input has NaN in row 0, column 0"),
        (torch.tensor([[0.0, 1.0, torch.inf, 0.0, 0.0]]), {}, "has an infinite value in row 0, column 2"),
        (torch.zeros(0, 5), {}, "the example input is empty"),
        (torch.tensor(1.0), {}, "the example input is one number"),
        (torch.randn(9, 5), {"labels": np.arange(8)}, r"labels of shape \(8,\) for 9"),
        (torch.randn(9, 5), {"labels": np.zeros((9, 3))}, r"labels of shape \(9, 3\) and type float64 are no class"),
        (torch.randn(9, 5), {"labels": np.full(9, 0.5)}, "are no class numbers"),
        (torch.randn(9, 5), {"labels": [-1] * 9}, "are no class numbers"),
        (torch.randn(9, 5), {"provenance": {"x": [[]] * 200_000}}, "provenance cannot be stored: .*100,000 values"),
        (torch.randn(9, 5), {"provenance": nested(40)}, "provenance cannot be stored: .*deeper than 32"),
        (torch.randn(9, 5), {"provenance": nested(10**5)}, "provenance cannot be stored"),
        (torch.randn(9, 5), {"provenance": {"where": Path("x")}}, "provenance cannot be stored"),
    ],
)
def test_what_goes_with_the_module_is_checked(tmp_path: Path, example: Tensor, options: Any, message: str) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 7), relu(), dense(7, 3)))
    with pytest.raises(QapError, match=message):
        qap2fpga.save(module, example, tmp_path / "model.pt", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fails", ["refused", "disk full", "killed"])
def test_a_save_that_fails_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    module = trained(nn.Sequential(entry(), dense(5, 3)))
    path = tmp_path / "model.pt"
    qap2fpga.save(module, torch.ones(3, 5), path)
    before = path.read_bytes()

    def replace(source: str, target: Path) -> None:
        if fails == "killed":
            raise KeyboardInterrupt
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if fails == "refused":
        with torch.no_grad():
            module[1].weight[0, 0] = torch.nan
    else:
        monkeypatch.setattr("os.replace", replace)
    with pytest.raises(KeyboardInterrupt if fails == "killed" else QapError):
        qap2fpga.save(module, torch.zeros(3, 5), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ---- damaged model.pt


@cache
def saved_bytes() -> bytes:
    layers = [entry(), dense(5, 7), nn.BatchNorm1d(7), relu(), dense(7, 3)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        qap2fpga.save(trained(nn.Sequential(*layers)), torch.randn(9, 5), path, labels=np.zeros(9, int))
        return path.read_bytes()


def saved(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "model.pt"
    path.write_bytes(saved_bytes())
    return path, torch.load(path, weights_only=True)


def at(content: Any, *place: Any) -> Any:
    for key in place:
        content = content[key]
    return content


def put(*place: Any) -> Callable[[Any], None]:
    """Sets the value at a place: the last of `place` is the value, the one before it the key."""
    *path, key, value = place
    return lambda content: at(content, *path).__setitem__(key, value)


def dropped(*place: Any) -> Callable[[Any], None]:
    *path, key = place
    return lambda content: at(content, *path).pop(key)


def circle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


ONE, EPS = torch.ones(()), "epsilon"
# Of a chain 0 quantize, 1 dense, 2 batch_norm, 3 relu, 4 dense.
MISTYPED: list[tuple[Callable[[Any], Any], str]] = [
    (put("version", True), "format version bool, this"),
    (put("version", torch.tensor([])), "format version Tensor, this"),
    (put("version", 10**500), "format version int, this"),
    (put("formats", "x"), r"damaged: unknown key 'formats' in the file\n  did you mean 'format'"),
    (put(7, "x"), "damaged: a key of .* is a int, not a text"),
    (put("architecture", {}), "damaged: architecture is a dict, not a list"),
    (put("architecture", []), "damaged: no operation of the architecture reads '1.weight'"),
    (put("architecture", 1, ["dense"]), r"damaged: architecture\[1\] is a list, not a dictionary"),
    (put("architecture", 1, "name", 1), r"damaged: architecture\[1\].name is a int, not a text"),
    (put("architecture", 1, "name", ""), r"damaged: architecture\[1\].name is empty"),
    (put("architecture", 1, "name", "\ud800"), r"architecture\[1\].name has characters that do not exist"),
    (put("architecture", 1, "kind", b"dense"), r"architecture\[1\].kind is a bytes, not a text"),
    (put("architecture", 1, "kind", "dens"), "unknown kind 'dens'\n  did you mean 'dense'"),
    (dropped("architecture", 1, "kind"), r"damaged: 'kind' is missing in architecture\[1\]"),
    (put("architecture", 1, EPS, 1e-5), r"damaged: layer \S+: a dense has no 'epsilon'"),
    (dropped("architecture", 2, EPS), r"damaged: 'epsilon' is missing in architecture\[2\]"),
    (put("architecture", 2, EPS, "1e-5"), r"architecture\[2\].epsilon is a str, not a finite number"),
    (put("architecture", 2, EPS, float("nan")), r"architecture\[2\].epsilon is a float, not a finite number"),
    (put("architecture", 2, EPS, 1e300), r"layer 2: an epsilon of 1e\+300"),
    (put("architecture", 2, EPS, -1.0), "layer 2: an epsilon of -1"),
    (put("architecture", 1, "tensors", ["weight", "weight", "bias"]), "names a tensor twice"),
    (put("architecture", 1, "tensors", ["weight"]), "damaged: no operation of the architecture reads '1.bias'"),
    (put("architecture", 1, "tensors", "weight"), "tensors is a str, not a list"),
    (put("architecture", 1, "tensors", 0, 3), "a int, not a text"),
    (put("architecture", 1, "tensors", ["bias", "weight", "gain"]), "damaged: state_dict has no 1.gain"),
    (dropped("architecture", 3), "damaged: no operation of the architecture reads '3' in quantizers"),
    (put("quantizers", "5", {}), r"damaged: 'bits' is missing in quantizers\['5'\]"),
    (put("quantizers", "1", "bits", "4"), r"damaged: quantizers\['1'\].bits is a str, not a whole number"),
    (put("quantizers", "1", "bits", 1.5), "bits is a float, not a whole number"),
    (put("quantizers", "1", "bits", 10**400), "bits is a int, not a whole number of 64 bits"),
    (put("quantizers", "0", "zero_point", None), "zero_point is a NoneType, not a whole number"),
    (put("quantizers", "0", "zero_point", 1 << 20), "layer 0: a zero point of 1048576"),
    (put("quantizers", "1", "zero_point", 2), "layer 1: its weights have a zero point"),
    (put("quantizers", "1", "signed", 1), "signed is a int, not True or False"),
    (put("quantizers", "1", "rounding", 3), "rounding is a int, not a text"),
    (put("quantizers", "1", "round", "ROUND"), r"damaged: unknown key 'round' in quantizers\['1'\]\n  did you mean"),
    (put("quantizers", "1", "scale", 0.5), r"quantizers\['1'\].scale is a float, not a tensor"),
    (put("quantizers", "1", "scale", torch.ones(3)), r"layer 1: a scale of shape \(3,\) for 7 outputs"),
    (put("quantizers", "1", "scale", ONE * 1e300), "layer 1: its scale must be finite"),
    (put("quantizers", "1", "scale", torch.tensor(0.1, dtype=torch.float64)), "scale is of type float64 and has val"),
    (put("quantizers", "3", "signed", True), "layer 3: a ReLU with a signed quantizer"),
    (lambda c: c["quantizers"]["3"].update(bits=1), "layer 3: a quantizer of 1 bit that is unsigned"),
    (lambda c: c["quantizers"].update({"2": c["quantizers"]["0"]}), "layer 2: a batch_norm has no quantizer"),
    (dropped("quantizers", "0"), "layer 0: a quantize without a quantizer"),
    (put("state_dict", "1.weight", [[1.0]]), r"state_dict\['1.weight'\] is a list, not a tensor"),
    (put("state_dict", "1.weight", torch.ones(7, 5).to_sparse()), "is a complex, sparse or quantized tensor"),
    (put("state_dict", "1.weight", torch.empty(7, 5, device="meta")), "1.weight'. is on meta"),
    (put("state_dict", "1.weight", torch.ones(7, 5).to(torch.float8_e5m2)), "is of type float8_e5m2"),
    (put("state_dict", "1.weight", torch.ones(1).expand(10**10, 5)), "more values than are stored"),
    (put("state_dict", "1.weight", torch.ones(35)), r"layer 1: its weight has shape \(35,\)"),
    (put("state_dict", "1.weight", torch.ones(0, 5)), r"layer 1: its weight has shape \(0, 5\)"),
    (put("state_dict", "2.bias", ONE), r"layer 2: bias has shape \(\)"),
    (put("state_dict", "2.gain", ONE), "no operation of the architecture reads '2.gain' in state_dict"),
    (put("masks", "1", torch.ones(7, 5)), r"masks\['1'\] is of type float32, not bool"),
    (put("masks", "3", torch.ones(7, 7) > 0), "a mask for '3', which is no dense layer"),
    (put("example", "inputs", torch.ones(0, 5)), r"the example input has shape \(0, 5\)"),
    (put("example", "inputs", torch.ones(9, 5) * torch.nan), "the example input has NaN"),
    (put("example", "inputs", torch.ones(5)), r"the example input has shape \(5,\)"),
    (put("example", "labels", torch.ones(9)), "example.labels is of type float32, not whole numbers"),
    (put("example", "labels", torch.arange(8)), r"labels of shape \(8,\) for 9 example inputs"),
    (put("example", "labels", -torch.arange(9)), "or below 0"),
    (put("example", {"labels": torch.arange(9)}), "damaged: 'inputs' is missing in example"),
    (put("example", "rows", ONE), "damaged: unknown key 'rows' in example"),
    (put("provenance", [1]), "provenance is a list, not a dictionary"),
    (put("provenance", "x", ONE), "provenance holds a Tensor"),
    (put("provenance", "x", 10**500), "a number of provenance is a int, not a whole"),
    (put("provenance", circle()), "provenance is nested deeper than 32"),
    (put("provenance", "x", [None] * 200_000), "provenance holds more than 100,000 values"),
    *[
        (dropped("architecture", 2, "tensors", index), "no operation of the architecture reads '2")
        for index in range(4)
    ],
]


@pytest.mark.parametrize("tensor", ["weight", "bias", "running_mean", "running_var"])
def test_a_batch_norm_lacks_nothing(tmp_path: Path, tensor: str) -> None:
    """What is absent from the architecture and the tensors alike counts as nothing otherwise."""
    path, content = saved(tmp_path)
    content["architecture"][2]["tensors"].remove(tensor)
    del content["state_dict"][f"2.{tensor}"]
    torch.save(content, path)
    with pytest.raises(QapError, match=f"layer 2: a batch_norm without {tensor}"):
        file.read(path, Widths())


def test_tensors_that_no_kind_has_are_refused(tmp_path: Path) -> None:
    for index, name in ((1, "gain"), (3, "weight")):
        path, content = saved(tmp_path)
        content["architecture"][index]["tensors"].append(name)
        content["state_dict"][f"{index}.{name}"] = torch.ones(7)
        torch.save(content, path)
        with pytest.raises(QapError, match=f"layer {index}: a (dense|relu) has no '{name}'"):
            file.read(path, Widths())


def test_other_types_are_read_where_float32_holds_them(tmp_path: Path) -> None:
    path, content = saved(tmp_path)
    before = file.read(path, Widths())
    content["state_dict"]["1.weight"] = content["state_dict"]["1.weight"].double()
    content["state_dict"]["2.bias"] = nn.Parameter(content["state_dict"]["2.bias"])
    torch.save(content, path)
    again = file.read(path, Widths())
    for one, other in zip(before.ops, again.ops, strict=True):
        for key, values in one.tensors.items():
            assert np.array_equal(values, other.tensors[key])
            assert other.tensors[key].dtype == np.float32


@pytest.mark.parametrize("kind", ["compressed", "overlapping"])
def test_an_archive_that_unpacks_to_more_than_it_holds_is_not_read(tmp_path: Path, kind: str) -> None:
    path, _ = saved(tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data + bytes(1 << 22) if kind == "compressed" and "/data/" in name else data)
        if kind == "overlapping":
            first = archive.infolist()[0]
            archive.filelist += [first] * 100
    with mock.patch.object(torch, "load") as read, pytest.raises(QapError, match=r"its parts unpack to"):
        file.read(path, Widths())
    assert not read.called


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with path.open("wb") as stream:
        stream.truncate(load.LARGEST + 1)
    with mock.patch.object(torch, "load") as read, pytest.raises(QapError, match="more than the 1,073,741,824"):
        file.read(path, Widths())
    assert not read.called


def test_whatever_torch_raises_is_a_message(tmp_path: Path) -> None:
    path, content = saved(tmp_path)
    torch.save({**content, "format": "of somebody else"}, path)
    for error in (MemoryError(), AssertionError("x"), UnicodeDecodeError("utf-8", b"x", 0, 1, "y"), RecursionError()):
        with mock.patch.object(torch, "load", side_effect=error), pytest.raises(QapError, match="cannot be read"):
            file.read(path, Widths())


def test_a_model_of_another_format_is_no_state_dict(tmp_path: Path) -> None:
    path, content = saved(tmp_path)
    for stated in ("qap2fpga", None, torch.ones(2)):
        torch.save({**content, "format": stated}, path)
        with pytest.raises(QapError, match="damaged: its format is not 'qap2fpga-model'"):
            file.read(path, Widths((4,), (4,)))


def test_a_model_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path, content = saved(tmp_path)
    torch.save({**content, "version": 99}, path)
    with pytest.raises(QapError, match="format version 99, this program reads 1"):
        file.read(path, Widths())


@pytest.mark.parametrize("key", ["architecture", "quantizers", "state_dict", "masks", "example"])
def test_a_model_that_lacks_a_part_is_damaged(tmp_path: Path, key: str) -> None:
    path, content = saved(tmp_path)
    del content[key]
    torch.save(content, path)
    with pytest.raises(QapError, match=f"damaged.*{key}"):
        file.read(path, Widths())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["state_dict"].pop("1.weight"), "damaged.*1.weight"),
        (lambda c: c["state_dict"].update({"4.weight": torch.ones(3, 6)}), "layer 4 takes 6 inputs but .* gives 7"),
        (
            lambda c: c["state_dict"].update({"1.bias": torch.ones(6)}),
            r"layer 1: bias has shape \(6,\), expected \(7,\)",
        ),
        (lambda c: c["masks"].update({"1": torch.ones(2, 2) > 0}), r"layer 1: its mask is \(2, 2\)"),
        (lambda c: c["quantizers"].pop("1"), "layer 1: its weights are not quantized"),
        (lambda c: c["quantizers"]["1"].update(bits=0), "layer 1: a bit width of 0"),
        (lambda c: c["quantizers"]["3"].update(bits=33), "layer 3: a bit width of 33"),
        (
            lambda c: c["quantizers"]["3"].update(scale=torch.tensor(0.0)),
            "layer 3: its scale must be finite and above 0",
        ),
        (lambda c: c["quantizers"]["3"].pop("signed"), "damaged.*signed"),
        (lambda c: c["quantizers"]["3"].update(rounding="DITHER"), "layer 3: rounding 'DITHER'"),
        (lambda c: c["architecture"][3].update(kind="gelu"), "layer 3: unknown kind 'gelu'"),
        (lambda c: c["architecture"][3].update(name="1"), "two layers are called 1"),
        (lambda c: c["example"].update(inputs=torch.ones(4, 4)), r"the example input has shape \(4, 4\)"),
        *[(change, message) for change, message in MISTYPED],
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    path, content = saved(tmp_path)
    change(content)
    torch.save(content, path)
    with pytest.raises(QapError, match=message):
        file.read(path, Widths())


def test_bits_for_a_model_that_has_its_own_are_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    for widths in (Widths(weight=(6,)), Widths(activation=(6,))):
        with pytest.raises(QapError, match="bit widths were given"):
            file.read(path, widths)
    with pytest.raises(QapError, match="--input-bits was given, but the model has its own"):
        file.read(path, Widths(input=6))


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "executed",)

    path, content = saved(tmp_path)
    for write in (
        lambda: torch.save({**content, "provenance": Touch()}, path),
        lambda: torch.save({"fc.weight": torch.ones(2, 2), "x": Touch()}, path, _use_new_zipfile_serialization=False),
        lambda: path.write_bytes(pickle.dumps(Touch())),
        lambda: torch.save(nn.Linear(5, 3), path),
    ):
        write()
        with pytest.raises(QapError, match="could run code when loaded"):
            file.read(path, Widths((4,), (4,)))
        assert not (tmp_path / "executed").exists()
