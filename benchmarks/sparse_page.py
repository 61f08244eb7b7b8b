# SPDX-License-Identifier: Apache-2.0
"""The docs page of `sparse.py`: its results as tables, with all that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qap2fpga.hw.boards import Board

TITLES = {
    "jets": "jets, 16-64-32-32-5, 6 bits (examples/jets-6b-80pruned.pt)",
    "digits": "digits, 784-128-128-10, 4 bits",
    "stack": "CNV of a quarter of the channels, 32x32x3, six convolutions, 128-128-10, 4 bits",
}
HEADS = (
    "zeros", "units", "cycles", "multipliers", "LUT (expected)", "FF", "DSP", "BRAM18", "cost", "multipliers", "cost",
)  # fmt: skip
INTRODUCTION = """\
# Zeros that cost nothing when layers are folded

FINN's matrix units multiply every weight, those that pruning set to zero too. The finn backend has another one,
`flows/finn/qap_sparse.sv`, which multiplies only those that are left:

    qap2fpga build examples/jets-6b-80pruned.pt --board pynq-z2

- **A schedule** is found at build time. A *lane* is a multiplier; in each cycle of the schedule, a *slot*, it gets a
  weight and the place of its input. Inputs lie in *banks*, one for each lane of an output, so that no two lanes of an
  output read the same memory; a search moves inputs between banks until the lanes are busy most of the time. A checker
  that shares nothing with the search goes through every schedule before it is written.
- **A multiplier** is LUTs: for 8 bits and less they cost less of any board than a DSP does. Sums are as wide as they
  need to be. Weights and places are a read-only memory, in logic, or in block RAM where that costs less.
- **Predictions** have [a calibration](calibration/finn-sparse.md) of their own, of 55 random pruned networks: LUTs of
  the 19 that were not fitted were 5.1 % off on average (largest 14 %), FFs 3.2 %; DSPs and block RAMs were exact
  in all, cycles in the 11 that were simulated.
- `--sparse auto`, the default, takes the unit for each layer with at least half zeros for which the estimate is lower;
  `always` for all, `never` for none.
- The report lists, for each such layer, its products, those that are not zero, cycles, multipliers, which part of them
  is used, and what zeros saved.

## Measured

This page is written by one command, which continues where it was stopped:

    python -m benchmarks.sparse benchmarks/sparse.jsonl --page docs/sparse.md

Each pair of designs was asked for the same cycles per frame at most (64; 392; 20,000) on a {board}, and simulated in
Verilator with some twenty frames and more, equal to the integer network on all of them; cells are Yosys' after
synthesis. Weights of all but the jet network are drawn, so nothing is said of accuracy. *Cost* is LUTs and DSPs
together, a DSP as {lut} LUTs: as many as the board has for each. *Balanced* weights are spread evenly: one in every
five inputs of an output. The LUTs in brackets were expected before calibration. `auto` makes the same designs as
`always` of all of these.

The aims, as parts of what FINN's units take: at 80 % zeros at most 0.35 of the multipliers and 0.6 of the cost,
balanced 0.25 and 0.5, at 95 % 0.1 of the multipliers. The balanced stack misses its own for multipliers (0.26), since
lanes come in steps.
"""
PRUNING = """\
### Pruning that fits

The jet network, 16-64-32-32-5 at 6 bits, trained and pruned by `qap2fpga train` to 75 %: `global` ranks all weights
together, `layer` those of each layer, `balanced` keeps as many of what each of four lanes reads of a neuron (`scope`,
`lanes`: [training](training.md)). Means of two seeds; accuracy on the test rows of `examples/jets.npz`. *Used* is the
part of multipliers times cycles in which there is a product. Made by

    python -m benchmarks.sparse_pruning benchmarks/sparse_pruning.jsonl
"""


def page(lines: Sequence[Mapping[str, Any]], pruned: Sequence[Mapping[str, Any]], board: Board) -> str:
    """Return the page for the `lines` of the results, and of networks `pruned` in several ways."""
    price = board.available("lut") / board.available("dsp")
    head = INTRODUCTION.format(board=board.name, lut=f"{price:.0f}")
    measured = [line for line in lines if "case" in line]
    fastest = [line for line in lines if "fastest" in line]
    return "\n".join([head, *_networks(measured, price), *_fastest(fastest), *_pruned(pruned)])


def _fastest(lines: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield "### The fastest design that is predicted to fit\n"
    yield (
        "Not more than 70 % of each resource; expected before calibration, not measured. `auto` against `never`.\n"
        "The aim was three times as fast at 80 % zeros: the digits are, the jets and the stack are not.\n"
    )
    yield "| network | zeros | cycles per frame, FINN's units | cycles, auto | times as fast | LUT | DSP | BRAM18 |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for line in lines:
        case = line["fastest"]
        if case["sparse"] == "never":
            dense = line
            continue
        cells = " | ".join(
            f"{dense['predicted'][key]:,} → {line['predicted'][key]:,}" for key in ("lut", "dsp", "bram18")
        )
        times = f"{dense['interval'] / line['interval']:.1f}"
        yield (
            f"| {case['network']} | {case['zeros']:g} % | {dense['interval']:,} | {line['interval']:,} | {times} "
            f"| {cells} |"
        )
    yield ""


def _pruned(lines: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if not lines:
        return
    yield PRUNING
    yield "| pruned | accuracy (seeds) | zeros | cycles | multipliers | used | LUT | FF | BRAM18 |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    scopes = dict.fromkeys(line["scope"] for line in lines)
    for number in range(len(lines[0]["designs"])):
        for scope in scopes:
            of_it = [line for line in lines if line["scope"] == scope]
            accuracy = [line["accuracy"] for line in of_it]
            designs = [line["designs"][number] for line in of_it]
            used = [one["nonzeros"] / (one["multipliers"] * one["cycles"][0]) for one in designs]
            cells = [_mean([one["measured"][name] for one in designs]) for name in ("lut", "ff", "bram18")]
            ends = f"{_mean(accuracy):.2%} ({min(accuracy):.2%} to {max(accuracy):.2%})"
            row = [
                scope, ends, f"{_mean([line['sparsity'] for line in of_it]):.1%}",
                f"{_mean([one['cycles'][0] for one in designs]):.0f}",
                f"{_mean([one['multipliers'] for one in designs]):.1f}", f"{_mean(used):.0%}",
                *(f"{cell:,.0f}" for cell in cells),
            ]  # fmt: skip
            yield f"| {' | '.join(row)} |"
    yield ""


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _networks(lines: Sequence[Mapping[str, Any]], price: float) -> Iterable[str]:
    for name, title in TITLES.items():
        of_it = [line for line in lines if line["case"]["network"] == name]
        if not of_it:
            continue
        yield f"### {title}\n"
        yield f"| {' | '.join(HEADS)} |"
        yield "| --- | --- |" + " ---: |" * (len(HEADS) - 2)
        dense = {line["case"]["zeros"]: line for line in of_it if line["case"]["sparse"] == "never"}
        for line in sorted(of_it, key=_order):
            yield _row(line, dense[line["case"]["zeros"]], price)
        yield ""


def _order(line: Mapping[str, Any]) -> tuple[float, bool, bool]:
    case = line["case"]
    return case["zeros"], case["balanced"], case["sparse"] != "never"


def _row(line: Mapping[str, Any], dense: Mapping[str, Any], price: float) -> str:
    case, cells = line["case"], line["measured"]
    zeros = f"{100 - 100 * line['nonzeros'] / line['weights']:.0f} %" + ", balanced" * case["balanced"]
    units = "FINN's" if case["sparse"] == "never" else "sparse"
    numbers = [
        f"{line['cycles'][0]:,.0f}", f"{line['multipliers']:,}",
        f"{cells['lut']:,} ({line['predicted']['lut']:,})", *(f"{cells[key]:,}" for key in ("ff", "dsp", "bram18")),
        f"{_cost(line, price):,.0f}",
    ]  # fmt: skip
    ratios = ["", ""]
    if case["sparse"] != "never":
        ratios = [
            f"{line['multipliers'] / dense['multipliers']:.2f} of FINN's",
            f"{_cost(line, price) / _cost(dense, price):.2f} of FINN's",
        ]
    return f"| {' | '.join([zeros, units, *numbers, *ratios])} |"


def _cost(line: Mapping[str, Any], price: float) -> float:
    cells = line["measured"]
    return float(cells["lut"] + price * cells["dsp"])
