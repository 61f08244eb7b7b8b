# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # Prune in your own loop
#
# `Schedule` prunes a module that you train yourself: the loop, the optimizer and the learning rate stay yours. Here it
# is a small convolutional network on the 8x8 digits of scikit-learn, with weights of 4 bits.

# %%
import brevitas.nn as qnn
import matplotlib.pyplot as plt
import torch
from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from sklearn.datasets import load_digits
from torch import nn

import qap2fpga
from qap2fpga.qap import Schedule

digits = load_digits()
X = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
y = torch.tensor(digits.target)
train_X, train_y, test_X, test_y = X[:1200], y[:1200], X[1200:], y[1200:]

torch.manual_seed(1)
weights = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 4}
levels = {"act_quant": Uint8ActPerTensorFloat, "bit_width": 4}
network = nn.Sequential(
    qnn.QuantIdentity(**levels),
    qnn.QuantConv2d(1, 8, 3, padding=1, bias=False, **weights),
    nn.BatchNorm2d(8),
    qnn.QuantReLU(**levels),
    nn.MaxPool2d(2),
    qnn.QuantConv2d(8, 8, 3, padding=1, bias=False, **weights),
    nn.BatchNorm2d(8),
    qnn.QuantReLU(**levels),
    nn.MaxPool2d(2),
    nn.Flatten(),
    qnn.QuantLinear(8 * 2 * 2, 10, bias=True, **weights),
)
optimizer = torch.optim.Adam(network.parameters(), 0.01)


def train(epochs):
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(train_X)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(train_X[rows]), train_y[rows]).backward()
            optimizer.step()


def accuracy():
    network.eval()
    with torch.no_grad():
        return (network(test_X).argmax(1) == test_y).float().mean().item()


# %% [markdown]
# ## Train, prune, train on
#
# `fractions` are how much of all weights is zero after each step. In a step, the weights of the smallest magnitude get
# a mask; from then on they are zero in every forward, whatever the optimizer does. `kind` says what goes on afterwards:
# `fine_tuning` keeps what was trained, `lottery_ticket` sets the other weights back to where they began.

# %%
schedule = Schedule(network, fractions=(0.4, 0.6, 0.75), kind="fine_tuning", scope="global")
train(8)
history = [(schedule.sparsity, accuracy())]
while schedule.remaining:
    schedule.step()
    train(4)
    history.append((schedule.sparsity, accuracy()))

for sparsity, correct in history:
    print(f"{sparsity:4.0%} zeros: {correct:.1%} of the test digits")

# %%
figure, axes = plt.subplots(figsize=(5, 3))
axes.plot([100 * sparsity for sparsity, _ in history], [100 * correct for _, correct in history], "o-")
axes.set(xlabel="zeros [%]", ylabel="accuracy [%]")
figure.tight_layout()

# %% [markdown]
# Where the zeros are, layer by layer:

# %%
masks = schedule.masks
{name: f"{(~mask.bool()).float().mean().item():.0%} of {mask.numel()}" for name, mask in masks.items()}

# %% [markdown]
# ## To integers
#
# What is saved is the network that was trained, and every integer is compared with it. Hardware has no multiplication
# for a weight that is zero; a few more weights than were masked become zero when they are rounded to 4 bits.

# %%
qap2fpga.save(network, train_X[:200], "pruned.pt", labels=train_y[:200])
integers = qap2fpga.load("pruned.pt")
kept = sum(int(mask.sum()) for mask in masks.values())
real = sum(row["weights"] - row["zeros"] for row in integers.nodes if row["weights"])
print(f"{kept} of {sum(mask.numel() for mask in masks.values())} weights are kept, {real} of them not rounded to zero")
assert real <= kept
assert round(integers.accuracy(test_X, test_y), 3) == round(accuracy(), 3)

# %%
qap2fpga.estimate(integers, "pynq-z2").table
