# SPDX-License-Identifier: Apache-2.0
"""A deep set that looks at the particles of a jet: the same two layers on each of them, the mean over all, and two
layers that tell which of five kinds of jet it is. Quantized to 6 bits and pruned with Brevitas. Pythia makes the jets:

    pip install 'qap2fpga[simulate]'
    qap2fpga simulate-jets particles.npz --constituents 24 --jets-a-class 4000 --seed 2
    python examples/train_particles.py particles.npz
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path

import brevitas.nn as qnn
import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8ActPerTensorFixedPoint, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from qap import make_example
from torch import Tensor, nn

from qap2fpga.system.arrays import load_npz
from qap2fpga.system.errors import QapError
from qap2fpga.train.data import Part, split
from qap2fpga.train.data.arrays import from_arrays

SEED, EPOCHS, BATCH, SPARSITY, BITS, INPUT_BITS = 20210504, 8, 128, 0.6, 6, 8
EACH, MEANS, HIDDEN, KINDS = 32, 32, 32, 5
KEPT = 200  # test jets in the file, which hardware is tried on
# Of the fraction of pT, rapidity and azimuth, before all are quantized in steps of 1/128; beyond 1 is taken for 1.
FACTORS = (4.0, 2.0, 2.0)
WEIGHTS = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": BITS}


def jets(path: Path) -> tuple[Part, Part, Part]:
    """Return jets for training, validation and test, the same ones as `qap2fpga train` takes of the file for each.

    Rows are three numbers of each particle, the hardest particle first. Raises `QapError` for a file without particles.
    """
    hint = "make it with `qap2fpga simulate-jets FILE --constituents 24`"
    arrays = load_npz(path, hint)
    if "particles" not in arrays or arrays["particles"].shape[2:] != (3,):
        raise QapError(f"{path} has no array 'particles' (jets, particles, 3)", hint)
    rows = arrays["particles"].reshape(len(arrays["particles"]), -1)
    parts = split(from_arrays(path, {"X": rows, "y": arrays["y"]}))
    return parts.training, parts.validation, parts.test


def tensors(part: Part) -> tuple[Tensor, Tensor]:
    """Return what the network sees (jets, 3, particles), and which kind each jet is."""
    particles = torch.from_numpy(part.x).reshape(len(part), -1, 3) * torch.tensor(FACTORS)
    return particles.transpose(1, 2).contiguous(), torch.from_numpy(part.y)


def mirrored(particles: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
    """Return each jet eight times: rapidities and azimuths with either sign, and swapped. It stays of the same kind."""
    copies = [particles]
    for change in ((1, -1, 1), (1, 1, -1)):
        copies += [copy * torch.tensor(change).reshape(3, 1) for copy in copies]
    copies += [copy[:, [0, 2, 1]] for copy in copies]
    return torch.cat(copies), kinds.repeat(len(copies))


def relu(quantized: bool) -> nn.Module:
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=BITS) if quantized else nn.ReLU()


def network(quantized: bool) -> nn.Sequential:
    """Return an untrained network; with floats instead of integers if it is not `quantized`."""
    convolution, options = (qnn.QuantConv1d, WEIGHTS) if quantized else (nn.Conv1d, {})
    dense = qnn.QuantLinear if quantized else nn.Linear
    particles = qnn.QuantIdentity(  # one step for all three: an activation has one scale
        act_quant=Int8ActPerTensorFixedPoint,
        bit_width=INPUT_BITS,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=1.0,
    )
    return nn.Sequential(
        OrderedDict(
            particles=particles if quantized else nn.Identity(),
            each1=convolution(3, EACH, 1, bias=False, **options),
            norm1=nn.BatchNorm1d(EACH),
            relu1=relu(quantized),
            each2=convolution(EACH, MEANS, 1, bias=False, **options),
            norm2=nn.BatchNorm1d(MEANS),
            relu2=relu(quantized),
            mean=nn.AdaptiveAvgPool1d(1),
            flat=nn.Flatten(),
            means=relu(quantized),
            dense=dense(MEANS, HIDDEN, bias=False, **options),
            norm3=nn.BatchNorm1d(HIDDEN),
            relu3=relu(quantized),
            kind=dense(HIDDEN, KINDS, bias=True, **options),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a deep set on the particles of simulated jets.")
    parser.add_argument("data", type=Path, help="the .npz of `qap2fpga simulate-jets --constituents N`")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("particles-deepset.pt"))
    parser.add_argument("--sparsity", type=float, default=SPARSITY, help="part of the weights that becomes zero")
    given = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order: the same weights every time
    try:  # what the jets for validation are for: the settings above were chosen on them
        learned, _, tested = (tensors(part) for part in jets(given.data))
    except QapError as error:
        parser.error(f"{error.message}: {error.hint}")
    options = {"epochs": EPOCHS, "batch": BATCH, "sparsity": given.sparsity, "kept": KEPT, "data": "simulated jets"}
    make_example(network, mirrored(*learned), tested, given.output, **options)


if __name__ == "__main__":
    main()
