# SPDX-License-Identifier: Apache-2.0
"""State dicts that others wrote: both generations of Brevitas, and what must be refused because it is not said."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brevitas.inject.enum import RestrictValueType
from brevitas.quant import Uint8ActPerTensorFixedPoint, Uint8ActPerTensorFloat
from torch import Tensor, nn

from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.frontend.checkpoint.state_dict import COUNTER
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.system.errors import QapError
from tests.unit.frontend.test_checkpoint import dense, entry, one_thread, relu, run, trained  # noqa: F401

NEW = "{}.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"
OLD = "{}.act_quant_proxy.fused_activation_quant_proxy.tensor_quant.scaling_impl.learned_value"
SIZES = (5, 9, 8, 3)


def state_dict(style: str = NEW, *, seed: int = 0, input_scale: bool = False) -> OrderedDict[str, Tensor]:
    """What the two generations of Brevitas leave of a chain with batch norm: log2 scales, no bits."""
    torch.manual_seed(seed)
    state: OrderedDict[str, Tensor] = OrderedDict()
    if input_scale:
        state[style.format("act0")] = torch.tensor(1.3)
    for index in (1, 2, 3):
        inputs, outputs = SIZES[index - 1], SIZES[index]
        state[f"fc{index}.weight"] = torch.randn(outputs, inputs)
        state[f"fc{index}.bias"] = torch.randn(outputs)
        if index < 3:
            state[f"bn{index}.weight"], state[f"bn{index}.bias"] = torch.randn(outputs), torch.randn(outputs)
            state[f"bn{index}.running_mean"] = torch.randn(outputs)
            state[f"bn{index}.running_var"] = torch.rand(outputs) + 0.5
            state[f"bn{index}.num_batches_tracked"] = torch.tensor(7)
            state[style.format(f"act{index}")] = torch.tensor(0.4 * index)
    return state


def by_hand(state: dict[str, Tensor], style: str, rows: Tensor, weights: list[int], acts: list[int], entry_bits: int):
    """The paper's and FPGA4HEP's arithmetic, written out: max scales, log2 thresholds."""

    def threshold(name: str) -> Tensor:
        return 2.0 ** state[style.format(name)]

    if style.format("act0") in state:
        if entry_bits == 1:
            rows = torch.where(rows >= 0, 1.0, -1.0) * threshold("act0")
        else:
            scale = threshold("act0") / (2 ** (entry_bits - 1) - 1)
            rows = scale * (rows / scale).round().clamp(1 - 2 ** (entry_bits - 1), 2 ** (entry_bits - 1) - 1)
    for index in (1, 2, 3):
        weight, bits = state[f"fc{index}.weight"], weights[index - 1]
        per_channel = style == OLD or bits == 1
        largest = weight.abs().amax(1, keepdim=True) if per_channel else weight.abs().max()
        if bits == 1:
            weight = torch.where(weight >= 0, 1.0, -1.0) * largest
        else:
            scale = largest / (2 ** (bits - 1) - 1)
            weight = (weight / scale).round() * scale
        rows = nn.functional.linear(rows, weight, state[f"fc{index}.bias"])
        if index == 3:
            return rows
        norm = [state[f"bn{index}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        rows = nn.functional.batch_norm(rows, *norm)
        bits = acts[index - 1]
        if bits == 1:
            rows = torch.where(rows >= 0, 1.0, -1.0) * threshold(f"act{index}")
        else:
            scale = threshold(f"act{index}") / (2**bits - 1)
            rows = (rows / scale).round().clamp(0, 2**bits - 1) * scale
    raise AssertionError


@pytest.mark.parametrize(
    ("style", "weights", "acts"),
    [
        (NEW, (6,), (6,)),
        (OLD, (8,), (8,)),
        (NEW, (1,), (1,)),
        (OLD, (1,), (1,)),
        (NEW, (2, 6, 4), (3, 8)),
        (OLD, (8, 1, 3), (1, 2)),
    ],
)
def test_state_dicts_compute_what_their_authors_wrote(
    tmp_path: Path, style: str, weights: tuple[int, ...], acts: tuple[int, ...]
) -> None:
    state = state_dict(style, input_scale=style == OLD)
    torch.save(state, tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths(weights, acts, 5 if style == OLD else None))
    kinds = ["dense", "batch_norm", "act", "dense", "batch_norm", "act", "dense"]
    found = ["act" if op.kind in ("relu", "hard_tanh") else op.kind for op in model.ops]
    assert found == (["quantize"] if style == OLD else []) + kinds
    assert model.has_input_quantizer == (style == OLD)
    every = [weights * 3 if len(weights) == 1 else weights, acts * 2 if len(acts) == 1 else acts]
    assert [op.quantizer.bits for op in model.ops if op.kind == "dense"] == list(every[0])
    torch.manual_seed(9)
    rows = torch.randn(300, 5)
    assert torch.equal(run(build(model), rows), by_hand(state, style, rows, *every, 5))
    assert "architecture worked out from the tensors of model.pth" in model.notes[0]


def test_the_inputs_bits_are_the_activations_where_not_given(tmp_path: Path) -> None:
    torch.save(state_dict(OLD, input_scale=True), tmp_path / "model.pth")
    for widths, bits in ((Widths((8,), (4,)), 4), (Widths((8,), (4,), 7), 7), (Widths((1,), (1,)), 1)):
        quantizer = file.read(tmp_path / "model.pth", widths).ops[0].quantizer
        assert (quantizer.bits, quantizer.signed) == (bits, True)


def test_pruned_weights_of_a_state_dict_are_the_product(tmp_path: Path) -> None:
    state = state_dict()
    torch.manual_seed(5)
    mask = (torch.rand(8, 9) > 0.7).float()
    masked: OrderedDict[str, Tensor] = OrderedDict()
    for key, value in state.items():
        if key == "fc2.weight":
            masked["fc2.weight_orig"], masked["fc2.weight_mask"] = value, mask
            state[key] = value * mask
        else:
            masked[key] = value
    torch.save(masked, tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths((6,), (6,)))
    assert [op.name for op in model.ops if op.kind == "dense"] == ["fc1", "fc2", "fc3"]
    assert np.array_equal(model.masks["fc2"], mask.bool().numpy())
    rows = torch.randn(200, 5)
    assert torch.equal(run(build(model), rows), by_hand(state, NEW, rows, [6] * 3, [6] * 2, 0))


@pytest.mark.parametrize("where", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_inside_a_training_checkpoint(tmp_path: Path, where: str) -> None:
    torch.save({"epoch": 3, where: state_dict(), "lr": 0.1}, tmp_path / "model.pth")
    assert len(file.read(tmp_path / "model.pth", Widths((6,), (6,))).ops) == 7


def test_a_state_dict_two_levels_down_among_other_things(tmp_path: Path) -> None:
    content = {
        "model": {"state_dict": state_dict(), "config": {}},
        "network": {"depth": 3},
        "optimizer": {"x": ONES(3)},
    }
    torch.save(content, tmp_path / "model.pth")
    assert len(file.read(tmp_path / "model.pth", Widths((6,), (6,))).ops) == 7


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_read_where_float32_holds_them(tmp_path: Path, kind: torch.dtype) -> None:
    """Every float16 and bfloat16 is a float32; so is a float64 that came from one."""
    state = {key: value if COUNTER in key else value.to(kind) for key, value in state_dict().items()}
    plain = {key: value.float() for key, value in state.items()}
    for name, content in (("a", state), ("b", plain)):
        torch.save(content, tmp_path / f"{name}.pth")
    one, other = (file.read(tmp_path / f"{name}.pth", Widths((6,), (6,))) for name in "ab")
    for first, second in zip(one.ops, other.ops, strict=True):
        assert all(np.array_equal(values, second.tensors[key]) for key, values in first.tensors.items())
        assert first.quantizer is None or (first.quantizer.scale == second.quantizer.scale).all()


def test_how_many_batches_were_counted_does_not_matter(tmp_path: Path) -> None:
    torch.save(changed(bn1__num_batches_tracked=torch.tensor(2**40 + 1)), tmp_path / "model.pth")
    assert len(file.read(tmp_path / "model.pth", Widths((6,), (6,))).ops) == 7


def test_names_with_a_prefix_and_scales_of_one_element(tmp_path: Path) -> None:
    """As nn.DataParallel and some versions of Brevitas leave them."""
    state = {f"module.{key}": value.reshape(1) if ".act" in key else value for key, value in state_dict().items()}
    torch.save(state, tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths((6,), (6,)))
    assert [op.name for op in model.ops][:3] == ["module.fc1", "module.bn1", "module.act1"]
    rows = torch.randn(100, 5)
    assert torch.equal(run(build(model), rows), by_hand(state_dict(), NEW, rows, [6] * 3, [6] * 2, 0))


def test_more_than_nine_layers_run_in_the_order_people_count(tmp_path: Path) -> None:
    torch.manual_seed(0)
    numbers = list(range(1, 12))
    state = {f"fc{n}.weight": torch.randn(4, 4) for n in sorted(numbers, key=str)}
    state |= {NEW.format(f"act{n}"): torch.tensor(n / 10) for n in sorted(numbers[:-1], key=str)}
    torch.save(state, tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths((4,), (4,)))
    assert [op.name for op in model.ops] == [f"{kind}{n}" for n in numbers for kind in ("fc", "act")][:-1]


def test_names_without_numbers_run_in_the_order_of_the_file(tmp_path: Path) -> None:
    state = {"stem.weight": torch.randn(4, 4), "body.weight": torch.randn(4, 4), "head.weight": torch.randn(4, 4)}
    state |= {NEW.format(name): torch.tensor(1.0) for name in ("quant_inp", "relu_b", "relu_a")}
    torch.save(state, tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths((4,), (4,), 8))
    assert [op.name for op in model.ops] == ["quant_inp", "stem", "relu_b", "body", "relu_a", "head"]


def test_a_sequentials_numbers_are_the_order(tmp_path: Path) -> None:
    """Even where the file has them in another one."""
    state = {f"{n}.weight": torch.randn(4, 4) for n in (10, 1, 4)}
    state |= {f"2.{key}": torch.ones(4) for key in ("weight", "bias", "running_mean", "running_var")}
    state |= {NEW.format(n): torch.tensor(1.0) for n in (6, 0, 3)}
    torch.save(state, tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths((6,), (6,), 8))
    found = [(op.name, op.kind) for op in model.ops]
    kinds = {"0": "quantize", "1": "dense", "2": "batch_norm", "3": "relu", "4": "dense", "6": "relu", "10": "dense"}
    assert found == list(kinds.items())
    state[NEW.format(12)] = state.pop(NEW.format(0))  # after the last layer
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(QapError, match="layers in the order 1 2 3 4 6 10 12"):
        file.read(tmp_path / "model.pth", Widths((6,), (6,), 8))


@pytest.mark.parametrize(
    "quant",
    [
        Uint8ActPerTensorFixedPoint,
        Uint8ActPerTensorFloat.let(restrict_scaling_type=RestrictValueType.LOG_FP),
    ],
    ids=["rounded to a power of two", "log2, with another last bit"],
)
def test_scales_of_todays_brevitas_that_are_not_described_are_refused(tmp_path: Path, quant: Any) -> None:
    """It keeps other numbers under the same key; PyTorch's list of modules beside them tells."""
    module = trained(nn.Sequential(OrderedDict(fc1=dense(5, 7), act1=relu(quant=quant), fc2=dense(7, 3))))
    torch.save(module.state_dict(), tmp_path / "model.pth")
    with pytest.raises(QapError, match="act1 has a scale of a kind that a state dict does not describe"):
        file.read(tmp_path / "model.pth", Widths((4,), (4,)))


def todays() -> nn.Module:
    """A chain with the scales that Brevitas has by default."""
    layers = OrderedDict(
        quant_inp=entry(5), fc1=dense(5, 7), act1=relu(), fc2=dense(7, 6), act2=relu(), fc3=dense(6, 3)
    )
    return trained(nn.Sequential(layers))


def test_scales_that_todays_brevitas_stores_as_they_are(tmp_path: Path) -> None:
    module = todays()
    torch.save(module.state_dict(), tmp_path / "model.pth")
    model = file.read(tmp_path / "model.pth", Widths((4,), (4,), 5))
    rows = 2 * torch.randn(200, 5)
    assert torch.equal(run(build(model), rows), run(module, rows))
    assert "one scale per layer was assumed" in model.notes[1]


def test_a_mask_beside_its_weights_is_kept_if_it_fits(tmp_path: Path) -> None:
    state = state_dict()
    mask = torch.rand(9, 5) < 0.5
    state |= {"fc1.weight": state["fc1.weight"] * mask, "fc1.weight_mask": mask}
    torch.save(state, tmp_path / "model.pth")
    assert np.array_equal(file.read(tmp_path / "model.pth", Widths((6,), (6,))).masks["fc1"], mask.numpy())
    for wrong in (~mask, mask[:, 1:]):
        torch.save({**state, "fc1.weight_mask": wrong}, tmp_path / "model.pth")
        with pytest.raises(QapError, match="layer fc1: 'weight_mask' does not fit its 'weight'"):
            file.read(tmp_path / "model.pth", Widths((6,), (6,)))


def test_weights_that_are_none_are_named_before_a_convolution(tmp_path: Path) -> None:
    torch.save({"conv.weight": ONES(4, 1, 3, 3) * torch.nan}, tmp_path / "model.pth")
    with pytest.raises(QapError, match="layer conv: weight has NaN"):
        file.read(tmp_path / "model.pth", Widths((4,), (4,)))


def test_a_convolution_is_named_before_a_scale(tmp_path: Path) -> None:
    """Saving the module would not help its user."""
    module = trained(nn.Sequential(OrderedDict(fc1=dense(5, 7), act1=relu(quant=Uint8ActPerTensorFloat))))
    state = module.state_dict()
    state["conv.weight"] = ONES(4, 1, 3, 3)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(QapError, match=r"layer conv has a weight of shape .*, as a convolution has"):
        file.read(tmp_path / "model.pth", Widths((4,), (4,)))


def changed(**changes: Tensor | None) -> OrderedDict[str, Tensor]:
    """A state dict with entries replaced, or removed where None; `__` stands for a dot."""
    state = state_dict()
    for name, value in changes.items():
        key = NEW.format(name) if name.startswith("act") else name.replace("__", ".")
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


def with_modules(modules: Any) -> OrderedDict[str, Tensor]:
    state = state_dict()
    state._metadata = modules
    return state


ONES = torch.ones
FOREIGN_REFUSED: dict[str, tuple[Callable[[], Any], Widths, str]] = {
    "no bits": (state_dict, Widths(), "bit widths are not in the file"),
    "no activation bits": (state_dict, Widths((6,)), "--activation-bits has 0 numbers for 2 layers"),
    "too few bits": (state_dict, Widths((6, 6), (6,)), "--weight-bits has 2 numbers for 3 layers"),
    "no scales": (lambda: changed(act1=None, act2=None), Widths((6,), (6,)), "0 activation scales for 3 dense"),
    "a scale is missing": (lambda: changed(act2=None), Widths((6,), (6,)), "1 activation scales for 3 dense"),
    "too many scales": (
        lambda: changed(act3=ONES(()), act4=ONES(())),
        Widths((6,), (6,)),
        "4 activation scales for 3 dense",
    ),
    "input's or output's": (lambda: changed(act3=ONES(())), Widths((6,), (6,)), "the last the output's"),
    "scale a channel": (lambda: changed(act1=ONES(9)), Widths((6,), (6,)), "act1.act_quant.*' is not known"),
    "NaN scale": (lambda: changed(act1=torch.tensor(torch.nan)), Widths((6,), (6,)), "act1: its scale must be finite"),
    "NaN weight": (
        lambda: changed(fc2__weight=ONES(8, 9) * torch.nan),
        Widths((6,), (6,)),
        "layer fc2: weight has NaN",
    ),
    "chain broken": (
        lambda: changed(fc2__weight=ONES(8, 7)),
        Widths((6,), (6,)),
        "layer fc2 takes 7 inputs but fc1 gives 9",
    ),
    "bias of wrong shape": (
        lambda: changed(fc2__bias=ONES(7)),
        Widths((6,), (6,)),
        r"layer fc2: bias has shape \(7,\)",
    ),
    "norm of wrong shape": (lambda: changed(bn1__weight=ONES(7)), Widths((6,), (6,)), "layer bn1: weight has shape"),
    "norm without variance": (
        lambda: changed(bn1__running_var=None),
        Widths((6,), (6,)),
        "layer bn1: 'running_mean' wi",
    ),
    "variance below 0": (
        lambda: changed(bn1__running_var=-ONES(9)),
        Widths((6,), (6,)),
        "layer bn1: a running variance",
    ),
    "mask missing": (
        lambda: changed(fc4__weight_orig=ONES(3, 3)),
        Widths((6,), (6,)),
        "layer fc4: 'weight_orig' without",
    ),
    "mask of wrong shape": (
        lambda: changed(fc4__weight_orig=ONES(3, 3), fc4__weight_mask=ONES(3, 2)),
        Widths((6,), (6,)),
        "layer fc4: 'weight_orig' without a fitting",
    ),
    "convolution": (
        lambda: changed(conv1__weight=ONES(4, 1, 3, 3)),
        Widths((6,), (6,)),
        "layer conv1 has a weight of shape",
    ),
    "layer norm": (lambda: changed(ln__weight=ONES(9)), Widths((6,), (6,)), "layer ln has a weight of shape"),
    "unknown buffer": (lambda: changed(mean=ONES(5)), Widths((6,), (6,)), "'mean' is not known"),
    "learned weight scale": (
        lambda: changed(fc1__weight_quant__tensor_quant__scaling_impl__value=ONES(())),
        Widths((6,), (6,)),
        "'fc1.weight_quant.tensor_quant.scaling_impl.value' is not known",
    ),
    "complex": (lambda: changed(fc1__weight=ONES(9, 5) * 1j), Widths((6,), (6,)), "fc1.weight is a complex"),
    "no dense layer": (lambda: {"x.bias": ONES(3)}, Widths((6,), (6,)), "no dense layer"),
    "no tensors": (lambda: {"epoch": 3, "lr": 0.1}, Widths((6,), (6,)), "has no tensors, but the keys 'epoch', 'lr'"),
    "unknown wrapper": (
        lambda: {"generator": state_dict()},
        Widths((6,), (6,)),
        "no tensors, but the keys 'generator'",
    ),
    "empty wrapper": (lambda: {"model": {"fc1": [1]}}, Widths((6,), (6,)), "no tensors, but the keys 'model'"),
    "two state dicts": (
        lambda: {"model": state_dict(), "state_dict": state_dict()},
        Widths((6,), (6,)),
        "each of state_dict, model may be the state dict",
    ),
    "a list of numbers": (
        lambda: {**state_dict(), "fc1.bias": [0.0] * 9},
        Widths((6,), (6,)),
        "fc1.bias is a list, not a tensor",
    ),
    "a number beside tensors": (
        lambda: {"model": {**state_dict(), "epoch": 3}},
        Widths((6,), (6,)),
        "model.epoch is a int, not a tensor",
    ),
    "key of another type": (
        lambda: {**state_dict(), 3: ONES(3)},
        Widths((6,), (6,)),
        "a key of the state dict is a int",
    ),
    "no values": (lambda: changed(fc2__weight=ONES(0, 9)), Widths((6,), (6,)), r"fc2.weight has shape \(0, 9\)"),
    "an infinite scale": (
        lambda: changed(act1=torch.tensor(1e9)),
        Widths((6,), (6,)),
        "act1: its scale must be finite",
    ),
    "a scale of 0": (lambda: changed(act1=torch.tensor(-1e9)), Widths((6,), (6,)), "act1: its scale must be finite"),
    "float64": (
        lambda: changed(fc1__bias=torch.full((9,), 0.1, dtype=torch.float64)),
        Widths((6,), (6,)),
        "fc1.bias is of type float64 and has values that float32 does not hold",
    ),
    "too many values": (
        lambda: changed(fc1__weight=ONES(1, 1).expand(10**6, 10**6)),
        Widths((6,), (6,)),
        r"fc1.weight has shape \(1000000, 1000000\), more values than are stored",
    ),
    "quantized": (
        lambda: changed(fc1__weight=torch.quantize_per_tensor(ONES(9, 5), 0.1, 0, torch.qint8)),
        Widths((6,), (6,)),
        "fc1.weight is a complex, sparse or quantized",
    ),
    "modules that are none": (lambda: with_modules([1, 2]), Widths((6,), (6,)), "the list of modules .* is none"),
    "modules without names": (lambda: with_modules({3: {}}), Widths((6,), (6,)), "the list of modules .* is none"),
    "bias quantizer": (
        lambda: with_modules({"fc1.bias_quant.tensor_quant": {}}),
        Widths((6,), (6,)),
        "the bias of fc1 has a quantizer",
    ),
    "no quantizers": (lambda: {"a.weight": ONES(3, 4), "b.weight": ONES(2, 3)}, Widths((6,), (6,)), r"layers \(a, b\)"),
    "a list": (lambda: [ONES(3)], Widths((6,), (6,)), "holds a list, not a checkpoint"),
    "a tensor": (lambda: ONES(3), Widths((6,), (6,)), "holds a Tensor, not a checkpoint"),
}


@pytest.mark.parametrize("name", FOREIGN_REFUSED)
def test_what_a_state_dict_does_not_say_is_asked_for(tmp_path: Path, name: str) -> None:
    make, widths, message = FOREIGN_REFUSED[name]
    torch.save(make(), tmp_path / "model.pth")
    with pytest.raises(QapError, match=message) as caught:
        file.read(tmp_path / "model.pth", widths)
    assert caught.value.hint or "has shape" in caught.value.message


@pytest.mark.parametrize("bits", [0, -1, 17, 10**6])
def test_bit_widths_outside_of_what_is_possible_are_refused(bits: int) -> None:
    for given in ({"weight": (6, bits)}, {"activation": (bits,)}, {"input": bits}):
        with pytest.raises(QapError, match=f"a bit width of {bits}"):
            Widths(**given)
