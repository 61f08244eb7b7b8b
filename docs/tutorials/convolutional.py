# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # A convolutional network
#
# Images in the layout of torch, (rows, channels, height, width), go in as they are. The network here is too small to be
# of use, and untrained: what is shown is how its integers are looked at, and how they become a stream of pixels.

# %%
import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import nn

import qap2fpga

torch.manual_seed(1)
weights = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 3}
network = nn.Sequential(
    qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, bit_width=4),
    qnn.QuantConv2d(1, 3, 3, padding=1, bias=False, **weights),
    nn.BatchNorm2d(3),
    qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=3),
    nn.MaxPool2d(2),
    nn.Flatten(),
    qnn.QuantLinear(3 * 3 * 3, 2, bias=True, **weights),
)
X = torch.rand(60, 1, 6, 6)
with torch.no_grad():
    network(X)  # scales and statistics of the batch norm follow the data
network.eval()
qap2fpga.save(network, X, "images.pt")
integers = qap2fpga.load("images.pt")

# %% [markdown]
# ## Node by node
#
# A node is a layer, a pool, or a requantizer: the step function that batch norm, activation and quantizer become
# together. `height`, `width`, `channels` and `bits` are those of its result.

# %%
integers.nodes

# %% [markdown]
# `trace` gives the integers of every node, (rows, height, width, channels): channels last, as hardware takes them.

# %%
trace = integers.trace(X[:20])
for name, values in trace.items():
    print(f"{name:12} {values.shape!s:16} {values.min():5} to {values.max()}")

# %% [markdown]
# Levels that nothing reaches are bits that cost LUTs for nothing:

# %%
for row in integers.nodes:
    if row["kind"] == "requantize" and not row["signed"]:
        used = len(np.unique(trace[row["name"]]))
        print(f"{row['name']}: {used} of {2 ** row['bits']} levels used")

# %% [markdown]
# ## Which backend?
#
# An image enters position by position, with all its channels. `interval_cycles` is how many cycles a frame takes, so
# 1e9 / (interval times the clock in ns) frames per second.

# %%
qap2fpga.estimate(integers, "pynq-z2").table

# %% [markdown]
# The rtl backend generates it in seconds; what the build has is compared with the network, in numpy and, with
# `until="simulate"`, in Verilator.

# %%
build = qap2fpga.build(integers, "pynq-z2", "rtl", output="images-build", until="generate")
assert np.array_equal(build.run(X), integers.run(X))
build.resources
