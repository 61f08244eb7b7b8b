# SPDX-License-Identifier: Apache-2.0
"""What FINN is asked to build, in numbers: the integer network with the widths its RTL can take.

FINN's `mvu.sv` wants signed weights whose lowest value is never used (narrow range), weights and activations
of 2 bits or more, and an accumulator at least as wide as one product. What the network has that is narrower
is widened here, each time with a note that says so and what it costs; what is too wide is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.backends import BACKENDS
from qap2fpga.backends.api import require_possible
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.units import Ranges, Unit
from qap2fpga.system.errors import QapError

MAX_ACTIVATION_BITS = 8
# FINN and QONNX carry every integer in a float32 while they transform and execute.
FLOAT32_EXACT = 1 << 24


@dataclass(frozen=True)
class LayerPlan:
    """One dense layer as an MVAU and, if it has thresholds, the Thresholding node after it.

    `weights` is (MW, MH); widths are in bits, of the RTL: `weight_bits` is signed and narrow-range. The
    accumulator is signed. `thresholds` is (MH, 2**activation_bits - 1), None where no thresholding follows.
    """

    name: str
    weights: np.ndarray
    weight_bits: int
    input_bits: int
    input_signed: bool
    accumulator_bits: int
    thresholds: np.ndarray | None
    activation_bits: int

    @property
    def mw(self) -> int:
        return int(self.weights.shape[0])

    @property
    def mh(self) -> int:
        return int(self.weights.shape[1])


@dataclass(frozen=True)
class Plan:
    """All layers in order; `widened` are sentences for people."""

    layers: tuple[LayerPlan, ...]
    widened: tuple[str, ...]


def deep_pipeline(board: Board) -> bool:
    """Whether thresholding takes two register stages per bit: for clocks of 200 MHz and more."""
    return board.clock_ns <= 5


def plan(network: Graph, *, last_thresholds: bool) -> Plan:
    """Choose the widths of `network` for FINN; `last_thresholds`: build the last layer's `Step`, if it has one.

    Raises `QapError` with everything that FINN's RTL cannot compute: activations over 8 bits, accumulators over 24.
    """
    planned, reasons = _planned(network, last_thresholds=last_thresholds)
    require_possible(reasons)
    return planned


def refusals(network: Graph, *, last_thresholds: bool) -> tuple[QapError, ...]:
    """Return every reason why FINN's RTL cannot compute `network`."""
    return _planned(network, last_thresholds=last_thresholds)[1]


def _planned(network: Graph, *, last_thresholds: bool) -> tuple[Plan, tuple[QapError, ...]]:
    """The layers that can be planned, and why the others cannot."""
    reasons: list[QapError] = []
    widened: list[str] = []
    input_bits, signed = network.input.bits, network.input.signed
    if input_bits > MAX_ACTIVATION_BITS:
        reasons.append(_wide_input(input_bits))
    if input_bits < 2:
        input_bits = 2
        widened.append("input: 1 bit as 2 bits (mvu.sv takes no 1-bit activations); every lane of the DSPs grows a bit")
    layers = []
    for layer, ranges in zip(network.layers, network.ranges, strict=True):
        final = layer is network.layers[-1]
        try:
            built = last_thresholds or not final
            planned = _layer(layer, ranges, (input_bits, signed), widened, final=final, thresholds=built)
        except QapError as error:
            reasons.append(error)
            # What follows is looked at as if the activation had the most bits there are.
            input_bits, signed = MAX_ACTIVATION_BITS, False
            continue
        layers.append(planned)
        input_bits, signed = planned.activation_bits, False
    return Plan(tuple(layers), tuple(widened)), tuple(reasons)


def _layer(
    layer: Unit, ranges: Ranges, entering: tuple[int, bool], widened: list[str], *, final: bool, thresholds: bool
) -> LayerPlan:
    """One layer, which integers of `entering` (bits, signed) come into; `thresholds`: build its `Step`, if any."""
    input_bits, signed = entering
    weight_bits = _weight_bits(layer, widened)
    low, high = (np.minimum(ranges.inputs[0], 0), np.maximum(ranges.inputs[1], 0))
    low, high = layer.range(low, high)  # with the zeros, so that partial sums fit too
    _check_accumulator(layer.name, int(low.min()), int(high.max()))
    accumulator = max(width(min(int(low.min()), -1), int(high.max())), weight_bits + input_bits - signed)
    rows, bits = None, 0
    if isinstance(layer.activation, Step) and thresholds:
        rows = _thresholds(layer, layer.activation, int(ranges.accumulators[1].max()), final, widened)
        bits = width(0, rows.shape[1])
    elif not final and isinstance(layer.activation, Logits):
        raise QapError(f"layer {layer.name}: logits in the middle of the network", "only the last layer has them")
    return LayerPlan(layer.name, layer.weights, weight_bits, input_bits, signed, accumulator, rows, bits)


def elsewhere(hint: str) -> str:
    """`hint`, and the other backends there are."""
    others = [name for name in BACKENDS if name != "finn"]
    return f"{hint}, or use --backend {' or '.join(others)}" if others else hint


def _wide_input(bits: int) -> QapError:
    return QapError(
        f"the input has {bits} bits; the FINN backend takes {MAX_ACTIVATION_BITS} at most",
        elsewhere("quantize the input to fewer bits") + "; --until model gives the exact network and its BOPs",
    )


def _weight_bits(layer: Unit, widened: list[str]) -> int:
    """Bits of the narrowest signed type of 2 bits or more whose lowest value no weight uses."""
    largest = int(np.abs(layer.weights).max(initial=0))
    bits = max(2, largest.bit_length() + 1)
    if bits > layer.weight_width and layer.weight_width > 1:
        widened.append(
            f"{layer.name}: weights reach {-largest}, so {layer.weight_width} bits as {bits} "
            "(mvu.sv on DSP48E1 takes narrow-range weights only); the weight memory grows by a bit per weight"
        )
    elif bits > layer.weight_bits:
        widened.append(
            f"{layer.name}: {layer.weight_bits}-bit weights as {bits} bits (mvu.sv takes no binary weights); "
            f"{bits} bits of memory a weight, and a DSP lane where an XNOR would do"
        )
    return bits


def _check_accumulator(name: str, low: int, high: int) -> None:
    if max(-low, high + 1) > FLOAT32_EXACT:
        raise QapError(
            f"layer {name}: accumulators reach {low}..{high}; FINN carries them in float32, exact to 24 bits",
            elsewhere("use fewer weight or activation bits, or prune the layer"),
        )


def _thresholds(layer: Unit, step: Step, high: int, final: bool, widened: list[str]) -> np.ndarray:
    """Thresholds (MH, 2**bits - 1): filled up with thresholds that no accumulator reaches."""
    if not final and (step.base, step.step) != (0, 1):
        what = f"layer {layer.name}: a hidden activation of base {step.base}, step {step.step}"
        raise QapError(what, "normalise the network first")
    levels = step.thresholds.shape[1]
    bits = width(0, levels)
    if bits > MAX_ACTIVATION_BITS:
        raise QapError(
            f"layer {layer.name}: activations of {bits} bits; the FINN backend takes {MAX_ACTIVATION_BITS} at most",
            elsewhere("use fewer activation bits"),
        )
    if bits < 2 and not final:
        bits = 2
        widened.append(
            f"{layer.name}: 1-bit activation as 2 bits (mvu.sv takes no 1-bit activations); one more threshold stage, "
            "and every DSP lane of the next layer grows a bit"
        )
    never = np.full((layer.outputs, (1 << bits) - 1 - levels), high + 1, np.int64)
    return np.concatenate([step.thresholds, never], axis=1)
