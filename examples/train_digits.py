# SPDX-License-Identifier: Apache-2.0
"""A small convolutional network that reads handwritten digits: trained, quantized to 4 bits and pruned with Brevitas,
and saved as `digits-cnn.pt`. The digits are scikit-learn's: 1797 images of 8x8 pixels, 17 shades of grey.

    pip install 'qap2fpga[train]'
    python examples/train_digits.py
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import brevitas.nn as qnn
import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFixedPoint, Uint8ActPerTensorFloat
from qap import make_example
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED, TEST_ROWS, EPOCHS, SPARSITY, BITS, CHANNELS = 20210504, 450, 150, 0.75, 4, 8
KEPT = 300  # test images in the file, which hardware is tried on
WEIGHTS = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": BITS}


def relu(quantized: bool) -> nn.Module:
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=BITS) if quantized else nn.ReLU()


def network(quantized: bool) -> nn.Sequential:
    """Return an untrained network; with floats instead of integers if it is not `quantized`."""
    convolution, options = (qnn.QuantConv2d, WEIGHTS) if quantized else (nn.Conv2d, {})
    dense = qnn.QuantLinear if quantized else nn.Linear
    pixels = qnn.QuantIdentity(  # 4 bits per pixel: as the camera gives them, 16 is taken for 15
        act_quant=Uint8ActPerTensorFixedPoint, bit_width=4, scaling_impl_type=ScalingImplType.CONST, scaling_init=1.0
    )
    return nn.Sequential(
        OrderedDict(
            pixels=pixels if quantized else nn.Identity(),
            conv1=convolution(1, CHANNELS, 3, padding=1, bias=False, **options),
            norm1=nn.BatchNorm2d(CHANNELS),
            relu1=relu(quantized),
            pool1=nn.MaxPool2d(2),
            conv2=convolution(CHANNELS, CHANNELS, 3, padding=1, bias=False, **options),
            norm2=nn.BatchNorm2d(CHANNELS),
            relu2=relu(quantized),
            pool2=nn.MaxPool2d(2),
            flat=nn.Flatten(),
            digit=dense(4 * CHANNELS, 10, bias=True, **options),
        )
    )


def main() -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order: the same weights every time
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, digits, test_size=TEST_ROWS, stratify=digits, random_state=SEED)
    learned, tested, labels, right = (torch.from_numpy(part) for part in parts)
    learned, tested = (part.float().reshape(-1, 1, 8, 8) for part in (learned, tested))
    path = Path(__file__).with_name("digits-cnn.pt")
    options = {"epochs": EPOCHS, "sparsity": SPARSITY, "kept": KEPT, "data": "scikit-learn's digits"}
    make_example(network, (learned, labels), (tested, right), path, **options)


if __name__ == "__main__":
    main()
