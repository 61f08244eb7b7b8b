# SPDX-License-Identifier: Apache-2.0
"""When a build refuses a network: before the comparisons that take long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga import backends
from qap2fpga.build import making
from qap2fpga.build.request import Request
from qap2fpga.estimate.images import ImageRecipe, Numbers, network
from qap2fpga.frontend import floats
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.system.errors import QapError

MODEL = Path(__file__).parents[3] / "examples" / "jets-4b-small.pt"


class Compared(Exception):
    """The comparison with float executions was reached."""


def _request(tmp_path: Path) -> Request:
    """A build that its board is too small for."""
    options = backends.get("rtl").make_options()
    return Request(MODEL, replace(boards.load("pynq-z2"), lut=10), "rtl", options, tmp_path, Widths())


def test_what_a_backend_refuses_is_refused_before_the_comparisons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compared(*_: object, **__: object) -> None:
        raise Compared

    monkeypatch.setattr(floats, "compare", compared)
    with pytest.raises(QapError, match=r"unrolled, .* pynq-z2 has 10"):
        making.model(_request(tmp_path), lambda name: None, lambda text: None)


def test_no_backend_is_asked_where_none_is_reached_or_the_network_is_yet_to_be_relaxed(tmp_path: Path) -> None:
    numbers = Numbers(3, 3, 3)
    graph = network(ImageRecipe(1, (4, 4, 1), (("conv", 2, 2, 1),), 3, numbers, "xc7", 5.0, 64, False, False))
    request = _request(tmp_path)
    with pytest.raises(QapError, match=r"unrolled, .* pynq-z2 has 10"):
        making.admit(graph, request)
    making.admit(graph, replace(request, until="model"))
    making.admit(graph, replace(request, options=backends.get("rtl").make_options(requant_tolerance=1)))
    making.admit(graph, replace(request, board=boards.load("pynq-z2")))
