# SPDX-License-Identifier: Apache-2.0
"""Inputs that lead to a sum, and what is said where hardware differs for one."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.prove.cells import Refuted
from qap2fpga.prove.counterexample import leading_to, require_equal
from tests.support import alkaid


def test_inputs_that_lead_to_a_sum_of_a_later_layer() -> None:
    network = alkaid.network(alkaid.random_stages(4, (8, 6, 5, 3), 4, 4, 6), 6)
    node = network.nodes[5].name
    # The least sum of thousands, which random inputs reach seldom.
    sums = network.result(node, np.random.default_rng(1).integers(-32, 32, (4000, 8)))[:, 1]
    rows = leading_to(network, node, 1, np.array([sums.min(), sums.min() - 1]))
    assert len(rows) and set(network.result(node, rows)[:, 1]) <= {sums.min(), sums.min() - 1}
    assert not len(leading_to(network, node, 1, np.array([10**6])))


def test_the_first_input_for_which_two_differ_is_named() -> None:
    rows = np.array([[1, 2], [3, -4]])
    require_equal(lambda its: its, lambda its: its, rows)
    with pytest.raises(Refuted, match=r"^output 1 is 5, not -4, for the input \[3, -4\]$"):
        require_equal(lambda its: np.where(its == -4, 5, its), lambda its: its, rows)
    require_equal(lambda its: its, lambda its: its + 1, rows[:0])
