# SPDX-License-Identifier: Apache-2.0
"""SVCCA: what it must be equal to, what it must not see, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qap2fpga
from qap2fpga import Network
from qap2fpga.library.similarity import svcca
from qap2fpga.system.errors import QapError

EXAMPLES = Path(__file__).parents[3] / "examples"
RANDOM = np.random.default_rng(1)


@pytest.fixture(scope="module")
def network() -> Network:
    return qap2fpga.load(EXAMPLES / "jets-4b-small.pt", compare=False, quiet=True)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    with np.load(EXAMPLES / "jets_test.npz") as data:
        return np.asarray(data["X"][:600])


def test_a_linear_function_of_a_layer_is_the_same_layer() -> None:
    layer = RANDOM.normal(size=(200, 6))
    assert svcca(layer, layer @ RANDOM.normal(size=(6, 6)) + 3) == pytest.approx(1)
    assert svcca(layer, layer[:, [5, 2, 0, 1, 4, 3]] * -2.5) == pytest.approx(1)


def test_layers_that_have_nothing_to_do_with_each_other_are_not_alike() -> None:
    assert svcca(RANDOM.normal(size=(20_000, 4)), RANDOM.normal(size=(20_000, 4))) < 0.05


def test_half_of_what_is_shared_is_half_of_the_similarity() -> None:
    shared, own = RANDOM.normal(size=(20_000, 2)), RANDOM.normal(size=(20_000, 4))
    assert svcca(np.hstack([shared, own[:, :2]]), np.hstack([shared, own[:, 2:]])) == pytest.approx(0.5, abs=0.02)


def test_of_two_directions_it_is_the_correlation_of_each() -> None:
    first, noise = RANDOM.normal(size=500), RANDOM.normal(size=500)
    second = first + 0.5 * noise
    expected = abs(np.corrcoef(first, second)[0, 1])
    assert svcca(first[:, None], second[:, None]) == pytest.approx(expected)


def test_directions_that_hold_little_variance_do_not_count() -> None:
    layer = RANDOM.normal(size=(400, 3))
    noisy = np.hstack([layer, RANDOM.normal(size=(400, 5)) * 1e-3])
    assert svcca(layer, noisy) == pytest.approx(1, abs=1e-4)


def test_a_constant_layer_is_like_nothing() -> None:
    assert np.isnan(svcca(np.ones((50, 3)), RANDOM.normal(size=(50, 3))))


def test_positions_are_samples_where_both_have_as_many() -> None:
    image = RANDOM.normal(size=(40, 3, 2, 4))
    assert svcca(image, image @ RANDOM.normal(size=(4, 4))) == pytest.approx(1)
    assert svcca(image, image.mean(axis=(1, 2))) == pytest.approx(1)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(QapError, match="8 rows are too few to compare layers of 4 and 4 directions"):
        svcca(RANDOM.normal(size=(8, 4)), RANDOM.normal(size=(8, 4)))


def test_networks_are_compared_layer_by_layer(network: Network, rows: np.ndarray, tmp_path: Path) -> None:
    other = qap2fpga.load(EXAMPLES / "jets-6b-80pruned.pt", compare=False, quiet=True)
    own = network.similarity(network, rows)
    assert own.rows == own.columns == ("fc1/requantize", "fc2/requantize", "fc3/requantize")
    assert np.allclose(own.values, own.values.T) and np.allclose(np.diag(own.values), 1)
    assert own.values[0, 2] < 0.99
    both = network.similarity(other, rows)
    assert both.values.shape == (3, 4) and both.samples == 600
    traces = [one.trace(rows)["fc2/requantize"] for one in (network, other)]
    assert both.values[1, 1] == svcca(*traces)
    assert [row["layer"] for row in both.table] == list(both.rows)
    assert repr(both) == "<Similarity jets-4b-small.pt (down) and jets-6b-80pruned.pt (across), 600 rows of inputs>"
    assert both.figure(tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert both.figure(tmp_path / "a.svg").read_text().count("<path") > 12
    with pytest.raises(QapError, match=r"a \.png or an \.svg, not 'a\.pdf'"):
        both.figure(tmp_path / "a.pdf")
    with pytest.raises(QapError, match="too few"):
        network.similarity(other, rows[:6])
