# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # Precision and sparsity under a LUT budget
#
# Fewer bits or fewer weights? Train several, let the program estimate each, and build the best that fits. Needs the
# extra `train`: `pip install 'qap2fpga[train]'`. For a notebook: a script calls `study` and `explore` below
# `if __name__ == "__main__":`.

# %%
from pathlib import Path

import numpy as np

import qap2fpga

# %% [markdown]
# ## A study
#
# One YAML file says what is trained: here two precisions, each pruned in three steps. The data are made up; take your
# own `.npz` with `X` and `y`, and more epochs. [What else may stand in a study](../studies.md).

# %%
random = np.random.default_rng(1)
y = random.integers(0, 3, 1200)
X = random.normal(0, 1, (1200, 8)) + random.normal(0, 1, (3, 8))[y]
np.savez("rows.npz", X=X.astype(np.float32), y=y)

Path("study.yaml").write_text("""\
base:
  data: {source: rows.npz}
  model: {widths: [12, 8]}
  training: {epochs: 8}
  pruning: {sparsities: [0.5, 0.8], epochs: 3}
experiments:
  - name: bits
    vary: {model.bits: [4, 6]}
""")
study = qap2fpga.study("study.yaml", "study", workers=1)
study

# %% [markdown]
# Every step of pruning left a checkpoint:

# %%
table = study.to_pandas()
print(table[["name", "weight_bits", "zeros", "accuracy", "bops_paper"]].to_string())

# %% [markdown]
# ## Within a budget
#
# `explore` estimates every checkpoint, drops what cannot meet the limits, and ranks the rest by accuracy, LUTs and
# latency. `build=0` stops there; `build=1` builds from the best on until one meets the limits by what was measured.

# %%
budget = qap2fpga.explore(["study"], "pynq-z2", "rtl", max_lut=1500, build=0, jobs=1, output="budget")
budget

# %%
best = budget.table[0]
print(f"{best['name']}: accuracy {best['accuracy']:.1%}, {best['lut']:,} LUTs expected")
assert budget.met

# %% [markdown]
# ## What a budget costs
#
# The most accurate network within each budget: what a LUT is worth.

# %%
for luts in (400, 800, 1600, 3200):
    within = [row for row in budget.table if row["lut"] is not None and row["lut"] <= luts]
    most = max(within, key=lambda row: row["accuracy"], default=None)
    print(f"{luts:5} LUTs: " + ("nothing" if most is None else f"{most['accuracy']:.1%} by {most['name']}"))

# %% [markdown]
# To have it, say `build=1`: `budget.builds[0]` is then the build. `budget.page` shows all candidates in a browser.
