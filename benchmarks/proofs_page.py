# SPDX-License-Identifier: Apache-2.0
"""The docs page of `proofs.py`: its results, summed up in a JSON file beside the page, as tables and a figure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import proof_networks
from qap2fpga.prove.certificate import Word
from qap2fpga.system.files import read_json_lines, write_atomically

Line = Mapping[str, Any]
INTRODUCTION = """\
# Proofs, measured

What the [proofs](proofs.md) make of faults, which networks they go through for, and how long they take. This page is
written by one command, which continues where it was stopped:

    python -m benchmarks.proofs FOLDER --page docs/proofs-measured.md

Everything is drawn from fixed seeds, so others get the same networks and the same faults.
"""
FAULTS = """\
## Single faults

Each fault is one change in the Verilog as Yosys reads it, or in the mapped netlist: another operator, a constant, a bit
of a table that is read by index (memory word), the bit beside the right one (bit index), a sign that is not repeated,
an entry of a LUT, two pins swapped, a register left out, an enable that is a constant, another reset.

Every fault is tried with the proofs. A simulator that shares no code with them then runs the faulty hardware for
**every input that there is**, in streams with gaps, stalls and resets, and compares with the integer network. A fault
is *accepted* where everything is still proven. That is right where the hardware still computes the same; where the
simulator sees a difference, it would be an error of the proofs.
"""
VECTORS = """\
### What the vectors of a build miss

The same simulator first ran only as many vectors as a build does: the extremes and 2,000 others, here all random, in
the same streams. A build runs them on its Verilog; on a netlist it runs about an eighth of them.
"""
SHOWN = """\
Some of these were written as Verilog again and simulated by the build's own testbench in Verilator: first with all
vectors under all schedules, in their own order, then with the one input at which the fault shows.
"""
NETWORKS = """\
## Random networks

Dense chains as the calibration's, and networks with sums and concatenations of branches, drawn in every width from 1
to 8 bits. From each, Verilog is generated and proven to be the network, with its handshake; of every fifth, for 7
series or ECP5, the mapped netlist too.
"""
SIZES = """\
## Time and memory

16 inputs, two hidden layers of the stated width, 5 classes; 6 bits, 80 % of the weights pruned; for 7 series. LUTs are
those of the netlist. One process on a machine of two cores that did much other work, so *computing* (CPU time, ABC's
included) says more than the time that went by. A size that did not end in its time was not proven, and is said to.
"""


def write(folder: Path, page_file: Path) -> None:
    """Write the page of the results in `folder`, its summary and its figure."""
    sums = summary(folder)
    write_atomically(page_file.with_suffix(".json"), json.dumps(sums, indent=1) + "\n")
    if sums["sizes"]:
        _plot(sums["sizes"], page_file.with_suffix(".svg"))
    write_atomically(page_file, page(sums, page_file.with_suffix(".svg").name))


def summary(folder: Path) -> dict[str, Any]:
    """Return the numbers of the page."""
    lines = {part: read_json_lines(folder / f"{part}.jsonl") for part in ("mutations", "missed", "networks", "sizes")}
    faults = lines["mutations"]
    by_number = {line["number"]: line for line in faults}
    sizes = {line["width"]: {key: line[key] for key in line if key != "steps"} for line in lines["sizes"]}
    return {
        "faults": {side: {kind: _counted([one for one in faults if (one["side"], one["kind"]) == (side, kind)])
                          for kind in sorted({one["kind"] for one in faults if one["side"] == side})}
                   for side in ("Verilog", "netlist")},
        "bases": [{"base": base, "board": board, "inputs": inputs, "faults": count} for (base, board, inputs), count
                  in Counter((one["base"], one["board"], one["inputs"]) for one in faults).items()],
        "accepted wrongly": [one for one in faults if _accepted(one) and not one["same"]],
        "seconds": round(sum(one["s"] for one in faults)),
        "missed": [{**by_number[one["number"]], **one} for one in lines["missed"]],
        "networks": _networks(lines["networks"]),
        "sizes": [sizes[width] for width in sorted(sizes)],
    }  # fmt: skip


def _accepted(line: Line) -> bool:
    return line["word"] == Word.PROVEN


def _counted(lines: Sequence[Line]) -> dict[str, int]:
    """Return what became of some faults."""
    return {
        "faults": len(lines),
        "rejected": sum(not _accepted(one) and not one["same"] for one in lines),
        "refuted": sum(one["word"] == Word.REFUTED for one in lines),
        "accepted": sum(_accepted(one) and one["same"] for one in lines),
        "needlessly": sum(not _accepted(one) and one["same"] for one in lines),
        "wrongly": sum(_accepted(one) and not one["same"] for one in lines),
        "missed": sum(one["missed"] for one in lines),
        "missed, rejected": sum(one["missed"] and not _accepted(one) for one in lines),
    }


def _networks(lines: Sequence[Line]) -> dict[str, Any]:
    tried = [one for one in lines if "refused" not in one]
    whole = [one for one in tried if set(one["words"]) == {Word.PROVEN}]
    return {
        "drawn": len(lines), "tried": len(tried), "proven": len(whole),
        "netlists": sum(one["netlist"] for one in tried),
        "netlists proven": sum(one["netlist"] and len(one["words"]) == 3 for one in whole),
        "branches": sum(bool({"sum", "concat"} & set(one["nodes"])) for one in whole),
        "luts": [one["luts"] for one in tried],
        "median_s": median(one["proof_s"] for one in tried) if tried else 0,
        "why": [{"number": one["number"], "why": one["why"][0]} for one in tried if one not in whole],
        "refused": [{"number": one["number"], "why": one["refused"]} for one in lines if "refused" in one],
    }  # fmt: skip


def page(sums: Mapping[str, Any], figure: str) -> str:
    """Return the page; `figure` is the file of its figure."""
    parts = [INTRODUCTION, *_faults(sums), *_missed(sums), NETWORKS, *_drawn(sums["networks"]), "", SIZES,
             *_sizes(sums["sizes"], figure), ""]  # fmt: skip
    return "\n".join(parts)


def _faults(sums: Mapping[str, Any]) -> Iterable[str]:
    yield FAULTS
    rows = [row for side in sums["faults"].values() for row in side.values()]
    count, wrongly = (sum(row[key] for row in rows) for key in ("faults", "wrongly"))
    minutes = sums["seconds"] // 60
    yield f"**{count:,} faults, {wrongly} accepted wrongly.** Proofs and simulations took {minutes} minutes."
    yield ""
    yield "| network | board | inputs | faults |"
    yield "| --- | --- | ---: | ---: |"
    for one in sums["bases"]:
        yield f"| {one['base']} | {one['board']} | {one['inputs']:,} | {one['faults']:,} |"
    yield ""
    keys = {"faults": "faults", "rejected": "rejected", "refuted": "by an input", "accepted": "accepted, the same",
            "needlessly": "rejected, the same", "wrongly": "accepted wrongly"}  # fmt: skip
    yield f"| in | fault | {' | '.join(keys.values())} |"
    yield f"| --- | --- | {' | '.join('---:' for _ in keys)} |"
    for side, kinds in sums["faults"].items():
        for kind, row in kinds.items():
            yield f"| {side} | {kind} | {' | '.join(f'{row[key]:,}' for key in keys)} |"
    yield f"| all | | {' | '.join(f'{sum(row[key] for row in rows):,}' for key in keys)} |"
    yield ""
    yield "*By an input*: refuted by an input that shows it. *Rejected, the same*: the hardware still computes the same"
    yield "for every input, but is not built as the proof asks: a register that changes while nothing moves, say."
    yield ""
    for one in sums["accepted wrongly"]:
        yield f"- Accepted wrongly: {_named(one)}"


def _named(line: Line) -> str:
    """Return a fault as people name it."""
    return (
        f"{line['base']}, {line['board']}, `{line['line']}`: {line['kind']} in a `{line['type']}`: {line['change']}"
        f" (fault {line['number']})"
    )


def _missed(sums: Mapping[str, Any]) -> Iterable[str]:
    yield VECTORS
    for side, kinds in sums["faults"].items():
        rejected, wrongly, missed, caught = (
            sum(row[key] for row in kinds.values()) for key in ("rejected", "wrongly", "missed", "missed, rejected")
        )
        wrong = rejected + wrongly
        yield f"- {side}: of {wrong:,} faults that change what is computed, all vectors miss {missed:,}."
        yield f"  The proofs reject {caught:,} of these."
    if not sums["missed"]:
        yield ""
        return
    yield ""
    yield SHOWN
    passed = [one for one in sums["missed"] if not one["vectors"]["mismatch"]]
    tried, missed = len(sums["missed"]), len(passed)
    yield f"The build's own simulation, of {tried} of these faults: it misses {missed}, and finds {tried - missed}."
    yield ""
    for one in passed:
        vectors, wrong = one["vectors"], one["single"]["mismatch"]
        yield f"- {_named(one)}. {vectors['rows']:,} vectors, {vectors['schedules']} schedules: no difference."
        wrong = wrong or "no difference without the inputs before it"
        yield f"  Input {one['input']}: {wrong}. The proof: {one['why']}."
    yield ""


def _drawn(drawn: Mapping[str, Any]) -> Iterable[str]:
    if not drawn["drawn"]:
        yield "Not run."
        return
    yield f"Of the command's {proof_networks.NETWORKS} networks {drawn['drawn']} were run."
    yield (
        f"{drawn['proven']} of {drawn['tried']} networks are proven, {drawn['branches']} of them with branches, "
        f"and {drawn['netlists proven']} of {drawn['netlists']} netlists."
    )
    if drawn["luts"]:
        yield (
            f"They are expected to take {min(drawn['luts']):,} to {max(drawn['luts']):,} LUTs; "
            f"the median time of a proof was {drawn['median_s']:.1f} s."
        )
    yield ""
    yield from (f"- Network {one['number']} is not proven: {one['why']}." for one in drawn["why"])
    yield from (f"- Network {one['number']} was not generated: {one['why']}." for one in drawn["refused"])


def _sizes(sizes: Sequence[Line], figure: str) -> Iterable[str]:
    if not sizes:
        yield "Not run."
        return
    yield f"Of the command's {len(proof_networks.SIZES)} sizes {len(sizes)} were run."
    yield ""
    ended = [one for one in sizes if "proof_s" in one]
    if ended:
        most = max(ended, key=lambda one: one["luts"])
        alt = (f"time and memory of the proofs against LUTs: up to {most['proof_cpu_s']:,.0f} s of computing and "
               f"{most['mbytes']:,} MB at {most['luts']:,} LUTs")  # fmt: skip
        yield f"![{alt}]({figure})"
        yield ""
    yield "| width | LUTs | adders | generate and map, s | proofs, s | computing, s | MB | |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for one in sizes:
        cells = " | ".join("" if one.get(key) is None else f"{one[key]:,.0f}"
                           for key in ("luts", "adders", "made_s", "proof_s", "proof_cpu_s", "mbytes"))  # fmt: skip
        yield f"| {one['width']} | {cells} | {_outcome(one)} |"


def _outcome(line: Line) -> str:
    if "stopped" in line:
        return f"not proven: {line['stopped']}"
    return "proven" if set(line["words"]) == {Word.PROVEN} else f"not proven: {line['why'][0]}"


def _plot(sizes: Sequence[Line], path: Path) -> None:
    """Draw time and memory against LUTs."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    ended = [one for one in sizes if "proof_s" in one]
    with matplotlib.rc_context({"svg.hashsalt": "qap2fpga", "svg.fonttype": "none"}):
        figure, panels = pyplot.subplots(1, 2, figsize=(10, 4))
        for panel, key, label in zip(panels, ("proof_cpu_s", "mbytes"), ("computing, s", "memory, MB"), strict=True):
            panel.loglog([one["luts"] for one in ended], [one[key] for one in ended], "o-", ms=4)
            panel.set(xlabel="LUTs of the netlist", ylabel=label)
            panel.grid(visible=True, which="major", color="0.9")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
