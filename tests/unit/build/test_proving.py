# SPDX-License-Identifier: Apache-2.0
"""Proofs as a stage and as a command: when they are due, what is refused, and how the command ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.build import proving, run
from qap2fpga.build.request import Request
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.prove.certificate import FORMAT, NETLIST, Certificate, Claim, Word
from qap2fpga.prove.simulated import CORE, Simulation
from qap2fpga.system.codec import decode, encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from tests.support.graphs import small_chain
from tests.support.streams import residual as image

DESIGN = {"data": [], "estimate": {"lut": 100}}


def request(folder: Path, backend: str = "rtl", prove: bool | None = None) -> Request:
    model = folder / "net.pt"
    model.touch()
    options = RtlOptions() if backend == "rtl" else FinnOptions()
    return Request(model, boards.load("pynq-z2"), backend, options, folder, Widths(), prove=prove)


def generated(folder: Path, **design: Any) -> dict[str, Any]:
    storage.save(small_chain([[[1, -1]]], []), folder / "network.npz")
    return {"network": "network.npz", "design": {**DESIGN, **design}}


def test_proofs_are_due_where_they_are_quick_and_where_they_are_asked_for(tmp_path: Path) -> None:
    small, large = generated(tmp_path), generated(tmp_path, estimate={"lut": proving.QUICK_LUTS + 1})
    assert proving.is_due(request(tmp_path), small)
    assert not proving.is_due(request(tmp_path), large) and proving.is_due(request(tmp_path, prove=True), large)
    assert not proving.is_due(request(tmp_path, prove=False), small)
    for luts, blocks, due in ((proving.QUICK_FOLDED, proving.QUICK_BLOCKS, True),
                              (proving.QUICK_FOLDED + 1, 0, False), (1, proving.QUICK_BLOCKS + 1, False)):  # fmt: skip
        folded = generated(tmp_path, data=["a.dat"], estimate={"lut": luts, "bram18": blocks})
        assert proving.is_due(request(tmp_path, "finn"), folded) == due
    assert not proving.is_due(replace(request(tmp_path), backend="hls4ml"), small)
    storage.save(image(height=16, width=16), tmp_path / "network.npz")
    for luts, due in ((proving.QUICK_WORK // 256, True), (proving.QUICK_WORK // 256 + 1, False)):
        assert proving.is_due(request(tmp_path), {**small, "design": {**DESIGN, "estimate": {"lut": luts}}}) == due


def test_proofs_of_cplusplus_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="nothing is known to prove of the hls4ml backend's C"):
        run._require(replace(request(tmp_path, prove=True), backend="hls4ml", until="model"))


@pytest.mark.parametrize("results", [["RTL"], [{"compared": "RTL", "vectors": "many", "mismatches": 0}]])
def test_simulations_that_are_none_are_refused(tmp_path: Path, results: list[Any]) -> None:
    good = [{"compared": "RTL", "vectors": 3, "mismatches": 0, "engine": "verilator"}]
    (tmp_path / ".qap2fpga").mkdir()
    stored = tmp_path / ".qap2fpga" / "simulate.json"
    stored.write_text(json.dumps({"result": good}))
    assert proving._simulations(tmp_path) == (Simulation("RTL", 3, 0),)
    stored.write_text(json.dumps({"result": results}))
    with pytest.raises(QapError, match="stage 'simulate' stored is no simulation"):
        proving._simulations(tmp_path)


def proven(word: Word) -> dict[str, Any]:
    claims = (
        Claim(claim=NETLIST, word=word, detail="2 modules"), Claim(claim=CORE, word=Word.NOT_PROVEN, detail="fifo"),
    )  # fmt: skip
    stored: dict[str, Any] = encode(Certificate(format=FORMAT, files={}, versions={}, claims=claims))
    return stored


@pytest.mark.parametrize("word", Word)
def test_a_netlist_is_simulated_unless_it_is_proven(word: Word) -> None:
    assert proving.is_netlist_proven(proven(word)) == (word is Word.PROVEN)
    assert proving.is_whole(proven(word)) == (word is Word.PROVEN)
    assert not proving.is_netlist_proven({**proven(word), "claims": []})


def test_a_certificate_has_what_simulations_say(tmp_path: Path) -> None:
    simulated = {"compared": "RTL of top, full speed", "vectors": 7, "mismatches": 0, "engine": "verilator"}
    lines: list[str] = []
    left = proving.certify(tmp_path, proven(Word.PROVEN), [simulated], lines.append)
    assert left == json.loads((tmp_path / proving.CERTIFICATE).read_text())
    netlist, core = decode(Certificate, left, "", "").claims
    assert netlist.detail == "2 modules; it is not simulated, since it is proven"
    assert (core.word, core.detail) == (Word.SIMULATED, "RTL in 7 vectors: fifo")
    assert lines == ["certificate.json: 1 of 2 claims are proven"]


def test_a_netlist_without_models_of_its_cells_says_nothing(tmp_path: Path) -> None:
    simulated = {"compared": "RTL of top, full speed", "vectors": 7, "mismatches": 0}
    left_out = {"compared": "netlist (xc7)", "vectors": 0, "mismatches": None, "note": "no model of STRANGE"}
    left = proving.certify(tmp_path, proven(Word.NOT_PROVEN), [simulated, left_out], lambda text: None)
    assert decode(Certificate, left, "", "").claims[1].detail == "RTL in 7 vectors: fifo"


GOOD: dict[str, Any] = {
    "generate": {"backend": "rtl", "network": "network.npz"}, "synthesize": {"netlist": ["synthesize/a.v"]},
}  # fmt: skip


@pytest.mark.parametrize(("stage", "result", "message"), [
    ("generate", {"backend": "hls4ml"}, "build of the backend 'hls4ml'"),
    ("generate", 3, "build of the backend None"),
    ("generate", {"backend": "rtl", "network": "../../x"}, "names the network"),
    ("synthesize", {"netlist": ["../a.v"]}, "names no netlist"),
    ("synthesize", [], "names no netlist"),
])  # fmt: skip
def test_a_folder_that_is_no_build_of_this_kind_is_refused(
    tmp_path: Path, stage: str, result: object, message: str
) -> None:
    (tmp_path / ".qap2fpga").mkdir()
    for name, one in {**GOOD, stage: result}.items():
        (tmp_path / ".qap2fpga" / f"{name}.json").write_text(json.dumps({"result": one}))
    with Progress(quiet=True) as progress, pytest.raises(QapError, match=message):
        proving.again(tmp_path, 1.0, progress)
