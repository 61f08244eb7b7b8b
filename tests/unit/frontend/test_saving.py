# SPDX-License-Identifier: Apache-2.0
"""Modules that are no chains of dense layers: saved, read again, and exact; what cannot be saved says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.quant import Int8ActPerTensorFloat, ShiftedUint8WeightPerTensorFloat
from torch import Tensor, nn
from torch.nn.utils import prune

import qap2fpga
from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.checkpoint.exported import Exported
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Prepared, Source, prepare
from qap2fpga.ir.shown import Head
from qap2fpga.system.errors import QapError
from tests.support.brevitas_modules import MODULES, convolution, dense, entry, module, relu
from tests.unit.frontend.test_checkpoint import one_thread  # noqa: F401


def saved(network: nn.Module, rows: Tensor, path: Path, **options: Any) -> Exported:
    qap2fpga.save(network, rows, path, **options)
    model = file.read_any(path, Widths())
    assert isinstance(model, Exported)
    return model


def prepared(path: Path, **options: Any) -> Prepared:
    return prepare(Source(path, Widths(), **options), lambda line: None)


@pytest.mark.parametrize("name", MODULES)
def test_any_module_is_saved_and_computes_what_torch_gave(tmp_path: Path, name: str) -> None:
    network, rows = module(name)
    labels = torch.arange(len(rows)) % 2
    model = saved(network, rows, tmp_path / "model.pt", labels=labels)
    with torch.no_grad():
        outputs = network(rows)
    assert np.array_equal(model.example, rows.numpy())
    assert np.array_equal(model.recording.outputs, outputs.numpy())
    assert model.labels is not None
    assert np.array_equal(model.labels, labels.numpy())
    result = prepared(tmp_path / "model.pt")
    engines = {one.engine: one for one in result.simulations}
    assert engines["torch"].vectors == len(rows)
    assert engines["torch"].mismatches == engines["qonnx"].mismatches == 0
    assert result.facts.export is not None
    assert result.facts.export.rows == len(rows)
    assert result.facts.export.largest_difference < 1e-5
    frames = rows if rows.ndim == 2 else rows.flatten(2).transpose(1, 2)  # a frame has its channels last
    integers = result.network.input.quantize(frames.reshape(len(rows), -1).numpy())
    assert np.array_equal(result.recorded, integers)
    assert (result.network.run(integers).argmax(axis=1) == outputs.numpy().argmax(axis=1)).mean() > 0.97
    assert result.facts.accuracy is not None


def test_nodes_are_called_like_the_layers(tmp_path: Path) -> None:
    network, rows = module("residual image")
    saved(network, rows, tmp_path / "model.pt")
    result = prepared(tmp_path / "model.pt")
    assert [layer.name for layer in result.facts.network.layers] == ["before.1", "branch.0", "after.1"]


def test_masks_of_pruning_are_kept(tmp_path: Path) -> None:
    network, rows = module("image classifier")
    assert isinstance(network, nn.Sequential)
    prune.l1_unstructured(network[5], "weight", amount=0.5)
    with torch.no_grad():
        network[9].weight[0, :2] = 0
    model = saved(network, rows, tmp_path / "model.pt")
    assert np.array_equal(model.masks["5"], network[5].weight_mask.numpy() != 0)
    assert (~model.masks["9"]).sum() == 2
    assert prepared(tmp_path / "model.pt").facts.masked == {"1": 0, "5": 12, "9": 2}


def test_several_heads_are_kept_by_the_names_of_their_layers(tmp_path: Path) -> None:
    torch.manual_seed(3)
    trunk = nn.Sequential(entry(), dense(5, 6), relu())
    network = Own(
        lambda own, x: (own.left(own.trunk(x)), own.right(own.trunk(x))),
        trunk=trunk,
        left=dense(6, 3),
        right=dense(6, 1),
    )
    rows = torch.randn(60, 5)
    network(rows)
    saved(network.eval(), rows, tmp_path / "model.pt")
    result = prepared(tmp_path / "model.pt")
    assert result.facts.network.heads == (Head("left", 0, 3), Head("right", 3, 1))
    assert [one.engine for one in result.simulations[1:]] == ["torch", "qonnx"]
    with torch.no_grad():
        given = torch.cat([getattr(one, "value", one) for one in network(rows)], dim=1).numpy()
    mine = result.lowered.run(result.lowered.input.quantize(rows.numpy())) * float(result.lowered.output_scale)
    assert np.abs(mine - given).max() < 2 * float(result.lowered.output_scale)


def test_a_layer_that_never_runs_has_no_mask(tmp_path: Path) -> None:
    runs = nn.Sequential(convolution(1, 2), relu(), nn.Flatten(), dense(18, 3))
    network = Own(lambda own, x: own.runs(x), runs=runs, never=dense(5, 3))
    assert list(saved(network, torch.randn(20, 1, 5, 5), tmp_path / "model.pt").masks) == ["runs.0", "runs.3"]


def test_a_module_without_an_input_quantizer_gets_one_when_it_is_built(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(convolution(1, 2), relu(), nn.Flatten(), dense(18, 3))
    rows = torch.randn(40, 1, 5, 5)
    network(rows)
    saved(network.eval(), rows, tmp_path / "model.pt")
    result = prepared(tmp_path / "model.pt")
    assert "torch" not in {one.engine for one in result.simulations}  # it saw other inputs
    assert any("the model has no input quantizer" in note for note in result.facts.notes)
    with pytest.raises(QapError, match="bit widths were given, but a model"):
        prepare(Source(tmp_path / "model.pt", Widths((4,), (4,))), lambda line: None)


def test_the_users_module_is_left_as_it_was(tmp_path: Path) -> None:
    network, rows = module("residual image")
    network.train()
    network.branch.eval()
    modes = [part.training for part in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    saved(network, rows, tmp_path / "model.pt")
    assert [part.training for part in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    first = (tmp_path / "model.pt").read_bytes()
    saved(network, rows, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == first


class Own(nn.Module):
    """Two dense layers, or others, and a forward of the test's own."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self.quant, self.one, self.act, self.two = entry(8), dense(5, 5), relu(), dense(5, 2)
        self.own_forward = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Any:
        return self.own_forward(self, x)

    def hidden(self, x: Tensor) -> Tensor:
        return self.act(self.one(self.quant(x)))


def raises(own: Own, x: Tensor) -> Tensor:
    raise LookupError("nothing there")


class Subclass(qnn.QuantLinear):
    """It might compute anything."""


SHIFTED = {"weight_quant": ShiftedUint8WeightPerTensorFloat, "weight_bit_width": 4}
TAKEN: dict[str, Callable[[], nn.Module]] = {
    "function before the input": lambda: Own(lambda own, x: own.two(own.hidden(2 * x - 1))),
    "subclass": lambda: nn.Sequential(entry(), Subclass(5, 3, bias=True, weight_bit_width=4)),
    "zero point of weights": lambda: nn.Sequential(entry(), qnn.QuantLinear(5, 3, bias=True, **SHIFTED)),
    "signed ReLU": lambda: nn.Sequential(entry(), dense(5, 4), relu(act_quant=Int8ActPerTensorFloat), dense(4, 2)),
    "sigmoid": lambda: nn.Sequential(entry(), dense(5, 4), nn.Sigmoid(), entry(), dense(4, 2)),
    "quantizer used twice on the same": lambda: Own(
        lambda own, x: own.two(own.act(own.quant(x) + own.quant(own.one(own.quant(x)))))
    ),
    "quantizer whose result is not used": lambda: Own(lambda own, x: (own.act(x), own.two(own.hidden(x)))[1]),
    "softmax at the end": lambda: Own(lambda own, x: torch.softmax(own.two(own.hidden(x)), 1)),
    "skip between dense layers": lambda: Own(lambda own, x: own.two(own.act(own.quant(own.hidden(x)) + own.quant(x)))),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_chain_does_not_have_is_kept_as_a_graph(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    network, rows = TAKEN[name](), torch.randn(40, 5)
    with torch.no_grad():
        network(rows)
    saved(network.eval(), rows, tmp_path / "model.pt")
    result = prepared(tmp_path / "model.pt")
    assert {one.engine for one in result.simulations} >= {"torch", "qonnx"}


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "float convolution": (
        lambda: nn.Sequential(entry(), nn.Conv2d(1, 2, 3), relu(), nn.Flatten(), dense(18, 2)),
        (1, 5, 5),
        r"node 1 \(Conv\) cannot be lowered\n.*layer 1 \(Conv2d\) has float weights: use brevitas.nn.QuantConv2d",
    ),
    "float dense layer": (
        lambda: nn.Sequential(entry(), nn.Linear(5, 4), relu(), dense(4, 2)),
        (5,),
        r"node 1 \(Gemm\) cannot be lowered\n.*layer 1 \(Linear\) has float weights",
    ),
    "activation at the end": (
        lambda: nn.Sequential(entry(), dense(5, 3), nn.LeakyReLU(0.1)),
        (5,),
        "layer 1: a LeakyRelu or another curve ends the network",
    ),
    "LSTM": (
        lambda: Own(lambda own, x: own.two(own.cell(own.quant(x))[0][:, -1]), cell=nn.LSTM(4, 5, batch_first=True)),
        (3, 4),
        r"node cell\S* \(\w+\) cannot be lowered\n.*layer cell \(LSTM\) is recurrent",
    ),
    "quantized LSTM": (
        lambda: Own(lambda own, x: own.two(own.cell(own.quant(x))[0][:, -1]), cell=qnn.QuantLSTM(4, 5)),
        (3, 4),
        r"node cell\S* \(\w+\) cannot be lowered\n.*layer cell \(QuantLSTM\) is recurrent",
    ),
    "operator without an ONNX form": (
        lambda: Own(lambda own, x: own.two(torch.linalg.pinv(own.hidden(x).unsqueeze(1)).squeeze(2))),
        (5,),
        "Brevitas cannot export the module: aten::linalg_pinv has no ONNX form",
    ),
    "branch on values": (
        lambda: Own(lambda own, x: own.two(own.hidden(x if x.abs().max() < 8 else -x) + own.quant(x))),
        (5,),
        "the module gives something else than what Brevitas exports of it: torch",
    ),
    "an output that is no vector": (
        lambda: Own(lambda own, x: [own.two(own.hidden(x)), x[:, :, None]]),
        (5,),
        r"returns a list of 2\n.*several of shape \(rows, outputs\)",
    ),
    "the input as an output": (
        lambda: Own(lambda own, x: (own.two(own.hidden(x)), x)),
        (5,),
        "the output .* is the input as it is",
    ),
    "an output that ends in a Softmax": (
        lambda: Own(lambda own, x: (own.two(own.hidden(x)), own.soft(own.two(own.hidden(x)))), soft=nn.Softmax(-1)),
        (5,),
        r"soft \(Softmax\) ends one of several outputs",
    ),
    "no tensor": (lambda: Own(lambda own, x: {"y": own.two(own.hidden(x))}), (5,), "forward.. returns a dict\n"),
    "no rows": (
        lambda: Own(lambda own, x: own.two(own.hidden(x)).sum(0, keepdim=True)),
        (5,),
        r"returns shape \(1, 2\) for 40 rows",
    ),
    "one bit, unsigned": (
        lambda: nn.Sequential(entry(), convolution(1, 2), relu(1), nn.Flatten(), dense(18, 2)),
        (1, 5, 5),
        "layer 2: a quantizer of 1 bit that is unsigned\n.*one bit is the sign",
    ),
    "a ReLU of sums between dense layers": (
        lambda: nn.Sequential(entry(), dense(5, 4), nn.ReLU(), dense(4, 3), relu(), dense(3, 2)),
        (5,),
        r"node 3 \(Gemm\) cannot be lowered\n  a Relu or Clip of sums stands before it: put a quantizer between",
    ),
    "a ReLU of sums after a batch norm, in a class": (
        lambda: Own(
            lambda own, x: own.two(own.plain(own.norm(own.one(own.quant(x))))),
            plain=nn.ReLU(),
            norm=nn.BatchNorm1d(5),
            act=nn.Identity(),
        ),
        (5,),
        r"node two \(Gemm\) cannot be lowered\n  a Relu or Clip of sums stands before it",
    ),
    "a ReLU of sums, without an input quantizer": (
        lambda: nn.Sequential(dense(5, 4), nn.ReLU(), dense(4, 2)),
        (5,),
        r"node 2 \(Gemm\) cannot be lowered\n  a Relu or Clip of sums stands before it",
    ),
    "an error of its own": (lambda: Own(raises), (5,), "does not run on the example input: nothing there"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_saved_says_why(tmp_path: Path, name: str) -> None:
    make, shape, message = REFUSED[name]
    torch.manual_seed(1)
    network, rows = make(), torch.randn(40, *shape)
    if "error" not in name:
        with torch.no_grad():
            network(rows)
    with pytest.raises(QapError, match=message) as caught:
        qap2fpga.save(network.eval(), rows, tmp_path / "model.pt")
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    network, rows = module("image classifier")
    with pytest.raises(QapError, match="the module is a OrderedDict, no torch module\n  give the module itself"):
        qap2fpga.save(network.state_dict(), rows, tmp_path / "model.pt")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    network, rows = module("image classifier")
    with pytest.raises(QapError, match=f"{tmp_path} is a folder\n  name a file, as {tmp_path}/model.pt"):
        qap2fpga.save(network, rows, tmp_path)


def test_labels_that_the_network_has_no_output_for_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(1)
    for network, rows, outputs in (
        (nn.Sequential(entry(), dense(5, 3)), torch.randn(40, 5), 3),
        (nn.Sequential(entry(), convolution(1, 2), relu(), nn.Flatten(), dense(18, 2)), torch.randn(40, 1, 5, 5), 2),
    ):
        network(rows)
        labels = torch.arange(40) % (outputs + 1)
        with pytest.raises(QapError, match=f"labels has {outputs}, the network has {outputs} outputs\n"):
            qap2fpga.save(network.eval(), rows, tmp_path / "model.pt", labels=labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["1.weight", "2.running_mean", "9.bias"])
def test_numbers_that_are_none_are_named(tmp_path: Path, where: str) -> None:
    network, rows = module("image classifier")
    with torch.no_grad():
        network.state_dict()[where].view(-1)[0] = torch.nan
    with pytest.raises(QapError, match=f"{where} has NaN or infinite values"):
        qap2fpga.save(network, rows, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda rows: None, {}, "the example input is a NoneType, not rows of numbers"),
        (lambda rows: "rows", {}, "the example input is a str, not rows of numbers"),
        (lambda rows: rows[:0], {}, "the example input is empty"),
        (lambda rows: rows * torch.nan, {}, "has NaN in row 0"),
        (lambda rows: rows[:, :, :2, :2], {}, "does not run on the example input"),
        (lambda rows: rows, {"labels": [1, 2]}, r"labels of shape \(2,\) for 40 example inputs"),
        (lambda rows: rows, {"provenance": {"where": Path("x")}}, "provenance cannot be stored"),
    ],
)
def test_what_goes_with_the_module_is_checked(
    tmp_path: Path, change: Callable[[Tensor], Any], options: Any, message: str
) -> None:
    network, rows = module("image classifier")
    with pytest.raises(QapError, match=message):
        qap2fpga.save(network, change(rows), tmp_path / "model.pt", **options)
    assert not list(tmp_path.iterdir())


def test_a_chain_may_quantize_twice_in_a_row(tmp_path: Path) -> None:
    """Before its first layer, between two, and at its end."""
    torch.manual_seed(1)
    clipped = qnn.QuantHardTanh(act_quant=Int8ActPerTensorFloat, bit_width=3, max_val=1.0, min_val=-1.0)
    network = nn.Sequential(entry(4), clipped, dense(5, 4), relu(), relu(2), dense(4, 3), entry(5), entry())
    rows = torch.randn(40, 5)
    with torch.no_grad():
        network(rows)
    qap2fpga.save(network.eval(), rows, tmp_path / "model.pt")
    assert not isinstance(file.read_any(tmp_path / "model.pt", Widths()), Exported)
    engines = {one.engine: one for one in prepared(tmp_path / "model.pt").simulations}
    assert engines["torch"].mismatches == engines["qonnx"].mismatches == 0
