"""Train a small network that learns as integers, prune it while it learns, and save it for `qap2fpga build`.

    python train.py

Change four things for your own problem: DATA, the network in `network()`, BITS and SPARSITY. Everything else may stay.
"""

from __future__ import annotations

from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn
from torch.nn.utils import prune

import qap2fpga

# An .npz with X (rows, inputs) and y (rows,), class numbers from 0. Without that file there are made-up classes.
DATA = Path("data.npz")
# Bits of weights and hidden activations, and of the inputs: 2 to 8. Fewer make smaller hardware.
BITS, INPUT_BITS = 4, 6
# Share of the weights that are zero in the end. An unrolled design (--backend rtl) needs no LUT for them.
SPARSITY = 0.7
EPOCHS, BATCH, RATE, SEED = 30, 64, 0.01, 1


def data() -> tuple[Tensor, Tensor]:
    """Return inputs (rows, inputs), each with mean 0 and spread 1, and class numbers (rows,)."""
    if DATA.exists():
        content = np.load(DATA)
        values, labels = content["X"].astype(np.float32), content["y"].astype(np.int64)
    else:
        random = np.random.default_rng(SEED)
        labels = random.integers(0, 3, 1500)
        values = random.normal(0, 1, (1500, 8)) + 1.5 * random.normal(0, 1, (3, 8))[labels]
    # The hardware gets these numbers, so whoever feeds it does the same to them.
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return torch.from_numpy(values).float(), torch.from_numpy(labels)


def network(inputs: int, classes: int) -> nn.Sequential:
    """Return an untrained network. Each layer has quantized weights, and a quantizer after it but the last."""
    weights = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": BITS, "bias": True}
    activation = {"act_quant": Uint8ActPerTensorFloat, "bit_width": BITS}
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=INPUT_BITS),  # what the inputs become on the chip
        qnn.QuantLinear(inputs, 16, **weights),
        nn.BatchNorm1d(16),  # costs nothing: it becomes part of the thresholds
        qnn.QuantReLU(**activation),
        qnn.QuantLinear(16, 16, **weights),
        nn.BatchNorm1d(16),
        qnn.QuantReLU(**activation),
        qnn.QuantLinear(16, classes, **weights),  # no softmax: the largest output is the class
    )


def train(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Train `model` in place; after every epoch a few more of the smallest weights of each layer become zero."""
    layers = [part for part in model.modules() if isinstance(part, nn.Linear)]
    for layer in layers:
        prune.identity(layer, "weight")  # a mask beside the weights, of ones so far
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for epoch in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        # From nothing to all of it between a fifth and two thirds of the epochs; the rest of them heals.
        progress = min(max((epoch / EPOCHS - 0.2) / 0.47, 0.0), 1.0)
        for layer in layers:
            mask_smallest(layer, SPARSITY * (1 - (1 - progress) ** 3))


def mask_smallest(layer: nn.Module, fraction: float) -> None:
    """Mask this fraction of the layer's weights, the smallest; what is masked already stays masked."""
    with torch.no_grad():
        sizes = (layer.weight_orig * layer.weight_mask).abs().flatten()
        mask = torch.ones_like(sizes)
        mask[sizes.argsort()[: round(fraction * len(sizes))]] = 0
        layer.weight_mask.copy_(mask.reshape(layer.weight_mask.shape))


def main() -> None:
    """Train on four fifths of the rows, and save the model with rows of the rest, which hardware is tried on."""
    torch.manual_seed(SEED)
    inputs, labels = data()
    tested = len(inputs) // 5
    model = network(inputs.shape[1], int(labels.max()) + 1)
    train(model, inputs[tested:], labels[tested:])
    model.eval()
    qap2fpga.save(model, inputs[:tested], "model.pt", labels=labels[:tested])
    with torch.no_grad():
        right = float((model(inputs[:tested]).argmax(1) == labels[:tested]).float().mean())
    print(f"torch is right for {right:.1%} of {tested} test rows")
    # The exact integers that every chip made of this model computes, compared with torch and QONNX layer by layer.
    print(qap2fpga.load("model.pt", quiet=True))


if __name__ == "__main__":
    main()
