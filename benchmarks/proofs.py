# SPDX-License-Identifier: Apache-2.0
"""How good the proofs are: what they make of faults, which networks they go through for, and how long they take.

    python -m benchmarks.proofs FOLDER [--parts mutations,missed,networks,sizes] [--mutations 1000] [--networks 200]
        [--sizes 10] [--limit SECONDS] [--page docs/proofs-measured.md]

- `mutations`: single faults in Verilog and in netlists of small networks. Each is tried with the proofs, and simulated
  for all inputs by a program that shares nothing with them; and with as many vectors as a build has.
- `missed`: some faults that no such vector shows, once more with the simulation of a build.
- `networks`: random networks, proven from end to end.
- `sizes`: time and memory for networks of growing size.

Results are lines of JSON in FOLDER. What is there is not done again, so a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import faults, proof_networks, proofs_page
from benchmarks.behaviour import all_vectors, difference
from benchmarks.tiny import within
from benchmarks.written import simulated
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.prove import reading
from qap2fpga.prove.attempts import Attempt
from qap2fpga.prove.certificate import Claim, Word
from qap2fpga.prove.run import CLOCK, Subject, prove_reading
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import append_json, read_json_lines, write_atomically

SEED = 2026
# A build has so many recorded vectors, and as many random ones, at most; here all are random. And the extremes.
VECTORS = 2000
SIDES = {"Verilog": "flat", "netlist": "netlist"}
# Where the netlist alone changes, the Verilog is not proven again: a module without anything in it is refused at once.
NOTHING = {"ports": {CLOCK: {"direction": "input", "bits": [2]}}, "cells": {}, "netnames": {}}
# Streams of a simulation: many where there are many inputs.
STREAMS, MANY_STREAMS = 256, 4096
# Every so many random networks, the netlist is proven, too.
MAPPED = 5
FOLDERS = re.compile(r"/\S*/(?=[^/\s]+\.v\b)")
Line = dict[str, Any]


@dataclass(frozen=True)
class Base:
    """A network to plant faults in: its name, its design, and what Yosys reads of it."""

    name: str
    board: str
    subject: Subject
    contents: dict[str, Any]


def base(name: str, board: str, folder: Path) -> Base:
    """Return a base, which stays in `folder`. Raises `CheckFailed` where it is not proven."""
    place = (folder / f"{name}-{board}".replace(" ", "-")).resolve()
    kept = place / "base.pickle"
    if kept.is_file():
        return pickle.loads(kept.read_bytes())
    subject = proof_networks.subject(proof_networks.BASES[name](), place, board)
    contents = reading.elaborated(subject.sources, subject.netlist, subject.design.top, place)
    claims = proven(subject, contents, place, 60)
    if not all(one.word is Word.PROVEN for one in claims):
        raise CheckFailed(f"{name} for {board}: {[one.detail for one in claims]}")
    whole = Base(name, board, subject, contents)
    write_atomically(kept, pickle.dumps(whole))
    return whole


def attempts(subject: Subject, contents: dict[str, Any], place: Path, limit_s: float) -> list[Attempt]:
    """Return the proofs of a design that Yosys reads as `contents`."""
    return prove_reading(subject, reading.Reading(contents, subject.design.top), place, limit_s)


def proven(subject: Subject, contents: dict[str, Any], place: Path, limit_s: float) -> list[Claim]:
    """Return what comes of the proofs of a design that Yosys reads as `contents`."""
    return [one.claim for one in attempts(subject, contents, place, limit_s)]


def vectors(network: Graph) -> np.ndarray:
    """Return as many vectors as a build has."""
    return np.concatenate([extremes(network), random_vectors(network, VECTORS, SEED)])


def drawn(one: Base, number: int) -> tuple[str, faults.Fault, dict[str, Any]]:
    """Return the fault `number` of a base: in the Verilog or in the netlist, and what is read then."""
    side = list(SIDES)[number // len(bases()) % 2]
    fault, faulty = faults.faulty(one.contents[SIDES[side]], SEED + number)
    return side, fault, faulty


def bases() -> list[tuple[str, str]]:
    """Return the bases' names and boards."""
    return [(name, board) for name in proof_networks.BASES for board in proof_networks.BOARDS]


def mutation(one: Base, number: int, place: Path) -> Line:
    """Return what the proofs make of a fault, and what simulations do."""
    side, fault, faulty = drawn(one, number)
    network, design = one.subject.network, one.subject.design
    if side == "netlist":
        flat = {"modules": {design.top: NOTHING}}
        claims = proven(one.subject, {**one.contents, "flat": flat, "netlist": faulty}, place, 60)[2:]
    else:
        claims = proven(one.subject, {"flat": faulty}, place, 60)[:2]
    bad = next((claim for claim in claims if claim.word is not Word.PROVEN), None)
    every = all_vectors(network)
    wrong, missed = difference(faulty, design, network, vectors(network), number, STREAMS), False
    if wrong is None:
        wrong = difference(faulty, design, network, every, number, MANY_STREAMS if len(every) > STREAMS else STREAMS)
        missed = wrong is not None
    return {
        "number": number, "base": one.name, "board": one.board, "side": side, **asdict(fault),
        "word": bad.word if bad else Word.PROVEN, "why": bad.detail if bad else "", "inputs": len(every),
        "same": wrong is None, "missed": missed, "shown": wrong.what if wrong else "",
        "input": list(wrong.vector) if wrong else [],
    }  # fmt: skip


def mutations(results: Path, folder: Path, count: int) -> Iterator[Line]:
    """Yield the faults that are not in `results` yet."""
    done = {line["number"] for line in read_json_lines(results)}
    every = bases()
    for place, (name, board) in enumerate(every):
        missing = [number for number in range(place, count, len(every)) if number not in done]
        one = base(name, board, folder) if missing else None
        with tempfile.TemporaryDirectory() as scratch:
            for number in missing:
                assert one is not None
                yield mutation(one, number, Path(scratch))


def missed(results: Path, folder: Path, count: int) -> Iterator[Line]:
    """Yield what a build's own simulation says of faults that no vector showed, until it misses `count`, too."""
    known = read_json_lines(results)
    done, left = {line["number"] for line in known}, count - sum(_passes(line) for line in known)
    lines = [line for line in read_json_lines(results.with_name("mutations.jsonl")) if line["missed"] and line["input"]]
    # Of each kind one first.
    lines.sort(key=lambda line: line["number"])
    kinds = {(line["side"], line["kind"]): line["number"] for line in reversed(lines)}
    for line in sorted(lines, key=lambda line: line["number"] not in kinds.values()):
        if left > 0 and line["number"] not in done:
            one = base(line["base"], line["board"], folder)
            side, _, faulty = drawn(one, line["number"])
            with tempfile.TemporaryDirectory() as scratch:
                result = {"number": line["number"],
                          **simulated(faulty, one.subject, one.board, side == "netlist",
                                      vectors(one.subject.network), line["input"], Path(scratch))}  # fmt: skip
            left -= _passes(result)
            yield result


def _passes(line: Line) -> bool:
    return not line["vectors"]["mismatch"]


def network(number: int) -> Line:
    """Return what becomes of a random network: generated, proven, and its netlist, too, of some."""
    graph, begin = proof_networks.random_network(number, SEED), time.monotonic()
    mapped = number % MAPPED == 0
    line: Line = {"number": number, "nodes": [node.kind for node in graph.nodes], "netlist": mapped}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        board = proof_networks.BOARDS[number // MAPPED % len(proof_networks.BOARDS)]
        try:
            subject = proof_networks.subject(graph, place, board, mapped=mapped)
            contents = reading.elaborated(subject.sources, subject.netlist, subject.design.top, place)
        except QapError as error:
            return {**line, "board": board, "refused": error.message}
        made_s, begin = time.monotonic() - begin, time.monotonic()
        claims = proven(subject, contents, place, 60)[: 3 if mapped else 2]
        return {
            **line, "board": board, "luts": round(subject.design.estimate["lut"]),
            "words": [one.word for one in claims], "why": [one.detail for one in claims if one.word is not Word.PROVEN],
            "made_s": round(made_s, 2), "proof_s": round(time.monotonic() - begin, 2),
        }  # fmt: skip


def networks(results: Path, count: int) -> Iterator[Line]:
    """Yield the random networks that are not in `results` yet, those without a netlist first: they are quick."""
    done = {line["number"] for line in read_json_lines(results)}
    order = sorted(range(count), key=lambda number: (number % MAPPED == 0, number))
    yield from (network(number) for number in order if number not in done)


def size(width: int, send: Callable[[Line], None]) -> None:
    """Send how long the proofs of a network of this width take, and how much memory."""
    graph = proof_networks.sized(width)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        begin = time.monotonic()
        subject = proof_networks.subject(graph, place, mapped=True)
        send({"made_s": round(time.monotonic() - begin, 1), "expected_luts": round(subject.design.estimate["lut"])})
        contents = reading.elaborated(subject.sources, subject.netlist, subject.design.top, place)
        send(_counted(contents))
        before, begin = _cpu_s(), time.monotonic()
        done = attempts(subject, contents, place, 600)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        send({
            "words": [one.claim.word for one in done],
            "why": [one.claim.detail for one in done if one.claim.word is not Word.PROVEN],
            "proof_s": round(time.monotonic() - begin, 1), "proof_cpu_s": round(_cpu_s() - before, 1),
            "mbytes": peak // 1024, "steps": [str(one) for one in done],
        })  # fmt: skip


def _counted(contents: dict[str, Any]) -> Line:
    """Return the adders of the Verilog and the LUTs of the netlist."""
    kinds = {side: [cell["type"] for module in contents[side]["modules"].values() for cell in module["cells"].values()]
             for side in ("flat", "netlist")}  # fmt: skip
    return {
        "adders": sum(kind in ("$add", "$sub") for kind in kinds["flat"]),
        "luts": sum(kind.startswith("LUT") for kind in kinds["netlist"]),
    }


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def sizes(results: Path, count: int, limit_s: float) -> Iterator[Line]:
    """Yield the sizes that are not in `results` yet, or were stopped there after less time."""
    done = {line["width"] for line in read_json_lines(results) if line.get("limit_s", limit_s) >= limit_s}
    for width in proof_networks.SIZES[:count]:
        if width not in done:
            yield {"width": width, **within(limit_s, size, width)}


def main() -> None:
    """Append what is missing to the results, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", default="mutations,missed,networks,sizes")
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--networks", type=int, default=proof_networks.NETWORKS)
    parser.add_argument("--sizes", type=int, default=len(proof_networks.SIZES))
    parser.add_argument("--missed", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1800, help="seconds for one of the sizes")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    works: dict[str, Callable[[Path], Iterator[Line]]] = {
        "mutations": partial(mutations, folder=asked.folder / "bases", count=asked.mutations),
        "missed": partial(missed, folder=asked.folder / "bases", count=asked.missed),
        "networks": partial(networks, count=asked.networks),
        "sizes": partial(sizes, count=asked.sizes, limit_s=asked.limit),
    }
    for part in filter(None, asked.parts.split(",")):
        results = asked.folder / f"{part}.jsonl"
        results.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        for line in works[part](results):
            # Yosys' names have the files' folders in them.
            text = FOLDERS.sub("", json.dumps({**line, "s": round(time.monotonic() - begin, 2)}))
            append_json(results, json.loads(text))
            print(f"{part}: {text}", file=sys.stderr)
            begin = time.monotonic()
    if asked.page:
        proofs_page.write(asked.folder, asked.page)


if __name__ == "__main__":
    main()
