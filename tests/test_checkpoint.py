# SPDX-License-Identifier: Apache-2.0
"""Trained networks in: what `save` keeps gives the user's own values bit for bit; what can not be kept is named."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    ShiftedUint8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryWeightPerTensorConst,
    Uint8ActPerTensorFixedPoint,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn
from torch.nn.utils import prune

import qap2fpga
from qap2fpga.checkpoint import file
from qap2fpga.checkpoint.module import build
from qap2fpga.checkpoint.spec import Model
from qap2fpga.checkpoint.widths import Widths
from qap2fpga.errors import QapError
from tests.networks import random_model


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


def residual(m: Forward, x: Tensor) -> Tensor:
    hidden = m.hidden(x)
    return m.three(m.act2(m.two(hidden)) + hidden)


class Subclass(qnn.QuantLinear):
    """It might compute anything."""


WEIGHTS_OF_ONE_BIT = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 1}
REFUSED = {
    "float layer": (
        lambda: nn.Sequential(entry(), nn.Linear(5, 7), relu(), dense(7, 3)),
        r"layer 1 \(Linear\) can not be lowered",
    ),
    "unquantized weights": (lambda: nn.Sequential(entry(), dense(5, 3, weight_quant=None)), "layer 1: its weights"),
    "convolution": (
        lambda: nn.Sequential(qnn.QuantConv1d(5, 4, 1, weight_bit_width=4), nn.Flatten()),
        r"layer 0 \(QuantConv1d\) can not be lowered",
    ),
    "other activation": (lambda: nn.Sequential(entry(), dense(5, 7), nn.Sigmoid()), r"layer 2 \(Sigmoid\)"),
    "subclass": (lambda: nn.Sequential(entry(), Subclass(5, 3, bias=True)), r"layer 1 \(Subclass\)"),
    "signed ReLU": (
        lambda: nn.Sequential(entry(), dense(5, 7), relu(quant=Int8ActPerTensorFloat), dense(7, 3)),
        "layer 2: a ReLU with a signed quantizer",
    ),
    "zero point of weights": (
        lambda: nn.Sequential(entry(), dense(5, 3, weight_quant=ShiftedUint8WeightPerTensorFloat)),
        "layer 1: its weights have a zero point",
    ),
    "one-bit Int": (
        lambda: nn.Sequential(entry(), dense(5, 3, **WEIGHTS_OF_ONE_BIT)),
        "layer 1: an Int quantizer of 1",
    ),
    "no statistics": (
        lambda: nn.Sequential(entry(), dense(5, 7), nn.BatchNorm1d(7, track_running_stats=False), relu(), dense(7, 3)),
        "layer 2: a batch norm without running statistics",
    ),
    "no dense layer": (lambda: nn.Sequential(entry()), "no dense layer"),
    "residual": (lambda: Forward(residual), "layer three: it computes something else"),
    "twice": (
        lambda: Forward(lambda m, x: m.three(m.act1(m.two(m.hidden(x))))),
        "layer act1 runs more than once",
    ),
    "function between layers": (
        lambda: Forward(lambda m, x: m.three(m.act2(torch.tanh(m.two(m.hidden(x)))))),
        "layer act2: it computes something else",
    ),
    "function before the input": (
        lambda: Forward(lambda m, x: m.three(m.act2(m.two(m.hidden(2 * x - 1))))),
        "layer quant: it computes something else",
    ),
    "function that the example does not reach": (
        lambda: Forward(lambda m, x: m.three(m.act2(m.two(m.hidden(x if x.abs().max() < 6 else -x))))),
        "layer quant: it computes something else",
    ),
    "function behind the last layer": (
        lambda: Forward(lambda m, x: -m.three(m.act2(m.two(m.hidden(x))))),
        "does not return what layer three, the last one, gives",
    ),
    "two outputs": (
        lambda: Forward(lambda m, x: (m.three(m.act2(m.two(m.hidden(x)))), x)),
        "does not return what layer three",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_lowered_is_named(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    module = make()
    inputs = (5, 1) if name == "convolution" else (5,)
    trained(module, inputs)
    torch.manual_seed(3)
    with pytest.raises(QapError, match=message) as caught:
        qap2fpga.save(module, torch.randn(20, *inputs), tmp_path / "model.pt")
    assert caught.value.cure
    assert not list(tmp_path.iterdir())


def test_a_module_on_another_device_is_told_to_move(tmp_path: Path) -> None:
    """Its sums round otherwise, so nothing would compare equal. ('meta' is the device that every machine has.)"""
    with pytest.raises(QapError, match="the model is on meta") as caught:
        qap2fpga.save(nn.Sequential(entry(), dense(5, 3)).to("meta"), torch.ones(3, 5), tmp_path / "model.pt")
    assert "module.cpu()" in caught.value.cure


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


@pytest.mark.parametrize(
    ("example", "options", "message"),
    [
        (torch.randn(9, 6), {}, "does not run on the example"),
        (torch.randn(5), {}, r"the example input has shape \(5,\)"),
        (torch.full((4, 5), torch.nan), {}, "the example input is empty, or has NaN"),
        (torch.zeros(0, 5), {}, "the example input is empty"),
        (torch.randn(9, 5), {"labels": np.arange(8)}, r"labels of shape \(8,\) for 9"),
        (torch.randn(9, 5), {"labels": np.zeros((9, 3))}, r"labels of shape \(9, 3\) for 9"),
        (torch.randn(9, 5), {"provenance": {"where": Path("x")}}, "provenance can not be stored"),
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


def saved(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "model.pt"
    qap2fpga.save(trained(nn.Sequential(entry(), dense(5, 7), relu(), dense(7, 3))), torch.randn(9, 5), path)
    return path, torch.load(path, weights_only=True)


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
        (lambda c: c["state_dict"].update({"3.weight": torch.ones(3, 6)}), "layer 3 takes 6 inputs but .* gives 7"),
        (
            lambda c: c["state_dict"].update({"1.bias": torch.ones(6)}),
            r"layer 1: bias has shape \(6,\), expected \(7,\)",
        ),
        (lambda c: c["masks"].update({"1": torch.ones(2, 2)}), r"layer 1: its mask is \(2, 2\)"),
        (lambda c: c["quantizers"].pop("1"), "layer 1: its weights are not quantized"),
        (lambda c: c["quantizers"]["1"].update(bits=0), "layer 1: a bit width of 0"),
        (lambda c: c["quantizers"]["2"].update(bits=33), "layer 2: a bit width of 33"),
        (
            lambda c: c["quantizers"]["2"].update(scale=torch.tensor(0.0)),
            "layer 2: its scale must be finite and above 0",
        ),
        (lambda c: c["quantizers"]["2"].pop("signed"), "damaged.*signed"),
        (lambda c: c["quantizers"]["2"].update(rounding="DITHER"), "layer 2: rounding 'DITHER'"),
        (lambda c: c["architecture"][2].update(kind="gelu"), "layer 2: unknown kind 'gelu'"),
        (lambda c: c["architecture"][2].update(name="1"), "two layers are called 1"),
        (lambda c: c["example"].update(inputs=torch.ones(4, 4)), r"the example input has shape \(4, 4\)"),
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
