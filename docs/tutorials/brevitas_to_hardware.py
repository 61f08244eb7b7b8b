# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # From a Brevitas model to hardware
#
# A small quantized network, from torch to Verilog that gives the same integers. Everything here is also a command:
# see the [quick start](../quick-start.md).

# %%
import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import nn
from torch.nn.utils import prune

import qap2fpga

# %% [markdown]
# ## A network
#
# Three classes of rows of eight numbers; here they are made up. The network has a quantizer at its inputs, at the
# weights of every layer, and after every layer but the last.

# %%
torch.manual_seed(1)
random = np.random.default_rng(1)
y = random.integers(0, 3, 900)
X = (random.normal(0, 1, (900, 8)) + 2 * random.normal(0, 1, (3, 8))[y]).astype(np.float32)

weights = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 4, "bias": True}
network = nn.Sequential(
    qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=6),
    qnn.QuantLinear(8, 12, **weights),
    nn.BatchNorm1d(12),
    qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=4),
    qnn.QuantLinear(12, 3, **weights),
)

# %% [markdown]
# Train it, take two thirds of the weights away, and train what is left. `torch.nn.utils.prune` keeps masks beside the
# weights, so that what is zero stays zero.


# %%
def train(epochs):
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(epochs):
        for rows in torch.randperm(600).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(torch.tensor(X[rows])), torch.tensor(y[rows])).backward()
            optimizer.step()
    network.eval()


train(10)
for layer in (network[1], network[4]):
    prune.l1_unstructured(layer, "weight", amount=2 / 3)
train(10)

# %% [markdown]
# ## Its integers
#
# `save` writes the module with example inputs, on which the hardware is tried later; what cannot become hardware is
# refused here, by the name of its layer. `load` gives the network in exact integers, compared with torch and QONNX.

# %%
qap2fpga.save(network, X[600:], "model.pt", labels=y[600:])
integers = qap2fpga.load("model.pt")
integers

# %%
print(f"accuracy of the integers: {integers.accuracy(X[600:], y[600:]):.1%}")
print(f"bit operations: {integers.bops().paper:,.0f}")
for one in integers.comparisons:
    print(f"{one.engine}: {one.compared}: {one.vectors} vectors, {one.mismatches} mismatches")

# %% [markdown]
# `run` gives the integers that leave the chip; times `output_scale` they are what torch gives, rounded.

# %%
with torch.no_grad():
    floats = network(torch.tensor(X[600:603])).numpy()
print(integers.run(X[600:603]) * integers.output_scale)
print(floats)

# %% [markdown]
# ## What it will take
#
# Before anything is built. A column with `_low` and `_high` is the range that nearly all measured designs had.

# %%
qap2fpga.estimate(integers, "pynq-z2")

# %% [markdown]
# ## Hardware
#
# The `rtl` backend unrolls the network: a row of inputs enters in every cycle. The build writes Verilog, runs it in
# Verilator and compares every output with the integers. Leave `until` out to synthesise it too.

# %%
build = qap2fpga.build(integers, "pynq-z2", "rtl", output="tutorial-build", until="simulate")
build

# %%
build.checks

# %% [markdown]
# Your own rows, through the simulated Verilog:

# %%
from_verilog = build.run(X[600:], engine="rtl")
assert np.array_equal(from_verilog, integers.run(X[600:]))
print(f"{len(from_verilog)} rows, the same integers; accuracy {(from_verilog.argmax(axis=1) == y[600:]).mean():.1%}")

# %% [markdown]
# `build.page()` is the whole report for a browser, and `qap2fpga.open_build("tutorial-build")` opens it again.
