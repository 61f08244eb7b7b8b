# SPDX-License-Identifier: Apache-2.0
"""Hardware of other tools in Verilator: right with a handshake, a latency or neither, and every fault is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from qap2fpga.audit.run import Audit, audit, lines
from qap2fpga.backends.rtl.backend import RtlBackend
from qap2fpga.hw import boards
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.library.network import load
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify.compare import Mismatch
from tests.support import alkaid, foreign
from tests.support.command import run as command

pytestmark = pytest.mark.slow
SMALL = Path(__file__).parents[3] / "examples" / "jets-4b-small.pt"


def audited(folder: Path, bits: int = 3, network: Graph | None = None, kind: str = "accumulators") -> Audit:
    network = foreign.network(bits) if network is None else network
    vectors = random_vectors(network, 50, 1)
    place = folder.parent / "work"
    return audit(network, vectors, kind, folder, folder / "ports.yaml", place, lambda text: None, prove=True)


@pytest.mark.parametrize("options", [{}, {"latency_cutoff": 2.0}], ids=["at once", "in stages"])
def test_what_alkaid_writes_is_the_network_for_every_input(options: dict[str, Any], tmp_path: Path) -> None:
    latency = foreign.alkaid(tmp_path / "theirs", **options)
    result = audited(tmp_path / "theirs")
    assert result.every and {one.vectors for one in result.simulations} == {8**4}
    assert len(result.simulations) == 5 and not any(one.mismatches for one in result.simulations)
    *_, simulated, proven = lines(result)
    assert simulated.startswith("simulated: 4096 vectors; all inputs that there are; stalls and resets only")
    assert result.proven and proven.startswith(
        "proven: the Verilog computes the network's integers, for every input: 2 "
    )
    if latency:
        text = (tmp_path / "theirs" / "ports.yaml").read_text()
        (tmp_path / "theirs" / "ports.yaml").write_text(text.replace(f"latency: {latency}", f"latency: {latency - 1}"))
        with pytest.raises(Mismatch) as caught:
            audited(tmp_path / "theirs")
        assert "is the latency right" in str(caught.value.hint)


def test_beats_with_a_handshake_and_a_fault_that_few_inputs_meet(tmp_path: Path) -> None:
    foreign.streamed(tmp_path / "theirs")
    assert not any(one.mismatches for one in audited(tmp_path / "theirs").simulations)
    # Sums of 5, and no others, are cut down to 3 instead of 2.
    foreign.streamed(tmp_path / "theirs", foreign.STREAMED.replace("sum > 7 ?", "sum > 7 || sum == 5 ?"))
    with pytest.raises(Mismatch, match=r"Verilog of qap_audit, .*: \d+ of 4096 vectors differ; first vector \d+, ch"):
        audited(tmp_path / "theirs")


@pytest.mark.parametrize(
    "before, after, said",
    [
        # Results that are not held while nobody takes them, and ones that a reset leaves.
        ("!sums_valid || sums_ready", "1", "random gaps|bursts|reset"),
        ("            second <= 0;\n", "", "one frame at a time"),
    ],
)
def test_a_handshake_that_loses_frames_is_seen(before: str, after: str, said: str, tmp_path: Path) -> None:
    assert before in foreign.STREAMED
    foreign.streamed(tmp_path / "theirs", foreign.STREAMED.replace(before, after, 1))
    with pytest.raises(Exception, match=said):
        audited(tmp_path / "theirs")


def test_hardware_without_a_reset_is_not_asked_to_keep_one(tmp_path: Path) -> None:
    text = foreign.STREAMED.replace("input rst, ", "").replace("if (rst) begin", "if (0) begin")
    text = text.replace("output reg sums_valid", "output reg sums_valid = 0").replace("reg second;", "reg second = 0;")
    foreign.streamed(tmp_path / "theirs", text, reset=None, interval=2)
    result = audited(tmp_path / "theirs")
    assert len(result.simulations) == 4 and result.design.interval_cycles == 2


def test_outputs_in_a_smaller_unit_than_the_networks(tmp_path: Path) -> None:
    """Twice the sums, in halves, are right; constant hardware in the smallest unit that may be said is not."""
    text = foreign.STREAMED.replace("[9:0] sums", "[11:0] sums")
    text = text.replace("assign sums = {s1, s0};", "assign sums = {s1, 1'b0, s0, 1'b0};")
    output = {**foreign.HANDSHAKE["output"], "bits": 6, "exponent": -1}
    foreign.streamed(tmp_path / "theirs", text, output=output)
    assert not any(one.mismatches for one in audited(tmp_path / "theirs").simulations)
    none = text.replace("{s1, 1'b0, s0, 1'b0}", "0")
    foreign.streamed(tmp_path / "theirs", none, output={**output, "exponent": -31})
    with pytest.raises(Mismatch):
        audited(tmp_path / "theirs")


def test_more_inputs_than_can_be_tried_are_the_vectors_that_were_given(tmp_path: Path) -> None:
    foreign.streamed(tmp_path / "theirs", input={**foreign.HANDSHAKE["input"], "bits": 5})
    text = foreign.STREAMED.replace("[5:0] data", "[9:0] data").replace("reg signed [2:0] a", "reg signed [4:0] a")
    text = text.replace(
        "wire signed [2:0] c = data[2:0], d = data[5:3]", "wire signed [4:0] c = data[4:0], d = data[9:5]"
    )
    text = text.replace("signed [6:0]", "signed [9:0]").replace("a <= data[2:0]", "a <= data[4:0]")
    text = text.replace("b <= data[5:3]", "b <= data[9:5]")
    (tmp_path / "theirs" / "streamed.sv").write_text(text)
    result = audited(tmp_path / "theirs", bits=5)
    assert not result.every and {one.vectors for one in result.simulations} == {50} and not result.proven
    assert list(lines(result))[-1].startswith("not checked: all other inputs; not proven: it has a handshake")


def test_inputs_that_are_not_taken_and_results_in_another_unit(tmp_path: Path) -> None:
    """alkaid takes no inputs without weights, and gives no bits that are always 0."""
    first, last = alkaid.random_stages(8, (6, 5, 3), 3, 3, 6)
    first.weights[2] = 0
    last.weights[:, 0], last.bias[0] = last.weights[:, 0] * 4, 8
    last.weights[:, 1], last.bias[1] = 0, 0
    alkaid.write(tmp_path / "theirs", [first, last], 6)
    ports = yaml.safe_load((tmp_path / "theirs" / "ports.yaml").read_text())
    assert ports["input"]["bits"][2] == ports["output"]["bits"][1] == 0 and ports["output"]["exponent"][0] == 2
    result = audited(tmp_path / "theirs", network=alkaid.network([first, last], 6), kind="logits")
    assert result.proven and not result.every and len(result.simulations) == 5


def test_a_wrong_result_that_no_vector_meets_is_refuted(tmp_path: Path) -> None:
    """Of the inputs one in millions is wrong: the command fails, and names it."""
    stages = alkaid.random_stages(9, (6, 4, 3), 3, 3, 6)
    alkaid.write(tmp_path / "theirs", stages, 6)
    path = tmp_path / "theirs" / "src" / "top.v"
    text, line = path.read_text(), "_inst_logic0 (.model_inp(INTERNAL_logic0_inp)"
    assert line in text
    wrong = "(INTERNAL_logic0_inp ^ (INTERNAL_logic0_inp[29:0] == {5{6'h20}} ? 36'h800000000 : 36'h0))"
    path.write_text(text.replace("(INTERNAL_logic0_inp)", wrong, 1))
    with pytest.raises(CheckFailed, match=r"output \d is -?\d+, not -?\d+, for the input \[-32, -32, -32, -32, -32, "):
        audited(tmp_path / "theirs", network=alkaid.network(stages, 6), kind="logits")


def test_the_command_takes_a_model_file_and_any_verilog_of_it(tmp_path: Path) -> None:
    """Here it is our own, described as anybody's."""
    network = load(SMALL, compare=False).graph
    theirs = tmp_path / "theirs"
    options = RtlBackend().make_options()
    made = RtlBackend().generate(network, boards.load("pynq-z2"), theirs, options, random_vectors(network, 5, 2))
    ends = {
        key: {"port": f"{port.name}_TDATA", "bits": port.bits, "signed": port.signed,
              "valid": f"{port.name}_TVALID", "ready": f"{port.name}_TREADY"}
        for key, port in (("input", made.input), ("output", made.output))
    }  # fmt: skip
    told = {"top": made.top, "clock": "ap_clk", "reset": "ap_rst_n", "latency": None}
    foreign.describe(theirs, **told, **ends)
    result = command("audit", theirs, "--against", SMALL, "--output-kind", "logits")
    assert result.code == 0, result.err
    assert result.out.count("0 mismatches in") == 5 and "\nnot checked: all other inputs; not proven: " in result.out
    result = command("audit", theirs, "--against", SMALL, "--output-kind", "logits", "--no-prove")
    assert result.code == 0 and "\nnot checked: all other inputs; no proof was asked for\n" in result.out
    assert command("audit", tmp_path / "none", "--against", SMALL).code == 2
    inside = command("audit", theirs, "--against", SMALL, "--output", theirs / "out")
    assert inside.code == 2 and "would be taken for the hardware's" in inside.err
    (theirs / "ports.yaml").write_text("top: nothing\n")
    assert "'input.port' is missing" in command("audit", theirs, "--against", SMALL).err
