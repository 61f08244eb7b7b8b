# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the proofs: its simulator, its faults, what it makes of its results, and that it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import faults, proof_networks, proofs, proofs_page
from benchmarks.behaviour import Difference, all_vectors, difference
from benchmarks.simulated import NoSimulation, Simulator
from benchmarks.written import simulated
from qap2fpga.estimate.images import Numbers
from qap2fpga.hw.design import Design, Stream
from qap2fpga.prove import reading
from tests.support.circuits import CLOCK, MOVE, Bit, Cell, chain_of_valid, content, register
from tests.support.graphs import small_chain

ROOT = Path(__file__).parents[2]
STREAMS = 100
SIGNED = {"A_SIGNED": "1", "B_SIGNED": "1"}
UNSIGNED = {"A_SIGNED": "0", "B_SIGNED": "0"}
WORDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "$add": lambda a, b: a + b, "$sub": lambda a, b: a - b, "$mul": lambda a, b: a * b, "$and": lambda a, b: a & b,
    "$or": lambda a, b: a | b, "$xor": lambda a, b: a ^ b, "$ge": lambda a, b: a >= b, "$gt": lambda a, b: a > b,
    "$le": lambda a, b: a <= b, "$lt": lambda a, b: a < b, "$eq": lambda a, b: a == b, "$ne": lambda a, b: a != b,
    "$logic_and": lambda a, b: (a != 0) & (b != 0), "$logic_or": lambda a, b: (a != 0) | (b != 0),
}  # fmt: skip


def bits(values: np.ndarray, size: int) -> np.ndarray:
    return (values[:, None] >> np.arange(size) & 1).astype(bool)


def ran(cells: list[Cell], given: dict[str, np.ndarray], out: list[Bit], cycles: int = 1) -> np.ndarray:
    """Return the bits of `out` after so many cycles."""
    numbers = iter(range(100, 1000))
    ports: dict[str, list[Bit]] = {name: [next(numbers) for _ in range(one.shape[1])] for name, one in given.items()}
    placed = [(kind, parameters, {port: [ports[bit][0] if bit in ports else bit for bit in nets]
                                  for port, nets in one.items()}) for kind, parameters, one in cells]  # fmt: skip
    simulator = Simulator(
        content({"ap_clk": [CLOCK], **ports}, {"y": out}, placed), "m", STREAMS, np.random.default_rng(1)
    )
    return [simulator.run(given) for _ in range(cycles)][-1]["y"]


@pytest.mark.parametrize("signs", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
@pytest.mark.parametrize("kind", WORDS)
def test_cells_of_words_compute_what_integers_do(kind: str, signs: dict[str, str]) -> None:
    low = (-8, -4) if signs is SIGNED else (0, 0)
    random = np.random.default_rng(2)
    a, b = random.integers(low[0], low[0] + 16, STREAMS), random.integers(low[1], low[1] + 8, STREAMS)
    size = 6 if kind in ("$add", "$sub", "$mul", "$and", "$or", "$xor") else 1
    nets: list[Bit] = list(range(20, 20 + size))
    ports: dict[str, list[Bit]] = {"A": [3, 4, 5, 6], "B": [7, 8, 9], "Y": nets}
    one = content({"ap_clk": [CLOCK], "a": ports["A"], "b": ports["B"]}, {"y": nets}, [(kind, signs, ports)])
    result = Simulator(one, "m", STREAMS, random).run({"a": bits(a, 4), "b": bits(b, 3)})["y"]
    assert (result == bits(WORDS[kind](a, b).astype(np.int64), size)).all()


def test_cells_that_choose_or_shift_are_what_they_are_called() -> None:
    random = np.random.default_rng(4)
    a, b = random.integers(0, 16, STREAMS), random.integers(0, 4, STREAMS)
    ports: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "a": [3, 4, 5, 6], "b": [7, 8]}
    given = {"a": bits(a, 4), "b": bits(b, 2)}
    wanted: dict[str, tuple[dict[str, list[Bit]], np.ndarray]] = {
        "$shr": ({"A": [3, 4, 5, 6], "B": ["0", 7, 8, "0"], "Y": [20, 21, 22, 23]}, a >> 2 * b),
        "$bmux": ({"A": [3, 4, 5, 6, 4, 3, 6, 5], "S": [7, 8], "Y": [20, 21]},
                  np.choose(b, [a & 3, a >> 2, (a >> 1 & 1) | (a & 1) << 1, (a >> 3) | (a >> 2 & 1) << 1])),
        "$buf": ({"A": [3, 4, 5, 6], "Y": [20, 21, 22, 23]}, a),
    }  # fmt: skip
    for kind, (pins, number) in wanted.items():
        one = content(ports, {"y": pins["Y"]}, [(kind, {}, pins)])
        assert (Simulator(one, "m", STREAMS, random).run(given)["y"] == bits(number, len(pins["Y"]))).all()


def test_cells_of_bits_compute_what_they_are() -> None:
    random = np.random.default_rng(3)
    a, b, c, d = given = [random.integers(0, 2, (STREAMS, 1)).astype(bool) for _ in range(4)]
    named = dict(zip("abcd", given, strict=True))
    table = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1], bool)
    index = (a + 2 * b + 4 * c + 8 * d)[:, 0]
    text = "".join(str(int(bit)) for bit in table[::-1])
    pins: dict[str, list[Bit]] = {"A": ["a"], "B": ["b"], "C": ["c"], "D": ["d"]}
    assert (ran([("LUT4", {"INIT": text}, {**pins, "Z": [20]})], named, [20])[:, 0] == table[index]).all()
    amd: dict[str, list[Bit]] = {"I0": ["a"], "I1": ["b"], "I2": ["c"], "I3": ["d"], "O": [20]}
    assert (ran([("LUT4", {"INIT": text}, amd)], named, [20])[:, 0] == table[index]).all()
    indexed: dict[str, list[Bit]] = {"A": [str(int(bit)) for bit in table], "B": ["a", "b", "c", "d"], "Y": [20]}
    assert (ran([("$shiftx", {}, indexed)], named, [20])[:, 0] == table[index]).all()
    for kind, ports, expected in (
        ("MUXF7", {"S": ["a"], "I0": ["b"], "I1": ["c"], "O": [20]}, np.where(a, c, b)),
        ("PFUMX", {"C0": ["a"], "BLUT": ["b"], "ALUT": ["c"], "Z": [20]}, np.where(a, c, b)),
        ("INV", {"I": ["a"], "O": [20]}, ~a), ("$logic_not", {"A": ["a", "b"], "Y": [20]}, ~(a | b)),
        ("$reduce_bool", {"A": ["a", "b"], "Y": [20]}, a | b), ("$not", {"A": ["a"], "Y": [20]}, ~a),
    ):  # fmt: skip
        assert (ran([(kind, {}, ports)], named, [20]) == expected).all()


def test_carry_chains_add() -> None:
    random = np.random.default_rng(4)
    a, b = random.integers(0, 16, (2, STREAMS))
    x, y = bits(a, 4), bits(b, 4)
    half, s, carry = list(range(40, 44)), list(range(50, 54)), list(range(60, 64))
    cells: list[Cell] = [
        ("$xor", UNSIGNED, {"A": [3, 4, 5, 6], "B": [7, 8, 9, 10], "Y": [*half]}),
        ("CARRY4", {}, {"S": [*half], "DI": [3, 4, 5, 6], "CI": ["0"], "CYINIT": ["0"], "O": [*s], "CO": [*carry]}),
    ]
    ports: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "a": [3, 4, 5, 6], "b": [7, 8, 9, 10]}
    result = Simulator(content(ports, {"y": [*s, carry[3]]}, cells), "m", STREAMS, random).run({"a": x, "b": y})["y"]
    assert (result == bits(a + b, 5)).all()
    # Of ECP5 two bits of the sum are a cell: A ^ B in the table, whose lowest entries are the carry where it is 0.
    modes = {name: value for half in "01" for name, value in
             ((f"INIT{half}", "1001011010101010"), (f"INJECT1_{half}", "NO"))}  # fmt: skip
    chain: list[Cell] = []
    for place, begin in ((0, "0"), (2, 70)):
        pins: dict[str, list[Bit]] = {"C0": ["0"], "C1": ["0"], "D0": ["1"], "D1": ["1"], "CIN": [begin]}
        for number in (0, 1):
            pins |= {f"A{number}": [3 + place + number], f"B{number}": [7 + place + number],
                     f"S{number}": [s[place + number]]}  # fmt: skip
        chain.append(("CCU2C", modes, {**pins, "COUT": [70 + place // 2]}))
    result = Simulator(content(ports, {"y": [*s, 71]}, chain), "m", STREAMS, random).run({"a": x, "b": y})["y"]
    assert (result == bits(a + b, 5)).all()


@pytest.mark.parametrize(("kind", "parameters", "reset", "expected"), [
    ("FDRE", {"INIT": "1"}, {"R": ["r"]}, lambda q, e, r, d: np.where(r, False, np.where(e, d, q))),
    ("FDSE", {"INIT": "0"}, {"S": ["r"]}, lambda q, e, r, d: np.where(r, True, np.where(e, d, q))),
    ("TRELLIS_FF", {"CEMUX": "CE", "REGSET": "SET"}, {"LSR": ["r"]},
     lambda q, e, r, d: np.where(r, True, np.where(e, d, q))),
    ("TRELLIS_FF", {"CEMUX": "1"}, {"LSR": ["r"]}, lambda q, e, r, d: np.where(r, False, d)),
])  # fmt: skip
def test_registers_take_what_they_should(
    kind: str, parameters: dict[str, str], reset: dict[str, list[Bit]], expected: Callable[..., np.ndarray]
) -> None:
    random = np.random.default_rng(5)
    d, e, r = given = [random.integers(0, 2, (STREAMS, 1)).astype(bool) for _ in range(3)]
    named = dict(zip("der", given, strict=True))
    clock, data = ("CLK", "DI") if kind == "TRELLIS_FF" else ("C", "D")
    ports: dict[str, list[Bit]] = {clock: [CLOCK], data: ["d"], "CE": ["e"], "Q": [20], **reset}
    begin = parameters.get("INIT") == "1" or parameters.get("REGSET") == "SET"
    assert (ran([(kind, parameters, ports)], named, [20]) == begin).all()
    assert (ran([(kind, parameters, ports)], named, [20], 2) == expected(np.full_like(d, begin), e, r, d)).all()


def test_a_shift_register_is_as_long_as_its_address_says() -> None:
    d = np.random.default_rng(6).integers(0, 2, (STREAMS, 1)).astype(bool)
    ports: dict[str, list[Bit]] = {"CLK": [CLOCK], "CE": ["1"], "D": ["d"], "Q": [20]}
    address: dict[str, list[Bit]] = {"A0": ["0"], "A1": ["1"], "A2": ["0"], "A3": ["0"]}
    cells: list[Cell] = [("SRL16E", {"INIT": "0"}, {**ports, **address})]
    assert not ran(cells, {"d": d}, [20], 3).any() and (ran(cells, {"d": d}, [20], 4) == d).all()


def test_another_clock_is_any_value_where_an_output_depends_on_it() -> None:
    d = np.ones((STREAMS, 1), bool)
    cell: Cell = ("$dff", {"CLK_POLARITY": "1"}, {"CLK": ["d"], "D": ["1"], "Q": [20]})
    assert ran([cell], {"d": d}, [20], 9).any() and not ran([cell], {"d": d}, [20], 9).all()
    assert ran([cell], {"d": d}, ["1"]).all()


def test_what_cannot_be_simulated_is_said() -> None:
    loop: list[Cell] = [("$not", {}, {"A": [20], "Y": [21]}), ("$not", {}, {"A": [21], "Y": [20]})]
    strange: Cell = ("TRELLIS_FF", {"SRMODE": "CE_OVER_LSR"}, {"CLK": [CLOCK], "DI": ["1"], "Q": [20]})
    for cells, message in ((loop, "a loop"), ([("DCU", {}, {"A": [3], "Y": [20]})], "DCU"), ([strange], "an enable")):
        with pytest.raises(NoSimulation, match=message):
            ran(cells, {}, [20])


NETWORK = small_chain([[[1]]], [])


def wires(stages: int = 2) -> dict[str, Any]:
    """Return a pipeline that computes `NETWORK`: what comes in comes out."""
    one = chain_of_valid(stages)
    module, data = one["modules"]["m"], [list(range(400 + 10 * stage, 403 + 10 * stage)) for stage in range(stages + 1)]
    cells = [
        cell
        for stage in range(stages)
        for cell in register(data[stage], data[stage + 1], list(range(500 + 10 * stage, 503 + 10 * stage)))
    ]
    for number, (kind, parameters, ports) in enumerate(cells):
        module["cells"][f"d{number}"] = {"type": kind, "parameters": parameters, "connections": ports}
    module["ports"]["in0_TDATA"] = {"direction": "input", "bits": [*data[0], *range(490, 495)]}
    module["ports"]["out0_TDATA"] = {"direction": "output", "bits": [*data[-1], *"00000"]}
    module["netnames"]["data"] = {"bits": data[1]}
    return one


DESIGN = Design(
    "rtl", Path(), "m", (), (), Stream("in0", 1, 1, 3, True), Stream("out0", 1, 1, 3, True), 1, latency_cycles=3,
    output_kind="accumulators",
)  # fmt: skip


def behaves(one: dict[str, Any]) -> Difference | None:
    return difference(one, DESIGN, NETWORK, all_vectors(NETWORK), 1)


def test_a_design_that_computes_its_network_shows_no_difference() -> None:
    assert behaves(wires()) is None and behaves(wires(4)) is not None  # it has room for more than the design says


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another function": (lambda m: m["ports"]["out0_TDATA"]["bits"].reverse(), "another result"),
    "no stalls": (lambda m: m["cells"]["d2"]["connections"].update(S=["1"]), "another result|went away"),
    "a result too many": (lambda m: m["ports"]["out0_TVALID"].update(bits=["1"]), "without an input"),
    "nothing comes out": (lambda m: m["ports"]["out0_TVALID"].update(bits=["0"]), "room for|only 0 of 8"),
    "no reset": (lambda m: m["cells"]["c2"]["connections"].update(A=["1"]), "without an input|another result|only"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_design_that_does_not_shows_one(name: str) -> None:
    change, message = CHANGES[name]
    one = wires()
    change(one["modules"]["m"])
    shown = behaves(one)
    assert shown is not None
    assert any(part in shown.what for part in message.split("|"))


def test_faults_of_all_kinds_are_drawn_and_a_seed_gives_the_same() -> None:
    one = wires()
    one["modules"]["m"]["cells"]["t"] = {
        "type": "LUT2", "parameters": {"INIT": "0110"}, "connections": {"I0": [400], "I1": [401], "O": [600]},
        "attributes": {"src": "/some/where/u_l0.v:12.3-14.4"},
    }  # fmt: skip
    drawn = [faults.faulty(one, seed) for seed in range(80)]
    # In so small a design there is no constant that is indexed, no repeated sign, and no cell with a reset pin.
    assert {fault.kind for fault, _ in drawn} == set(faults.FAULTS) - {"memory word", "sign extension", "reset"}
    assert all(fault.change and other != one for fault, other in drawn)
    assert faults.faulty(one, 7) == drawn[7]
    assert {fault.line for fault, _ in drawn if fault.cell == "t"} == {"u_l0.v:12"}
    with pytest.raises(ValueError, match="no fault fits"):
        faults.faulty({"modules": {"m": {"cells": {}}}}, 1)


@pytest.mark.parametrize(("cell", "kind", "change"), [
    (("$shiftx", {}, {"A": ["0"], "B": [3], "Y": [4]}), "memory word", "A[0] became 1"),
    (("$add", {}, {"A": [3, 3], "B": ["0", "0"], "Y": [4, 5]}), "sign extension", "A[1], a repeated sign, became 0"),
    (("FDRE", {}, {"C": [CLOCK], "D": [3], "R": ["0"], "CE": ["1"], "Q": [4]}), "reset", "R reads a[0]"),
    (("FDRE", {}, {"C": [CLOCK], "D": [3], "R": ["0"], "CE": ["1"], "Q": [4]}), "operator", "FDRE became FDSE"),
    (("TRELLIS_FF", {}, {"CLK": [CLOCK], "DI": [3], "CE": [MOVE], "Q": [4]}), "register left out", "the register of"),
    (("TRELLIS_FF", {}, {"CLK": [CLOCK], "DI": [3], "CE": [MOVE], "Q": [4]}), "enable", "CE became"),
    (("CCU2C", {"INIT0": "01"}, {"A0": [3], "S0": [4]}), "LUT entry", "INIT0["),
])  # fmt: skip
def test_a_fault_says_what_it_changed(cell: Cell, kind: str, change: str) -> None:
    one = content({"a": [3]}, {"y": [4]}, [cell])["modules"]["m"]
    assert faults.FAULTS[kind](one["cells"]["c0"], one, np.random.default_rng(1)).startswith(change)


def test_networks_to_plant_faults_in_have_as_many_inputs_as_can_all_be_simulated() -> None:
    graphs = {name: make() for name, make in proof_networks.BASES.items()}
    assert sorted(len(all_vectors(one)) for one in graphs.values()) == [64, 4096, 4096, 32768, 65536]
    rare = graphs["rare levels"]
    node = next(one for one in rare.nodes if one.kind == "requantizer")
    highest = rare.node_ranges[node.sources[0]].high
    assert (node.function.thresholds[1:, -1] == highest[1:]).all()  # type: ignore[attr-defined]


def test_random_networks_are_chains_and_branches_of_vectors() -> None:
    chain, branches = proof_networks.random_network(1, 1), proof_networks.random_network(2, 1)
    assert chain.is_chain and all(shape.positions == 1 for shape in branches.shapes.values())
    joined = proof_networks.branching(1, 3, Numbers(3, 3, 3), ("concat", "residual", "again"))
    assert {"concat", "sum"} <= {node.kind for node in joined.nodes}


def line(number: int, word: str, *, same: bool, missed: bool = False) -> dict[str, Any]:
    return {
        "number": number, "base": "chain", "board": "pynq-z2", "side": "Verilog", "kind": "constant", "module": "m",
        "cell": "c", "type": "$add", "line": "l0.v:7", "change": "A[0] became 1", "word": word, "why": "of this",
        "inputs": 64, "same": same, "missed": missed, "shown": "" if same else "another result", "input": [1, 2],
        "s": 60.0,
    }  # fmt: skip


def test_what_is_there_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(proofs, "base", lambda name, board, folder: (name, board))
    monkeypatch.setattr(proofs, "mutation", lambda one, number, place: asked.append(number) or {"number": number})
    monkeypatch.setattr(proofs, "network", lambda number: asked.append(number) or {"number": number})
    results = tmp_path / "mutations.jsonl"
    results.write_text('{"number": 3}\n')
    assert len(list(proofs.mutations(results, tmp_path, 12))) == 11 and sorted(asked) == [0, 1, 2, *range(4, 12)]
    asked.clear()
    assert [one["number"] for one in proofs.networks(results, 5)] == asked == [1, 2, 4, 0]
    results.write_text('{"width": 8}\n{"width": 16, "stopped": "not ended", "limit_s": 5}\n')
    monkeypatch.setattr(proofs, "within", lambda limit_s, work, width: {"of": width})
    assert [one["width"] for one in proofs.sizes(results, 3, 5)] == [24]
    assert [one["width"] for one in proofs.sizes(results, 3, 6)] == [16, 24]


def test_faults_are_tried_in_a_build_until_enough_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line(number, "refuted", same=False, missed=number > 0) for number in range(4)]
    lines[3]["kind"] = "swapped pins"
    (tmp_path / "mutations.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    one, results = SimpleNamespace(subject=SimpleNamespace(network=NETWORK), board="pynq-z2"), tmp_path / "missed.jsonl"
    monkeypatch.setattr(proofs, "base", lambda name, board, folder: one)
    monkeypatch.setattr(proofs, "drawn", lambda one, number: ("netlist", None, number))
    monkeypatch.setattr(proofs, "simulated", lambda number, *_: {"vectors": {"mismatch": "one" if number == 3 else ""}})
    assert [one["number"] for one in proofs.missed(results, tmp_path, 1)] == [1]
    assert [one["number"] for one in proofs.missed(results, tmp_path, 2)] == [1, 3, 2]
    results.write_text('{"number": 1, "vectors": {"mismatch": "one"}}\n{"number": 3, "vectors": {"mismatch": ""}}\n')
    assert not list(proofs.missed(results, tmp_path, 1))
    assert [one["number"] for one in proofs.missed(results, tmp_path, 2)] == [2]


def test_the_page_counts_and_names_what_was_accepted_wrongly_and_what_is_not_proven(tmp_path: Path) -> None:
    parts: dict[str, list[dict[str, Any]]] = {
        "mutations": [line(0, "proven", same=True), line(1, "refuted", same=False, missed=True),
                      line(2, "not proven", same=True), line(3, "proven", same=False)],
        "missed": [{"number": 1, "vectors": {"rows": 2000, "schedules": 5, "mismatch": ""},
                    "single": {"mismatch": "vector 16"}},
                   {"number": 1, "vectors": {"rows": 2000, "mismatch": "1 of 2000"}, "single": {"mismatch": ""}}],
        "networks": [
            {"number": 0, "nodes": ["sum"], "netlist": True, "luts": 9, "words": ["proven"] * 3, "why": [],
             "proof_s": 1.0},
            {"number": 1, "nodes": [], "netlist": False, "luts": 7, "words": ["not proven", "proven"],
             "why": ["too many"], "proof_s": 2.0},
            {"number": 2, "nodes": [], "netlist": False, "refused": "too large"},
        ],
        "sizes": [
            {"width": 8, "luts": 1234, "adders": 9, "made_s": 3, "proof_s": 4, "proof_cpu_s": 5, "mbytes": 66,
             "words": ["proven"] * 3, "why": []},
            {"width": 16, "stopped": "not ended within 5 s", "limit_s": 5},
        ],
    }  # fmt: skip
    for name, lines in parts.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    proofs_page.write(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "**4 faults, 1 accepted wrongly.** Proofs and simulations took 4 minutes." in page
    assert "| Verilog | constant | 4 | 1 | 1 | 1 | 1 | 1 |" in page
    assert "- Accepted wrongly: chain, pynq-z2, `l0.v:7`: constant in a `$add`: A[0] became 1 (fault 3)" in page
    assert "of 2 faults that change what is computed, all vectors miss 1.\n  The proofs reject 1 of these." in page
    assert "The build's own simulation, of 2 of these faults: it misses 1, and finds 1." in page
    assert "2,000 vectors, 5 schedules: no difference.\n  Input [1, 2]: vector 16. The proof: of this." in page
    assert page.count("The proof: of this.") == 1
    assert "1 of 2 networks are proven, 1 of them with branches, and 1 of 1 netlists." in page
    assert "Of the command's 200 networks 3 were run." in page and "Of the command's 10 sizes 2 were run." in page
    assert "- Network 1 is not proven: too many." in page
    assert "- Network 2 was not generated: too large." in page
    assert "| 8 | 1,234 | 9 | 3 | 4 | 5 | 66 | proven |" in page
    assert "| 16 |  |  |  |  |  |  | not proven: not ended within 5 s |" in page
    assert "![time and memory" in page and "<svg" in (tmp_path / "page.svg").read_text()
    assert json.loads((tmp_path / "page.json").read_text())["accepted wrongly"][0]["number"] == 3


def test_a_page_without_results_says_so(tmp_path: Path) -> None:
    proofs_page.write(tmp_path, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text().count("Not run.") == 2


def test_the_page_of_the_docs_is_that_of_its_summary() -> None:
    page = ROOT / "docs" / "proofs-measured.md"
    assert (
        proofs_page.page(json.loads(page.with_suffix(".json").read_text()), "proofs-measured.svg") == page.read_text()
    )


@pytest.mark.slow
def test_faulty_hardware_is_simulated_as_a_build_would(tmp_path: Path) -> None:
    subject = proof_networks.subject(small_chain([[[1, -1]]], []), tmp_path, mapped=False)
    one = reading.elaborated(subject.sources, (), subject.design.top, tmp_path)["flat"]
    vectors = all_vectors(subject.network)
    right = simulated(one, subject, "pynq-z2", False, vectors, [3], tmp_path)
    assert right["vectors"] == {"rows": 8, "schedules": 5, "mismatch": ""} and not right["single"]["mismatch"]
    one["modules"][subject.design.top]["ports"]["out0_TDATA"]["bits"][0] = "0"
    wrong = simulated(one, subject, "pynq-z2", False, vectors, [3], tmp_path)
    assert all("differ" in wrong[name]["mismatch"] for name in ("vectors", "single"))
