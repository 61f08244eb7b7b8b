# SPDX-License-Identifier: Apache-2.0
"""The smallest go, in a fixed order, and no layer is emptied."""

from __future__ import annotations

import torch

from qap2fpga.qap.ranking import all_but_smallest, all_but_smallest_of_layers, count_of


def test_a_count_is_rounded_up_but_not_by_an_error_of_floats() -> None:
    assert count_of(0.8, 5) == 4
    assert count_of(0.81, 5) == 5
    assert count_of(1 - 0.9, 10) == 1


def test_equal_magnitudes_go_in_order() -> None:
    assert all_but_smallest(torch.tensor([2.0, 1, 1, 3]), 1).tolist() == [1, 0, 1, 1]


def test_a_layer_keeps_its_largest() -> None:
    kept, emptied = all_but_smallest_of_layers([torch.tensor([1.0, 2]), torch.tensor([5.0, 6, 7])], 3)
    assert [one.tolist() for one in kept] == [[0, 1], [0, 0, 1]]
    assert emptied == [0]
