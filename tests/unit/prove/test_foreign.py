# SPDX-License-Identifier: Apache-2.0
"""Verilog of another tool is the network for every input, or it is said what is not proven of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.audit import ports as described
from qap2fpga.audit import proof
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Requantizer
from qap2fpga.ir.outputs import outputs
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove import affine, foreign, reading
from qap2fpga.prove.algebra import unpacked
from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.ground import Ground
from qap2fpga.prove.latency import NO_CLOCK, combinational
from qap2fpga.prove.reading import Module, modules
from tests.support import alkaid
from tests.support import foreign as theirs
from tests.support.alkaid import Stage

Content = dict[str, Any]


def sides(folder: Path, network: Graph, kind: str) -> foreign.Ports:
    its = described.load(folder / described.FILE)
    ends = its.input, its.output
    sizes = network.inputs, outputs(network, kind, np.zeros((1, network.inputs), np.int64)).shape[1]
    lanes = [described.lanes(port, size, "a port") for port, size in zip(ends, sizes, strict=True)]
    assert its.latency is not None
    return foreign.Ports(its.input.port, proof._numbers(lanes[0]), its.output.port, proof._numbers(lanes[1]),
                         its.latency, its.clock, its.reset, int(its.reset_active == "low"))  # fmt: skip


def read(folder: Path) -> Content:
    """Return Yosys' JSON of the Verilog in `folder`."""
    sources, place = sorted([*folder.rglob("*.v"), *folder.rglob("*.sv")]), folder.parent / "read"
    place.mkdir(exist_ok=True)
    content: Content = reading._read(sources, (), "top", place, 60, ("flat",))["flat"]
    return content


def prove(module: Module, folder: Path, network: Graph, kind: str = "logits") -> str:
    return foreign.prove(module, sides(folder, network, kind), network, kind, folder, 30, lambda text: None)


def proven(folder: Path, network: Graph, kind: str = "logits") -> str:
    return prove(modules(read(folder))["top"], folder, network, kind)


NETWORKS: dict[str, tuple[list[Stage], int]] = {
    "1-bit weights": (alkaid.random_stages(0, (6, 5, 4, 3), 1, 3, 4), 4),
    "pruned": (alkaid.random_stages(1, (8, 7, 5), 3, 3, 4, 0.4), 4),
    "4-bit weights": (alkaid.random_stages(3, (6, 5, 4, 3), 4, 3, 4, 0.8), 4),
    "8-bit weights": (alkaid.random_stages(5, (6, 5, 4), 8, 4, 5, 0.8), 5),
    "signed": (alkaid.random_stages(6, (5, 4, 4), 3, 4, 4, signed=True), 4),
    "1-bit activations": (alkaid.random_stages(1, (5, 7, 8), 2, 1, 5), 5),
    "one layer": (alkaid.random_stages(2, (6, 4), 4, 1, 6), 6),
}


@pytest.mark.parametrize("options", [{}, {"latency_cutoff": 2}], ids=["at once", "in stages"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_alkaid_writes_is_the_network(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    stages, bits = NETWORKS[name]
    latency = alkaid.write(tmp_path / "theirs", stages, bits, **options)
    detail = proven(tmp_path / "theirs", alkaid.network(stages, bits))
    assert detail.startswith(f"{len(stages)} layers, {f'{latency} cycles' if options else 'no registers'}, ")


def test_constant_outputs_and_neurons_that_nothing_reads(tmp_path: Path) -> None:
    first, last = alkaid.random_stages(3, (5, 6, 4), 3, 3, 4)
    first.weights[:, 0] = 0
    first.bias[1] = 1 << 12
    last.weights[2] = last.weights[:, 3] = 0
    alkaid.write(tmp_path / "theirs", [first, last], 4)
    assert proven(tmp_path / "theirs", alkaid.network([first, last], 4)).startswith("2 layers")


def changed(content: Content, kind: str, at: int, change: Callable[[Content], None]) -> Content:
    """Return the design where the cell number `at` of a `kind` is changed."""
    result = copy.deepcopy(content)
    cells = result["modules"]["top"]["cells"]
    change(cells[[name for name, cell in cells.items() if cell["type"] == kind][at]])
    return result


def constant(cell: Content) -> None:
    cell["connections"]["B"] = ["0" if bit == "1" else bit for bit in cell["connections"]["B"]]
    cell["connections"]["A"][0] = "1"


def other_bit(cell: Content) -> None:
    bits = cell["connections"]["A"]
    bits[0], bits[1] = bits[1], bits[0]


def without_sign(cell: Content) -> None:
    cell["connections"]["A"][-1] = "0"


def other_operator(cell: Content) -> None:
    cell["type"] = {"$add": "$sub", "$sub": "$add", "$and": "$or", "$mux": "$mux"}[cell["type"]]


def left_out(cell: Content) -> None:
    cell["type"], its = "$buf", cell["connections"]
    cell["connections"] = {"A": its["D"], "Y": its["Q"]}
    cell["port_directions"] = {"A": "input", "Y": "output"}


FAULTS = {
    "constant": ("$add", constant), "bit index": ("$add", other_bit), "sign": ("$add", without_sign),
    "operator": ("$add", other_operator), "gate": ("$and", other_operator), "register": ("$dff", left_out),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_or_changes_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof alone: inputs are not tried before it, nor after it."""
    monkeypatch.setattr(foreign, "require_equal", lambda *given: None)
    stages = alkaid.random_stages(11, (3, 4, 3, 2), 3, 2, 4)
    alkaid.write(tmp_path / "theirs", stages, 4, latency_cutoff=2)
    network, content = alkaid.network(stages, 4), read(tmp_path / "theirs")
    kind, change = FAULTS[name]
    count = sum(cell["type"] == kind for cell in content["modules"]["top"]["cells"].values())
    assert count > 3
    seen = 0
    for at in range(0, count, max(1, count // 8)):
        module = modules(changed(content, kind, at, change))["top"]
        try:
            prove(module, tmp_path / "theirs", network)
        except NotProven:
            seen += 1
        else:
            assert is_equal(module, tmp_path / "theirs", network)
    assert seen


def is_equal(module: Module, folder: Path, network: Graph) -> bool:
    """Whether the module gives the network's logits for all inputs that there are."""
    ports = sides(folder, network, "logits")
    values, inputs, same = foreign._inputs(ports, network, module)
    clock = module.single(ports.clock) if ports.clock else NO_CLOCK
    logic = combinational(module, clock, {}, inputs, module.outputs[ports.output], ports.latency, same)
    every = np.array(list(itertools.product(*(range(value.low, value.high + 1) for value in values))))
    bits = Ground(logic.parts, logic.named).cut(values, every).bits
    lanes = zip(foreign._lanes(logic.outputs, ports.outputs), ports.outputs, strict=True)
    actual = [unpacked([bits[bit] for bit in lane.bits], len(every), signed=lane.signed) * 2.0**number.exponent
              for lane, number in lanes]  # fmt: skip
    return bool((np.stack(actual, axis=1) == network.run(every)).all())


def test_a_fault_that_random_inputs_do_not_meet_is_refuted_with_an_input(tmp_path: Path) -> None:
    """One sum of ten thousand is cut down wrong: an input that leads to it is looked for."""
    weights = np.array([[1, 0], [30, 0], [900, 1]])
    zeros = np.zeros(2, int)
    stages = [Stage(weights, zeros, np.array([8, 0]), 4), Stage(np.array([[1], [1]]), zeros[:1], zeros[:1])]
    theirs.describe(
        tmp_path / "theirs", latency=0, input={"port": "x", "bits": 5, "signed": True},
        output={"port": "y", "bits": 6},
    )  # fmt: skip
    text = """
module top(input [14:0] x, output [5:0] y);
    wire signed [4:0] a = x[4:0], b = x[9:5], c = x[14:10];
    wire signed [15:0] s = a + 30 * b + 900 * c;
    wire [3:0] p = s < 0 ? 0 : s > 4095 ? 15 : s[11:8] FAULT;
    wire [3:0] q = c < 0 ? 0 : c;
    assign y = p + q;
endmodule
"""
    network = alkaid.network(stages, 5)
    (tmp_path / "theirs" / "top.v").write_text(text.replace("FAULT", ""))
    assert proven(tmp_path / "theirs", network).startswith("2 layers")
    (tmp_path / "theirs" / "top.v").write_text(text.replace("FAULT", "^ (s == 1777)"))
    with pytest.raises(Refuted, match=r"output 0 is \d+, not \d+, for the input \[-?\d+, -?\d+, -?\d+\]"):
        proven(tmp_path / "theirs", network)


HAND = """
module top(input clk, input rst, input [11:0] x, output reg [8:0] y);
    function [1:0] cut(input signed [7:0] sum);
        cut = sum[7] ? 2'd0 : sum[6:1] > 3 ? 2'd3 : sum[2:1];
    endfunction
    reg signed [2:0] a, b, c, d;
    reg [1:0] p, q, r;
    always @(posedge clk) begin
        {d, c, b, a} <= x;
        p <= cut(a * 1 + b * -2 + d * 3);
        q <= cut(2 * a + b - c);
        r <= rst ? 0 : cut(c + d - 3 * b);
        y[4:0] <= $signed({1'b0, p}) - $signed({1'b0, q}) + 2 * r;
        y[8:5] <= $signed({1'b0, q}) - 2 * p;
    end
endmodule
"""
OUTPUT = {"port": "y", "bits": [5, 4], "signed": True}
STAGED = {"clock": "clk", "reset": "rst", "reset_active": "high", "latency": 3,
          "input": {"port": "x", "bits": 3, "signed": True}, "output": OUTPUT}  # fmt: skip


@pytest.mark.parametrize(
    "before, after, said",
    [
        ("", "", ""),
        ("2 * a + b - c", "2 * a + b + c", "not the weights|accumulator|output"),
        ("sum[6:1] > 3", "sum[6:1] > 4", "accumulator|output"),
        ("q <= cut", "q = cut", "come from stages"),
        ("{d, c, b, a} <= x;", "{d, c, b, a} = x;", "cycles after the input|come from stages"),
        ("y[8:5] <= ", "if (a == 0) y[8:5] <= ", "enable|register|loop|two drivers|operands"),
        ("p <= cut", "if (x[0]) p <= cut", "register|loop|stages|operands"),
        ("rst ? 0 :", "!rst ? 0 :", "accumulator|output|wires|weights"),
    ],
)
def test_verilog_in_another_style(before: str, after: str, said: str, tmp_path: Path) -> None:
    theirs.describe(tmp_path / "theirs", **STAGED)
    (tmp_path / "theirs" / "hand.sv").write_text(HAND.replace(before, after, 1) if before else HAND)
    network = theirs.network()
    if not said:
        assert proven(tmp_path / "theirs", network, "accumulators").startswith("2 layers, 3 cycles")
        return
    with pytest.raises(NotProven, match=said):
        proven(tmp_path / "theirs", network, "accumulators")


def test_another_latency_is_named(tmp_path: Path) -> None:
    theirs.describe(tmp_path / "theirs", **{**STAGED, "latency": 4})
    (tmp_path / "theirs" / "hand.sv").write_text(HAND)
    with pytest.raises(NotProven, match="comes 3 cycles after the input, not 4"):
        proven(tmp_path / "theirs", theirs.network(), "accumulators")


def test_the_number_of_a_class(tmp_path: Path) -> None:
    text = HAND.replace("output reg [8:0] y", "output reg y").replace("y[4:0] <=", "u =").replace("y[8:5] <=", "v =")
    text = text.replace("reg [1:0] p, q, r;", "reg [1:0] p, q, r; reg signed [5:0] u, v;")
    text = text.replace("2 * p;", "2 * p; y <= v > u;")
    theirs.describe(tmp_path / "theirs", **{**STAGED, "output": {"port": "y", "bits": 1}})
    network = alkaid.network([
        Stage(theirs.FIRST, np.zeros(3, int), np.ones(3, int), 2),
        Stage(theirs.SECOND, np.zeros(2, int), np.zeros(2, int)),
    ], 3)  # fmt: skip
    (tmp_path / "theirs" / "hand.sv").write_text(text)
    assert proven(tmp_path / "theirs", network, "class").startswith("2 layers")
    (tmp_path / "theirs" / "hand.sv").write_text(text.replace("v > u", "v >= u"))
    with pytest.raises(NotProven):
        proven(tmp_path / "theirs", network, "class")


def test_a_frame_of_several_positions_in_one_beat(tmp_path: Path) -> None:
    """A convolution with pads, then what the whole frame sees: alkaid is given the products of all positions."""
    shape, inner = Shape(2, 1, 4), Shape(3, 1, 3)
    kernel = Geometry((1, 3), (1, 1), pads=(0, 1, 0, 0))
    random = np.random.default_rng(7)
    weights = [random.integers(-3, 4, (6, 3)), random.integers(-3, 4, (9, 2))]
    step = Step(np.array([[2, 4, 6], [0, 2, 4], [-2, 0, 2]]))
    nodes = (
        Input(name="x", size=shape, quantizer=InputQuantizer(-4, 3, (1.0,))),
        Linear(name="conv", sources=("x",), weights=weights[0], weight_bits=3, input_bits=3, geometry=kernel),
        Requantizer(name="cut", sources=("conv",), function=step),
        Linear(name="fc", sources=("cut",), weights=weights[1], weight_bits=3, input_bits=2, geometry=Geometry((1, 3))),
        Requantizer(name="end", sources=("fc",), function=Logits(np.array([1, 1]), np.array([5, -3]), 0, None)),
    )
    network = Graph(nodes, "end", Fraction(1))
    products = affine.through(nodes[1], [affine.result("x", shape.size)], [shape], inner.size).weights["x"]
    bias = np.tile([0, 2, 4], 3)
    stages = [Stage(products, bias, np.ones(9, int), 2), Stage(weights[1], np.array([5, -3]), np.zeros(2, int))]
    alkaid.write(tmp_path / "theirs", stages, 3)
    assert proven(tmp_path / "theirs", network).startswith("2 layers")
    wrong = network.with_nodes(replace(nodes[2], function=replace(step, thresholds=step.thresholds + 1)))
    with pytest.raises(Refuted):
        proven(tmp_path / "theirs", wrong)
