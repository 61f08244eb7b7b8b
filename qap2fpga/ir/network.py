# SPDX-License-Identifier: Apache-2.0
"""The integer network: what the hardware must compute, bit for bit.

Nothing in here is a float except the scales that give the integers their meaning. Every backend is compared
with `IntegerNetwork.run`, and every complexity figure is counted from it.

A hidden activation is a monotone step function of the accumulator. Its sorted thresholds are the definition::

    activation = base + step * #{k : accumulator >= thresholds[channel, k]}

`base = 0, step = 1` is an unsigned activation, `base = -1, step = 2` with one threshold is a sign.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.exact.integers import width as width
from qap2fpga.system.files import write_atomically

FORMAT = 1
# A lookup table answers a step function fastest; beyond this range of accumulators it is a binary search.
TABLE_LIMIT = 1 << 20


@dataclass(frozen=True)
class InputQuantizer:
    """Maps a real input `x` to `clamp(round((x - offset) / scale + zero_point)) - zero_point`.

    `low..high` is the range of the result. `scale` and `offset` hold one value, or one a feature; they are the
    graph's float32 values, or follow from them. Rounding 'SIGN' gives -1 below `offset` and +1 from it on.
    """

    low: int
    high: int
    scale: tuple[float, ...]
    offset: tuple[float, ...] = (0.0,)
    zero_point: int = 0
    rounding: str = "ROUND"

    @property
    def bits(self) -> int:
        return width(self.low, self.high)

    @property
    def signed(self) -> bool:
        return self.low < 0

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Integers (n, inputs) of real `values` (n, inputs).

        The quotient of two float32 values, correctly rounded in float64, can not fall on a half by rounding
        (41 bits tell it from one), so without an offset this is the exact result for float32 inputs.
        """
        scaled = (values.astype(np.float64) - np.asarray(self.offset)) / np.asarray(self.scale)
        if self.rounding == "SIGN":
            return np.where(scaled >= 0, 1, -1).astype(np.int64)
        rounded = ROUNDINGS[self.rounding](scaled + self.zero_point) - self.zero_point
        return np.clip(rounded, self.low, self.high).astype(np.int64)


ROUNDINGS = {"ROUND": np.rint, "FLOOR": np.floor, "CEIL": np.ceil, "ROUND_TO_ZERO": np.trunc}


@dataclass(frozen=True)
class Step:
    """A monotone step function a channel; see the module's docstring. `thresholds` is (channels, levels)."""

    thresholds: np.ndarray
    base: int = 0
    step: int = 1

    @property
    def low(self) -> int:
        return self.base

    @property
    def high(self) -> int:
        return self.base + self.step * self.thresholds.shape[1]

    def apply(self, accumulators: np.ndarray) -> np.ndarray:
        """Activations (n, channels) of `accumulators` (n, channels)."""
        result = np.empty_like(accumulators)
        for channel, row in enumerate(self.thresholds):
            column = accumulators[:, channel]
            low, high = int(column.min(initial=0)), int(column.max(initial=0))
            if high - low < TABLE_LIMIT and len(column) > high - low:
                table = np.searchsorted(row, np.arange(low, high + 1), side="right")
                counts = table[column - low]
            else:
                counts = np.searchsorted(row, column, side="right")
            result[:, channel] = counts
        return self._levels(result)

    def reach(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest activation a channel over the accumulators `low..high` (channels,)."""
        first, last = ((self.thresholds <= bound[:, None]).sum(axis=1) for bound in (low, high))
        return self._levels(first), self._levels(last)

    def _levels(self, counts: np.ndarray) -> np.ndarray:
        """The activations of `counts` of thresholds."""
        if (self.base, self.step) == (0, 1):
            return counts
        return exact.multiply_add(counts, self.step, self.base, "the levels of an activation")


@dataclass(frozen=True)
class Logits:
    """The end of the network: `logit = (multiplier * accumulator + offset) >> shift`, worth `2**-fraction`.

    One common scale for all channels, so that the largest logit is the class; `>>` is an arithmetic shift.
    `multiplier` and `offset` are (channels,); they hold the last layer's scales, bias and batch norm. `fraction` is
    None where the scale is no power of two; what one unit is worth is the network's `output_scale` always.
    """

    multiplier: np.ndarray
    offset: np.ndarray
    shift: int
    fraction: int | None

    def apply(self, accumulators: np.ndarray) -> np.ndarray:
        """Logit integers (n, channels) of `accumulators` (n, channels)."""
        return exact.multiply_add(accumulators, self.multiplier, self.offset, "the network's outputs", self.shift)

    def reach(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest logit a channel over the accumulators `low..high` (channels,)."""
        ends = np.stack([self.apply(low[None])[0], self.apply(high[None])[0]])
        return ends.min(axis=0), ends.max(axis=0)


@dataclass(frozen=True)
class DenseLayer:
    """`accumulator = activations @ weights`, then the layer's `activation`.

    `weights` is (inputs, outputs), integers; a zero is a pruned weight. `weight_bits`, `input_bits` and
    `output_bits` are the quantizers' widths, which BOPs are counted with. The integers themselves may need
    fewer bits, or (after a sign was moved into them) one more: hardware asks `weight_width`. `channels` are the
    outputs' numbers in the model, once compaction has dropped some.
    """

    name: str
    weights: np.ndarray
    activation: Step | Logits
    weight_bits: int
    input_bits: int
    output_bits: int | None = None
    channels: tuple[int, ...] | None = None

    kind = "dense"

    def channel_name(self, output: int) -> str:
        """The output's number in the model, for messages."""
        return str(output if self.channels is None else self.channels[output])

    @property
    def inputs(self) -> int:
        return int(self.weights.shape[0])

    @property
    def outputs(self) -> int:
        return int(self.weights.shape[1])

    @property
    def nonzeros(self) -> int:
        return int(np.count_nonzero(self.weights))

    @property
    def weight_width(self) -> int:
        """Bits of a signed type that holds every weight."""
        return width(min(int(self.weights.min()), -1), int(self.weights.max()))

    def accumulate(self, activations: np.ndarray) -> np.ndarray:
        """Accumulators (n, outputs) of integer `activations` (n, inputs), exact."""
        return exact.matmul(activations, self.weights, f"the accumulators of layer {self.name}")

    def reach(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest accumulator a channel when input i lies in `low[i]..high[i]`."""
        return exact.reach(low, high, self.weights, f"the accumulators of layer {self.name}")


@dataclass(frozen=True)
class Ranges:
    """What can be reached in one layer: per-channel (low, high) of inputs, accumulators and outputs."""

    inputs: tuple[np.ndarray, np.ndarray]
    accumulators: tuple[np.ndarray, np.ndarray]
    outputs: tuple[np.ndarray, np.ndarray]

    @property
    def accumulator_bits(self) -> int:
        low, high = self.accumulators
        return width(min(int(low.min()), -1), int(high.max()))

    @property
    def output_bits(self) -> int:
        low, high = self.outputs
        return width(int(low.min()), int(high.max()))


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """The one reference of every backend. Layers run in order; the last one's activation may be `Logits`.

    `names` are the class names if the model says them; `notes` is what lowering and compaction did, for
    people; `output_scale` is the value of one unit of the output.
    """

    layers: tuple[DenseLayer, ...]
    input: InputQuantizer
    output_scale: Fraction
    notes: tuple[str, ...] = field(default=())

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        return self.layers[-1].outputs

    def run(self, integers: np.ndarray) -> np.ndarray:
        """Output integers (n, outputs) of input integers (n, inputs)."""
        return self.trace(integers)[-1]

    def trace(self, integers: np.ndarray) -> list[np.ndarray]:
        """The activations (n, outputs) of every layer, in order."""
        results: list[np.ndarray] = []
        values = integers.astype(np.int64)
        for layer in self.layers:
            values = layer.activation.apply(layer.accumulate(values))
            results.append(values)
        return results

    @cached_property
    def ranges(self) -> tuple[Ranges, ...]:
        """Reachable ranges of every layer, by interval arithmetic over the actual weights."""
        inputs = np.full(self.inputs, self.input.low), np.full(self.inputs, self.input.high)
        found = []
        for layer in self.layers:
            accumulators = layer.reach(*inputs)
            outputs = layer.activation.reach(*accumulators)
            found.append(Ranges(inputs, accumulators, outputs))
            inputs = outputs
        return tuple(found)

    def save(self, path: Path) -> None:
        """Write an `.npz` that `load` reads; the same network gives the same bytes."""
        arrays, layers = {}, []
        for index, layer in enumerate(self.layers):
            arrays[f"weights{index}"] = layer.weights
            entry = {key: getattr(layer, key) for key in LAYER_FIELDS}
            activation = layer.activation
            if isinstance(activation, Step):
                arrays[f"thresholds{index}"] = activation.thresholds
                entry["step"] = {"base": activation.base, "step": activation.step}
            else:
                arrays[f"multiplier{index}"], arrays[f"offset{index}"] = activation.multiplier, activation.offset
                entry["logits"] = {"shift": activation.shift, "fraction": activation.fraction}
            layers.append(entry)
        head = {
            "format": FORMAT,
            "input": asdict(self.input),
            "layers": layers,
            "notes": self.notes,
            "output_scale": str(self.output_scale),
        }
        buffer = io.BytesIO()
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(path, buffer.getvalue())

    @staticmethod
    def load(path: Path) -> IntegerNetwork:
        """Read what `save` wrote. Raises `QapError` if the file is not one."""
        from qap2fpga.ir import storage

        return storage.load(path)

    def with_notes(self, *notes: str) -> IntegerNetwork:
        """The same network with `notes` added."""
        return replace(self, notes=self.notes + notes)


LAYER_FIELDS = ("name", "weight_bits", "input_bits", "output_bits", "channels")
