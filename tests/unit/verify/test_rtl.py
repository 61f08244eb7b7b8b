# SPDX-License-Identifier: Apache-2.0
"""RTL simulation of a small design: exact, measured, and every planted fault is found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.ir.comparison import Simulation
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify import rtl
from qap2fpga.verify.compare import Mismatch
from tests.support.streaming import frames, sums

pytestmark = pytest.mark.slow
of_one_build = pytest.mark.xdist_group("sums")
COUNT = 300


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Simulation]]:
    place = tmp_path_factory.mktemp("sums")
    return place, rtl.Rtl(sums(place / "design"), place).simulate(*frames(COUNT))


@of_one_build
def test_a_good_design_passes_and_is_measured_exactly(good: tuple[Path, list[Simulation]]) -> None:
    _, result = good
    assert [one.mismatches for one in result] == [0] * 5
    assert rtl.measured(result) == (7, 4.0)
    assert all(one.vectors == COUNT and one.engine == "verilator" and one.version for one in result)


@of_one_build
def test_an_equal_build_is_used_again(good: tuple[Path, list[Simulation]]) -> None:
    place, result = good
    message: list[str] = []
    before = (place / "obj" / "simulate").stat().st_mtime_ns
    assert rtl.Rtl(sums(place / "design"), place).simulate(*frames(COUNT), message.append) == result
    assert (place / "obj" / "simulate").stat().st_mtime_ns == before and "up to date" in message[0]


@of_one_build
def test_a_wrong_expectation_names_vector_and_channel(good: tuple[Path, list[Simulation]]) -> None:
    place, _ = good
    vectors, expected = frames(COUNT)
    expected[17, 0] ^= 1
    with pytest.raises(Mismatch, match="1 of 300 vectors differ; first vector 17, channel 0"):
        rtl.Rtl(sums(place / "design"), place).simulate(vectors, expected)


@of_one_build
def test_few_vectors_measure_no_interval(good: tuple[Path, list[Simulation]]) -> None:
    place, _ = good
    vectors, expected = frames(COUNT)
    simulation = rtl.Rtl(sums(place / "design"), place).simulate(vectors[:5], expected[:5])
    assert rtl.measured(simulation) == (7, None)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong bit", "vectors differ; first vector 2, channel 0"),
        ("dropped frame", "hung; 40 of 300 frames"),
        ("hang", "hung; "),
        ("TVALID dropped", "TVALID was dropped"),
        ("TDATA changed", "TDATA changed"),
        ("TVALID waits", "TVALID depends on TREADY|hung"),
        ("extra beat", "output beats came that no input asked for"),
        ("bad padding", "padding bits of vector"),
        ("no reset", "reset while busy|one frame at a time|full speed"),
        ("uninitialised", "vectors differ"),
    ],
)
def test_a_planted_fault_is_found(fault: str, message: str, tmp_path: Path) -> None:
    count = 200 if fault == "extra beat" else COUNT
    with pytest.raises(CheckFailed, match=message):
        rtl.Rtl(sums(tmp_path / "design", fault), tmp_path).simulate(*frames(count))


def test_the_vectors_must_match_the_outputs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected outputs"):
        rtl.Rtl(sums(tmp_path), tmp_path).simulate(np.zeros((2, 8), int), np.zeros((1, 1), int))


def test_a_design_that_does_not_compile_says_so(tmp_path: Path) -> None:
    design = sums(tmp_path / "design")
    (design.folder / "sums.v").write_text("module sums(input a); nonsense endmodule")
    with pytest.raises(Exception, match="verilator") as caught:
        rtl.Rtl(design, tmp_path / "build").simulate(*frames(10))
    assert not isinstance(caught.value, subprocess.SubprocessError)
