# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware pruning of any Brevitas module, as short as it goes: what the examples beside this file train
with. Weights go by their size while training goes on, a little more after every epoch; what is left learns further.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import qap2fpga
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Source, prepare

BATCH, RATE, WEIGHT_DECAY = 64, 0.01, 1e-4
# Pruning begins and ends at these fractions of the epochs.
BEGIN, END = 0.2, 0.7


def make_example(
    network: Callable[[bool], nn.Module],
    learned: tuple[Tensor, Tensor],
    tested: tuple[Tensor, Tensor],
    path: Path,
    *,
    epochs: int,
    sparsity: float,
    kept: int,
    data: str,
    batch: int = BATCH,
) -> None:
    """Train `network(quantized)` with floats and, pruned, with integers, and save the second at `path`.

    `learned` and `tested` are inputs and class numbers; the first `kept` of the tested go into the file, beside `data`,
    what they are. Prints how often each is right.
    """
    rows = len(tested[0])
    baseline = accuracy(train(network(False), *learned, epochs=epochs, batch=batch), *tested)
    print(f"float, not pruned: {baseline:.2%} of {rows} test rows")
    pruned = train(network(True), *learned, epochs=epochs, sparsity=sparsity, batch=batch)
    quantized = accuracy(pruned, *tested)
    print(f"quantized, {sparsity:.0%} of the weights zero: {quantized:.2%}")
    metrics = {"test_accuracy": quantized, "float_accuracy": baseline, "sparsity": sparsity}
    provenance = {"metrics": metrics, "data": {"name": data, "test_rows": rows}}
    inputs, labels = (part[:kept] for part in tested)
    qap2fpga.save(pruned, inputs, path, labels=labels, provenance=provenance)
    # What `qap2fpga build --until model` does: the exact integers, compared with torch and QONNX layer by layer.
    prepared = prepare(Source(path, Widths()), lambda line: None)
    print(f"saved as {path}, whose integers are right for {prepared.facts.accuracy:.2%} of the {kept} rows in it")


def train(
    network: nn.Module, inputs: Tensor, labels: Tensor, *, epochs: int, sparsity: float = 0.0, batch: int = BATCH
) -> nn.Module:
    """Train `network` in place on `inputs` with class numbers `labels`, and return it in eval mode.

    In the end the fraction `sparsity` of the weights of every layer is zero; `torch.nn.utils.prune` keeps the masks.
    """
    layers = [part for part in network.modules() if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Linear)]
    for layer in layers:
        prune.identity(layer, "weight")
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(inputs) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    network.train()
    for epoch in range(epochs):
        for rows in torch.randperm(len(inputs)).split(batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
        progress = min(max((epoch / epochs - BEGIN) / (END - BEGIN), 0), 1)
        for layer in layers:
            mask_smallest(layer, sparsity * (1 - (1 - progress) ** 3))
    return network.eval()


def mask_smallest(layer: nn.Module, fraction: float) -> None:
    """Mask this fraction of the layer's weights, the smallest; what is masked already stays masked."""
    with torch.no_grad():
        sizes = (layer.weight_orig * layer.weight_mask).abs().flatten()
        mask = torch.ones_like(sizes)
        mask[sizes.argsort()[: round(fraction * len(sizes))]] = 0
        layer.weight_mask.copy_(mask.reshape(layer.weight_mask.shape))


def accuracy(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Return the fraction of `inputs` whose largest output is the labelled one."""
    with torch.no_grad():
        return float((network(inputs).argmax(1) == labels).float().mean())
