# SPDX-License-Identifier: Apache-2.0
"""What comes of a proof of somebody else's hardware: proven, or which part is not, never more than that."""

from __future__ import annotations

from pathlib import Path

from qap2fpga.audit import ports as described
from qap2fpga.audit import proof
from qap2fpga.ir.graph import Graph
from qap2fpga.prove.certificate import Claim, Word
from tests.support import alkaid, foreign


def claim(folder: Path, network: Graph, kind: str, outputs: int) -> Claim:
    its = described.load(folder / described.FILE)
    sides = described.lanes(its.input, network.inputs, "input"), described.lanes(its.output, outputs, "output")
    return proof.prove(
        its, described.sources(its, folder), sides, network, kind, folder.parent / "work", lambda text: None
    )


def test_what_is_proven_and_what_is_not(tmp_path: Path) -> None:
    stages = alkaid.random_stages(12, (5, 4, 3), 3, 3, 4)
    alkaid.write(tmp_path / "theirs", stages, 4, latency_cutoff=2)
    assert claim(tmp_path / "theirs", alkaid.network(stages, 4), "logits", 3).word is Word.PROVEN
    other = alkaid.random_stages(13, (5, 4, 3), 3, 3, 4)
    result = claim(tmp_path / "theirs", alkaid.network(other, 4), "logits", 3)
    assert result.word is Word.REFUTED and "for the input [" in result.detail


def test_what_has_another_shape_is_said(tmp_path: Path) -> None:
    foreign.streamed(tmp_path / "theirs")
    result = claim(tmp_path / "theirs", foreign.network(), "accumulators", 2)
    assert (result.word, result.detail.split(";")[0]) == (Word.NOT_PROVEN, "it has a handshake")


def test_a_cell_that_is_not_known_is_named(tmp_path: Path) -> None:
    foreign.describe(tmp_path / "theirs", latency=0, input={"port": "x", "bits": 3, "signed": True},
                     output={"port": "y", "bits": [5, 4], "signed": True})  # fmt: skip
    text = "module top(input [11:0] x, output [8:0] y); assign y = x / x[2:0]; initial $display(1); endmodule\n"
    (tmp_path / "theirs" / "top.v").write_text(text)
    result = claim(tmp_path / "theirs", foreign.network(), "accumulators", 2)
    assert result.word is Word.NOT_PROVEN and "a cell of kind $div is not known" in result.detail
    (tmp_path / "theirs" / "top.v").write_text(text.replace("endmodule", ""))
    result = claim(tmp_path / "theirs", foreign.network(), "accumulators", 2)
    assert result.word is Word.NOT_PROVEN and "top.v" in result.detail
