# SPDX-License-Identifier: Apache-2.0
"""Our own modules of folded designs do what the network's nodes say; changed ones do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Sum
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn import own, reading
from qap2fpga.prove.finn.run import Subject
from tests.support.folded import subject
from tests.support.streams import everything

pytestmark = pytest.mark.slow
NETWORK = everything()


@pytest.fixture(scope="module")
def designs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Design]]:
    """A network of all kinds of nodes, whose logits leave, or its class."""
    yield {kind: subject(NETWORK, tmp_path_factory.mktemp(kind), mapped=False, output_kind=kind).design
           for kind in ("logits", "class")}  # fmt: skip


def proof(design: Design, place: Path, network: Graph = NETWORK) -> str:
    """Return what is proven of `design`; Yosys works in `place`."""
    place.mkdir(exist_ok=True)
    read = reading.elaborated(design, (), place)
    one = Subject(design, network, read)
    return own.prove(network, one.instances, one.hints, read.contents["verilog"], place, 30)


@pytest.mark.parametrize("kind", ["logits", "class"])
def test_modules_of_all_kinds_are_proven(designs: dict[str, Design], kind: str, tmp_path: Path) -> None:
    detail = proof(designs[kind], tmp_path)
    last = "1 qap_class, " if kind == "class" else ""
    assert f"{last}1 qap_concat, 1 qap_dw, 4 qap_extend, 2 qap_flip, 2 qap_fork, 1 qap_logits" in detail
    assert "1 qap_pool, 1 qap_repeat, 1 qap_sum, 5 qap_weights" in detail


# A file, what is changed in it, and the instance that is named.
FAULTS = [
    ("qap_weights.sv", "address == DEPTH-1?", "address == DEPTH-2?", "u_MVAU_rtl_0_weights"),
    ("qap_weights.sv", "valid <= 1'b0;", "valid <= 1'b1;", "u_MVAU_rtl_0_weights"),
    ("qap_extend.sv", "= out0_V_TREADY", "= 1'b1", "u_qap_extend_"),
    ("finn_design.v", ".OFFSET(1)", ".OFFSET(2)", "u_qap_extend_"),
    ("finn_design.v", ".MASK(3)", ".MASK(1)", "u_qap_flip_"),
    ("qap_fork.sv", "= &served", "= |served", "u_qap_fork_0"),
    ("qap_fork.sv", "done | out0_V_TREADY", "out0_V_TREADY", "u_qap_fork_0"),
    ("qap_pool.sv", "value > so_far", "value < so_far", "u_qap_pool_0"),
    ("qap_pool.sv", "first || ", "", "u_qap_pool_0"),
    ("qap_sum.sv", "if(take)  sum", "if(move)  sum", "u_qap_sum_0"),
    ("qap_sum.sv", "bit_ == FACTOR_BITS-1", "bit_ == FACTOR_BITS", "u_qap_sum_0"),
    ("qap_concat.sv", "turn == at && out0_V_TREADY", "out0_V_TREADY", "u_qap_concat_0"),
    ("qap_dw.sv", "first? ", "last? ", "u_qap_dw_0"),
    ("qap_logits.sv", ">>> SHIFT", ">>> (SHIFT+1)", "u_qap_logits: channel 0: of the sum"),
    ("qap_logits.sv", "part[bit_] + shifted", "part[bit_] - shifted", "u_qap_logits"),
    ("qap_repeat.sv", "place < held", "place <= held", "u_qap_repeat_0"),
    ("qap_repeat.sv", "held < SIZE", "held <= SIZE", "u_qap_repeat_0"),
    ("qap_repeat.sv", "half? place + ROW : place", "place", "u_qap_repeat_0"),
    ("qap_repeat.sv", "row_time == ROW_TIMES-1", "row_time == ROW_TIMES-2", "u_qap_repeat_0"),
    ("qap_repeat.sv", "rows[write_at] <= ", "rows[read_at] <= ", "u_qap_repeat_0"),
    ("qap_repeat.sv", "valid <= there;", "valid <= 1'b1;", "u_qap_repeat_0"),
    ("qap_repeat.sv", "reg [ABITS-1:0]  column_at", "reg [0:0]  column_at", "u_qap_repeat_0"),
    ("finn_design.v", ".ROW_TIMES(2)", ".ROW_TIMES(3)", "u_qap_repeat_0"),
    ("qap_class.sv", "value > best[pe]", "value >= best[pe]", "u_qap_class"),
    ("qap_class.sv", "base + pe", "base", "u_qap_class"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "named"), FAULTS)
def test_another_module_is_named(
    designs: dict[str, Design], tmp_path: Path, file: str, old: str, new: str, named: str
) -> None:
    design = designs["class"]
    shutil.copytree(design.folder, tmp_path / "rtl")
    path = tmp_path / "rtl" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(NotProven, match=named):
        proof(replace(design, folder=tmp_path / "rtl"), tmp_path / "place")


def test_another_network_is_not_proven(designs: dict[str, Design], tmp_path: Path) -> None:
    node = NETWORK["sum"]
    assert isinstance(node, Sum)
    with pytest.raises(NotProven, match="u_qap_sum_0"):
        proof(designs["logits"], tmp_path, NETWORK.with_nodes(replace(node, multipliers=(2, -2))))
