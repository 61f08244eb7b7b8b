# SPDX-License-Identifier: Apache-2.0
"""The price of learned bits: what it counts, and that its gradients are the slopes of what it counts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from qap2fpga.qap.bits import LearnedConv2d, LearnedLinear, LearnedQuantizer, price
from qap2fpga.qap.bits.price import FEATURES, SHARING, digits, features, fitted, layers
from qap2fpga.system.errors import QapError
from tests.support.learned import MODULES, entry, module


def test_signed_digits_of_whole_numbers() -> None:
    """The fewest that there are: 7 is 8 - 1, 11 is 8 + 4 - 1, 27 is 32 - 4 - 1."""
    assert digits(torch.tensor([0.0, 1.0, -2.0, 3.0, 7.0, 11.0, 27.0, -85.0])).tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


def by_name(one: nn.Module) -> dict[str, float]:
    return dict(zip(FEATURES, features(one).tolist(), strict=True))


def small(*, of_input: bool = False) -> LearnedLinear:
    """Two outputs of three inputs of 4, 2 and 0 bits: weights 3 and 1 of the first output, 5 of the second."""
    layer = LearnedLinear(3, 2, quantizer=LearnedQuantizer(3, fraction=2.0, integer=2.0, of_input=of_input))
    with torch.no_grad():
        layer.input_quant.fraction.copy_(torch.tensor([2.0, 0.0, -3.0]))
        layer.weight.copy_(torch.tensor([[3.0, 1.0, 9.0], [0.0, 5.0, 0.0]]))
        layer.fraction.zero_()
        layer.bias_fraction.zero_()
        layer.bias.copy_(torch.tensor([2.0, 0.0]))
    return layer


def test_features_of_a_layer_by_hand() -> None:
    """The first output has 3 digits on inputs with bits and a bias, 3 adders; the second 2 digits, 1 adder."""
    counted = by_name(small())
    assert counted["adder_bits"] == pytest.approx(((2 * 4 + 1 * 2) * 3 / 3 + (2 * 2) / 2) ** SHARING)
    assert counted["growth_bits"] == pytest.approx((3 * math.log2(4) + 1) ** SHARING)
    assert counted["requantizer_bits"] == 6
    assert by_name(small(of_input=True))["requantizer_bits"] == 0


def test_a_bias_learns_to_do_without_bits() -> None:
    layer = small()
    price(layer).backward()
    assert layer.bias_fraction.grad is not None
    assert layer.bias_fraction.grad[0] > 0 and layer.bias_fraction.grad[1] == 0


def test_a_pruned_weight_has_a_price_until_its_bits_are_a_little_further_down() -> None:
    """Else it would come back for nothing, and go again."""
    layer = LearnedLinear(3, 1, bias=False, quantizer=LearnedQuantizer(3))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.3, 0.3]]))
        layer.fraction.copy_(torch.tensor([[1.0, 0.4, 0.2]]))
    assert layer.integers.tolist() == [[6.0, 0.0, 0.0]] and layer.is_priced.tolist() == [[True, True, False]]
    price(layer).backward()
    assert layer.fraction.grad is not None
    assert (layer.fraction.grad > 0).tolist() == [[True, True, False]]


def test_groups_take_the_bits_of_their_own_channels() -> None:
    layer = LearnedConv2d(4, 4, 1, groups=2, bias=False, quantizer=LearnedQuantizer(4))
    with torch.no_grad():
        layer.input_quant.fraction.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert layer.input_bits.reshape(4, 2).tolist() == [[3, 4], [3, 4], [5, 6], [5, 6]]


@pytest.mark.parametrize("name", MODULES)
def test_the_price_is_the_sum_of_the_features(name: str) -> None:
    one, _ = module(name)
    expected = sum(fitted()[feature] * value for feature, value in by_name(one).items())
    assert price(one).item() == pytest.approx(expected, rel=1e-5) and expected > 0
    assert price(one, dict.fromkeys(FEATURES, 2.0)).item() == pytest.approx(2 * features(one).sum().item(), rel=1e-5)


def test_a_bit_of_an_activation_costs_its_gradient() -> None:
    """The bits of adders are a line in the bits of activations: the gradient is the difference, but for sharing."""
    layer = nn.Sequential(LearnedLinear(5, 8, quantizer=entry(5)), LearnedLinear(8, 3))
    quantizer = layer[1].input_quant
    before = price(layer)
    before.backward()
    assert quantizer.fraction.grad is not None
    for channel in (0, 5):
        with torch.no_grad():
            quantizer.fraction[channel] += 1
        assert (price(layer) - before).item() == pytest.approx(float(quantizer.fraction.grad[channel]), rel=0.01)
        with torch.no_grad():
            quantizer.fraction[channel] -= 1


@pytest.mark.parametrize("bits", [3.0, 6.0])
def test_a_bit_of_the_weights_costs_its_gradient_on_average(bits: float) -> None:
    """Digits come in steps: over many weights their mean rises by what the gradient says, within a tenth."""
    torch.manual_seed(3)
    layer = LearnedLinear(64, 200, bias=False, quantizer=entry(64), fraction=bits)
    with torch.no_grad():
        layer.weight.uniform_(-1, 1)
    before = price(layer)
    before.backward()
    assert layer.fraction.grad is not None
    with torch.no_grad():
        layer.fraction += 1
    assert (price(layer) - before).item() == pytest.approx(float(layer.fraction.grad.sum()), rel=0.1)


def test_float64_and_mixed_precision_have_a_price() -> None:
    one, rows = module("dense")
    expected = price(one).item()
    assert price(one.double()).item() == pytest.approx(expected)
    one.float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = one(rows).float().square().mean()
    (loss + price(one)).backward()
    assert all(value.grad is None or torch.isfinite(value.grad).all() for value in one.parameters())


def test_a_module_without_learned_bits_is_refused() -> None:
    with pytest.raises(QapError, match="no layer that learns its bits"):
        layers(nn.Sequential(nn.Linear(2, 2)))


def chain(*between: nn.Module, outputs: int = 3) -> nn.Sequential:
    """A layer of so many outputs, the second of which no weight of the next layer takes."""
    module = nn.Sequential(LearnedLinear(4, outputs, quantizer=entry(4)), *between, LearnedLinear(outputs, 2))
    torch.manual_seed(2)
    with torch.no_grad():
        for layer in (module[0], module[-1]):
            layer.weight.copy_(torch.randint(1, 30, layer.weight.shape) / 16)
        if outputs > 2:
            module[-1].weight[:, 1] = 0.0
    return module


def without_second(module: nn.Sequential) -> nn.Sequential:
    """The same module without the second output of its first layer."""
    small = chain(outputs=2)
    with torch.no_grad():
        for own, other in ((small[0], module[0]), (small[-1], module[-1])):
            kept = [0, 2]
            own.weight.copy_(other.weight[kept] if own is small[0] else other.weight[:, kept])
    return small


@pytest.mark.parametrize("between", [(), (nn.BatchNorm1d(3), nn.Dropout())], ids=["next", "batch norm"])
def test_what_nothing_reads_takes_no_luts_and_is_to_lose_its_bits(between: tuple[nn.Module, ...]) -> None:
    module = chain(*between)
    assert price(module).item() == pytest.approx(price(without_second(module)).item())
    price(module).backward()
    first, quantizer = module[0], module[-1].input_quant
    assert first.fraction.grad is not None and quantizer.fraction.grad is not None
    assert bool((first.fraction.grad > 0).all()) and bool((quantizer.fraction.grad > 0).all())


def test_a_channel_without_bits_is_not_read() -> None:
    module = chain()
    with torch.no_grad():
        module[-1].weight[:, 1] = 1.0
        module[-1].input_quant.fraction[1] = -9.0
    assert price(module).item() == pytest.approx(price(without_second(module)).item())


def test_what_nothing_reads_makes_what_it_read_alone_unread() -> None:
    module = nn.Sequential(LearnedLinear(4, 2, quantizer=entry(4)), LearnedLinear(2, 2), LearnedLinear(2, 1))
    with torch.no_grad():
        module[1].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        module[2].weight.copy_(torch.tensor([[0.0, 1.0]]))
    before = price(module)
    with torch.no_grad():
        module[0].weight[0] = 27 / 32
        module[1].weight[0] = torch.tensor([27 / 32, 0.0])
    assert price(module).item() == before.item()
    with torch.no_grad():
        module[2].weight[0, 0] = 1.0
    assert price(module).item() > before.item()


def test_what_may_be_read_elsewhere_is_priced() -> None:
    """Outside of a `Sequential`, before a layer of two places, or before a quantizer that the layer has itself."""
    first, last = (chain()[place] for place in (0, 1))
    whole = price(nn.ModuleList([first, last])).item()
    assert whole > price(nn.Sequential(first, last)).item()
    other = nn.Sequential(first, nn.Linear(3, 2))
    assert price(nn.ModuleList([nn.Sequential(first, last), other])).item() == pytest.approx(whole)
    looped = nn.Sequential(LearnedLinear(3, 3), LearnedLinear(3, 3))
    looped[1].input_quant = looped[0].input_quant
    with torch.no_grad():
        looped[1].weight[:, 1] = 0.0
    apart = price(nn.ModuleList([looped[0], looped[1]])).item()
    assert price(looped).item() == pytest.approx(apart)


@pytest.mark.parametrize("groups", [1, 2])
def test_channels_that_a_convolution_takes(groups: int) -> None:
    layer = LearnedConv2d(4, 4, 3, groups=groups, bias=False, quantizer=LearnedQuantizer(4))
    each = 4 // groups
    for channel in range(4):
        used = torch.zeros_like(layer.weight, dtype=torch.bool)
        used[channel // each * each, channel % each, 1, 2] = True
        assert layer.by_channel(used).tolist() == [one == channel for one in range(4)]


def bound(integer: float, *between: nn.Module, signed: bool = False) -> nn.Sequential:
    """Sums of at most 21 and 14, and channels of `integer` bits before the point."""
    first = LearnedLinear(2, 2, quantizer=LearnedQuantizer(2, fraction=0.0, integer=3.0, of_input=True))
    module = nn.Sequential(first, *between, LearnedLinear(2, 1, quantizer=LearnedQuantizer(2, signed=signed)))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[3.0, -1.0], [1.0, 1.0]]))
        module[-1].weight.fill_(1.0)
        module[-1].input_quant.integer.fill_(integer)
        module[-1].input_quant.fraction.fill_(1.0)
    return module


@pytest.mark.parametrize(("integer", "bounded"), [(3.0, 8), (4.0, 5), (5.0, 0)])
def test_bits_that_are_bounded(integer: float, bounded: float) -> None:
    """A sum is at most 21 or 14: 4 bits before the point bound one of them, 5 none."""
    module = bound(integer)
    assert module[0].largest.tolist() == [21.0, 14.0]
    counted = by_name(module)
    assert counted["bounded_bits"] == bounded and counted["requantizer_bits"] == 2 * (integer + 1)


def test_a_bound_is_learned_to_lie_beyond_the_sums() -> None:
    """Half of its bits is what each of the two bits that it may be too low saves; further off, bits cost alone."""
    for integer, saved in ((4.0, True), (1.0, False)):
        module = bound(integer)
        quantizer = module[-1].input_quant
        features(module)[FEATURES.index("bounded_bits")].backward()
        bits, slope = integer + 1, quantizer.integer.grad
        assert slope is not None
        assert slope.tolist() == [1 - bits / 2 if saved else 1.0, 0.0 if integer == 4.0 else 1.0]


def test_a_sum_that_is_not_known_is_bounded() -> None:
    """After a batch norm, or with negative values, or with a second layer before the same quantizer."""
    for one in (bound(6.0, nn.BatchNorm1d(2)), bound(6.0, signed=True), nn.ModuleList(bound(6.0))):
        counted = by_name(one)
        assert counted["bounded_bits"] == counted["requantizer_bits"] > 0
    assert by_name(bound(6.0, nn.ReLU(), nn.Identity()))["bounded_bits"] == 0


@pytest.mark.parametrize("name", MODULES)
def test_no_sum_is_larger_than_the_largest(name: str) -> None:
    one, rows = module(name, rows=500)
    sums: dict[str, torch.Tensor] = {}
    for key, layer in layers(one).items():
        layer.register_forward_hook(lambda _layer, _given, result, key=key: sums.__setitem__(key, result))
    one(100 * rows)
    for key, layer in layers(one).items():
        most = sums[key].flatten(2).amax(dim=2) if sums[key].ndim > 2 else sums[key]
        assert bool((most.amax(dim=0) <= layer.largest + 1e-4).all()), key
