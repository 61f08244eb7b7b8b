# SPDX-License-Identifier: Apache-2.0
"""Networks whose bits differ per weight, channel and input: their hardware computes the same, for every input."""

from __future__ import annotations

from pathlib import Path

import pytest

import qap2fpga
from tests.support.learned import module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "residual", "image"])
def test_unrolled_hardware_is_proven(name: str, tmp_path: Path) -> None:
    trained, rows = module(name)
    qap2fpga.save(trained, rows, tmp_path / "model.pt")
    build = qap2fpga.build(tmp_path / "model.pt", "zcu104", "rtl", output=tmp_path / "build", prove=True, quiet=True)
    assert build.passed and build.proof is not None
    words = {claim.word for claim in build.proof.claims}
    assert words == {"proven"}
    x = rows[:20].numpy()
    network = qap2fpga.load(tmp_path / "model.pt", quiet=True)
    assert (build.run(x) == network.run(x)).all()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["hls4ml", "finn"])
def test_other_backends_take_the_widest_bits_and_are_exact(backend: str, tmp_path: Path) -> None:
    trained, rows = module("dense")
    qap2fpga.save(trained, rows, tmp_path / "model.pt")
    build = qap2fpga.build(
        tmp_path / "model.pt", "zcu104", backend, output=tmp_path / "build", until="simulate", quiet=True
    )
    assert build.passed
