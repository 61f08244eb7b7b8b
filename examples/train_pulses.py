# SPDX-License-Identifier: Apache-2.0
"""A residual network that looks at a detector's waveform, 32 samples of a 6-bit ADC: no pulse, one, or two that pile
up? The pulses are simulated here. Quantized to 4 bits and pruned with Brevitas, and saved as `pulses-resnet.pt`.

    python examples/train_pulses.py
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFloat,
    Uint8ActPerTensorFixedPoint,
    Uint8ActPerTensorFloat,
)
from qap import make_example
from torch import Tensor, nn

SEED, ROWS, TEST_ROWS, EPOCHS, SPARSITY, BITS, CHANNELS = 20210504, 4000, 1000, 30, 0.7, 4, 6
KEPT = 200  # test rows in the file, which hardware is tried on
SAMPLES, RISE, FALL, NOISE, BASELINE, ADC_BITS = 32, 1.5, 4.0, 2.5, 8.0, 6
WEIGHTS = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": BITS}


def pulses(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return `rows` waveforms (rows, 1, samples) of whole ADC counts, and how many pulses are in each."""
    number = rng.integers(0, 3, rows)
    time = np.arange(SAMPLES)
    waves = BASELINE + rng.normal(0, NOISE, (rows, SAMPLES))
    first = rng.uniform(2, SAMPLES - 14, rows)
    for count, start in ((1, first), (2, first + rng.uniform(1, 10, rows))):
        since = np.clip(time - start[:, None], 0, None)
        shape = np.exp(-since / FALL) - np.exp(-since / RISE)
        height = rng.uniform(10, 60, rows)
        waves += (number >= count)[:, None] * height[:, None] * shape
    return np.clip(np.rint(waves), 0, 2**ADC_BITS - 1)[:, None], number


def relu() -> nn.Module:
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=BITS)


class Residual(nn.Module):
    """Two convolutions, with batch norm, beside a skip; both branches are quantized by the same quantizer."""

    def __init__(self, channels: int, quantized: bool) -> None:
        super().__init__()
        convolution, options = (qnn.QuantConv1d, WEIGHTS) if quantized else (nn.Conv1d, {})
        self.first = convolution(channels, channels, 3, padding=1, bias=False, **options)
        self.norm1, self.relu = nn.BatchNorm1d(channels), relu() if quantized else nn.ReLU()
        self.second = convolution(channels, channels, 3, padding=1, bias=False, **options)
        self.norm2 = nn.BatchNorm1d(channels)
        self.join = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=BITS) if quantized else nn.Identity()
        self.out = relu() if quantized else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the convolutions give, added to what came in."""
        change = self.norm2(self.second(self.relu(self.norm1(self.first(x)))))
        return self.out(self.join(change) + self.join(x))


def network(quantized: bool) -> nn.Sequential:
    """Return an untrained network; with floats instead of integers if it is not `quantized`."""
    convolution, options = (qnn.QuantConv1d, WEIGHTS) if quantized else (nn.Conv1d, {})
    dense = qnn.QuantLinear if quantized else nn.Linear
    counts = qnn.QuantIdentity(  # the ADC's own counts
        act_quant=Uint8ActPerTensorFixedPoint,
        bit_width=ADC_BITS,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=1.0,
    )
    return nn.Sequential(
        OrderedDict(
            counts=counts if quantized else nn.Identity(),
            stem=convolution(1, CHANNELS, 3, stride=2, padding=1, bias=False, **options),
            norm=nn.BatchNorm1d(CHANNELS),
            relu=relu() if quantized else nn.ReLU(),
            block=Residual(CHANNELS, quantized),
            pool=nn.MaxPool1d(2),
            flat=nn.Flatten(),
            pulses=dense(CHANNELS * SAMPLES // 4, 3, bias=True, **options),
        )
    )


def main() -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order: the same weights every time
    waves, number = pulses(ROWS + TEST_ROWS, np.random.default_rng(SEED))
    inputs, labels = torch.from_numpy(waves / 2**ADC_BITS).float(), torch.from_numpy(number)
    path = Path(__file__).with_name("pulses-resnet.pt")
    options = {"epochs": EPOCHS, "sparsity": SPARSITY, "kept": KEPT, "data": "simulated pulses"}
    make_example(network, (inputs[:ROWS], labels[:ROWS]), (inputs[ROWS:], labels[ROWS:]), path, **options)


if __name__ == "__main__":
    main()
