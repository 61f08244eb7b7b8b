# SPDX-License-Identifier: Apache-2.0
"""The cache knows a stage by all that goes into it: where that changes, the key changes; where it stands does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.build import making, proving, sharing
from qap2fpga.build.folder import BuildFolder
from qap2fpga.build.request import Request
from qap2fpga.build.state import Run
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.ir.graph import Graph
from qap2fpga.system import versions
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from tests.support.graphs import small_chain

DESIGN = {"folder": "rtl", "sources": ["a.v", "b.v"], "data": ["w.dat"], "latency_cycles": 3, "top": "a"}
STORED: dict[str, Any] = {
    "model": {},
    "generate": {"backend": "rtl", "design": DESIGN, "network": "network.npz"},
    "synthesize": {"netlist": ["synthesize/a.v", "synthesize/top.v"]},
}  # fmt: skip
FILES = ("rtl/a.v", "rtl/b.v", "rtl/w.dat", "network.npz", "vectors.npz", "synthesize/a.v", "synthesize/top.v")
HARDWARE = {"rtl/a.v", "rtl/b.v", "rtl/w.dat", "latency"}
NETLIST = {"synthesize/a.v", "synthesize/top.v"}
REFERENCE = {"network.npz", "vectors.npz", "output"}
# What each key follows from.
KEYS: dict[str, tuple[Callable[[Run], Any], set[str]]] = {
    "synthesis": (sharing.synthesis, HARDWARE | {"family"}),
    "timing": (sharing.timing, NETLIST | {"family"}),
    "simulation": (sharing.simulation, HARDWARE | REFERENCE),
    "netlist": (sharing.netlist, HARDWARE | REFERENCE | NETLIST | {"family"}),
    "proof": (sharing.proof, HARDWARE | NETLIST | {"network.npz"}),
}
CHANGES = (*FILES, "latency", "output", "family", "board", "model")


def under_way(folder: Path, change: str = "") -> Run:
    """A build in `folder`, with one thing changed."""
    out = folder / "out"
    for name in FILES:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"{name} {name == change}")
    model = folder / f"net{change == 'model'}.pt"
    model.write_text("a model")
    board = boards.load({"family": "zcu104", "board": "pynq-z1"}.get(change, "pynq-z2"))
    options = RtlOptions(output_kind="class" if change == "output" else "logits")
    request = Request(model, board, "rtl", options, out, Widths())
    stored = copy.deepcopy(STORED)
    if change == "latency":
        stored["generate"]["design"]["latency_cycles"] = 4
    return Run(request, BuildFolder(out, Progress(quiet=True)), stored)


@pytest.mark.parametrize("name", KEYS)
def test_whatever_goes_in_changes_the_key_and_nothing_else(tmp_path: Path, name: str) -> None:
    shared, goes_in = KEYS[name]
    key = shared(under_way(tmp_path / "a")).key
    assert shared(under_way(tmp_path / "elsewhere")).key == key
    changed = {change for change in CHANGES if shared(under_way(tmp_path / "b", change)).key != key}
    assert changed == goes_in


def test_what_wanted_more_time_is_not_kept(tmp_path: Path) -> None:
    one = under_way(tmp_path)
    assert sharing.timing(one).keeps({"ns": 1.5}) and not sharing.timing(one).keeps({"ns": None})
    assert sharing.proof(one).keeps is proving.is_whole


def test_keys_of_one_build_differ(tmp_path: Path) -> None:
    one = under_way(tmp_path)
    assert len({shared(one).key for shared, _ in KEYS.values()} | {sharing.model(one).key}) == len(KEYS) + 1


@pytest.mark.parametrize("changed", ["program_digest", "versions"])
def test_another_program_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    every = [sharing.model, *(shared for shared, _ in KEYS.values())]
    before = [shared(under_way(tmp_path)).key for shared in every]
    monkeypatch.setattr(versions, changed, lambda: "another")
    assert not {shared(under_way(tmp_path)).key for shared in every} & set(before)


def test_a_network_is_that_of_the_models_file_and_of_how_it_was_read(tmp_path: Path) -> None:
    one = under_way(tmp_path).request
    (tmp_path / "data.npz").write_bytes(b"rows")
    others = [
        replace(one, widths=Widths(input=3)), replace(one, data=tmp_path / "data.npz"), replace(one, classes=("a",)),
        replace(one, input_range=(0.0, 1.0)), replace(one, model_output="x"),
        replace(one, options=RtlOptions(output_kind="values")), under_way(tmp_path / "b", "model").request,
    ]  # fmt: skip

    def key(request: Request) -> str:
        return sharing.model(Run(request, BuildFolder(tmp_path, Progress(quiet=True)))).key

    assert len({key(request) for request in (one, *others)}) == len(others) + 1
    assert key(one) == key(replace(one, board=boards.load("zcu104"), backend="finn", output=tmp_path / "c"))
    (tmp_path / "netFalse.pt").write_text("another model")
    assert key(one) not in {key(request) for request in others}


def test_a_backend_refuses_a_network_that_is_there_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Graph, Request]] = []

    def refuses(network: Graph, request: Request) -> None:
        seen.append((network, request))
        raise QapError("too large")

    monkeypatch.setattr(making, "admit", refuses)
    one = under_way(tmp_path)
    network = small_chain([[[1, -1]]], [])
    storage.save(network, tmp_path / "network.npz")
    with pytest.raises(QapError, match="too large"):
        sharing.model(one).accept(tmp_path)
    assert seen[0][1] is one.request and seen[0][0].inputs == network.inputs
