# SPDX-License-Identifier: Apache-2.0
"""Estimates on a terminal: boards that share numbers share a row, and what a number rests on is asked for."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace

from qap2fpga.estimate.estimate import Estimate
from qap2fpga.estimate.prediction import Csynth, Interval
from qap2fpga.hw import boards
from qap2fpga.hw.design import NodeEstimate, Stage
from qap2fpga.report import estimates
from qap2fpga.system.terminal import Terminal


def prediction(backend: str, board: str, lut: float = 1000.0, *, calibrated: bool = True) -> Estimate:
    cells = {name: Interval.exact(0.0) for name in ("ff", "dsp", "bram18")}
    cycles = {"latency_cycles": Interval.exact(8.0), "interval_cycles": Interval.exact(1.0)}
    span = {"lut": Interval(lut, lut - 100, lut + 100)}
    return Estimate(backend, boards.load(board), span | cells | cycles, calibrated)


def shown(*chosen: Estimate, explain: bool = False) -> str:
    stream = io.StringIO()
    Terminal(file=stream, width=150).print(estimates.render(chosen, explain=explain))
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if re.match(r"(rtl|finn|hls4ml) {2}", line)]


def test_boards_of_a_family_and_clock_share_a_row() -> None:
    text = shown(prediction("rtl", "pynq-z1"), prediction("rtl", "pynq-z2"), prediction("rtl", "zcu102"),
                 prediction("rtl", "vu13p", 2000.0))  # fmt: skip
    assert [row[:4] for row in rows(text)] == [
        ["rtl", "pynq-z1, pynq-z2", "1,000", "1.9 %"],
        ["rtl", "zcu102", "1,000", "0.4 %"],
        ["rtl", "vu13p", "2,000", "0.1 %"],
    ]
    assert [row[7:] for row in rows(text)] == [
        ["8", "80", "1", "yes"],
        ["8", "40", "1", "yes"],
        ["8", "40", "1", "yes"],
    ]
    assert "(900 to 1,100)" in text


def test_a_share_of_boards_of_several_sizes_is_a_range() -> None:
    assert rows(shown(prediction("rtl", "zcu102"), prediction("rtl", "ultra96-v2")))[0][1:4] == [
        "zcu102, ultra96-v2", "1,000", "0.4 to 1.4 %",
    ]  # fmt: skip


def test_what_does_not_fit_and_what_is_not_known_is_said() -> None:
    refused = Estimate("finn", boards.load("ulx3s-85f"), {}, False, "no hardware for ulx3s-85f (ecp5)\nhint")
    other = Estimate("finn", boards.load("colorlight-i5"), {}, False, "no hardware for colorlight-i5 (ecp5)")
    text = shown(prediction("rtl", "pynq-z2", 60000.0, calibrated=False), refused, other)
    assert rows(text)[0][-1] == "no, or not surely"
    assert "rtl, pynq-z2: not calibrated: no interval" in text
    assert "no hardware for ulx3s-85f, colorlight-i5 (ecp5)" in text


@dataclass(frozen=True, kw_only=True)
class Sparse(NodeEstimate):
    """As a backend's own kind of part for products without zeros."""

    slots: int


def test_layers_without_their_zeros_are_named() -> None:
    nodes = [NodeEstimate(name="mvau", layer="fc0", estimate={})]
    nodes += [Sparse(name=f"qap_sparse_{number}", layer=f"fc{number}", estimate={}, slots=3) for number in (1, 2)]
    one = replace(prediction("finn", "pynq-z2"), nodes=tuple(nodes))
    assert "finn, pynq-z2: multiplied without their zeros: fc1, fc2\n" in shown(one)
    more = [Sparse(name=f"s{number}", layer=f"fc{number}", estimate={}, slots=3) for number in range(9)]
    assert "multiplied without their zeros: 9 layers" in shown(replace(one, nodes=tuple(more)))
    assert "zeros" not in shown(replace(one, nodes=tuple(nodes[:1])))


def test_c_synthesis_is_explained_when_asked() -> None:
    board = boards.load("pynq-z2")
    csynth = Csynth(layers=(), total={}, errors=("how far off fits were",), observed=())
    one = Estimate("hls4ml", board, {"interval_cycles": Interval.exact(1.0)}, False, "", Stage.HLS, csynth)
    short, full = shown(one), shown(one, explain=True)
    assert "--explain" in short and "how far off" not in short
    assert "how far off" in full and "--explain" not in full
    assert rows(short)[0][-1] == "–"
