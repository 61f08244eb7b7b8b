# SPDX-License-Identifier: Apache-2.0
"""The mistakes of the paper's own training code, each with a name to switch it on by; `docs/paper-code.md`.

They were found by running the code that was published with Hawks et al. 2021. None of them is part of the
method, and all are off unless a configuration asks for them.
"""

from __future__ import annotations

MISTAKES = {
    "softmax_over_batch": "the softmax before the loss runs over the rows of a batch, not over the classes",
    "rewind_without_copy": "the lottery ticket's initial weights are kept without a copy, so nothing is rewound",
    "late_mask": "masks are applied after the forward pass: pruned weights take part in the next one",
    "shared_masks": "one dict of masks serves all precisions: a run starts with those the 32-bit run ended with",
    "l1_on_batch_norm": "the L1 term also pulls at batch norm's gamma",
    "own_test_scaler": "the test rows are standardised by a scaler of their own",
    "shared_checkpoint": "the best epoch is kept in checkpoint.pt of the working directory, which all runs share",
}
