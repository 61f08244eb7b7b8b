# SPDX-License-Identifier: Apache-2.0
"""How time and memory grow: with the weights of a network, its layers, its images, and how many designs there are.

    python -m benchmarks.growth RESULTS.jsonl [--only NAME] [--limit SECONDS] [--page docs/growth.md]

Each point is one command as a user starts it, without the cache of builds, with all the processes that it starts. It is
a line of RESULTS.jsonl, and is not measured again. Networks are drawn (`growth_networks`), so others get the same.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import cost, growth_networks, growth_page
from qap2fpga.system.files import append_json, read_json_lines

LIMIT_S = 1800.0
BOARD = "zcu102"
# Exit code of a build that came to its end, and of which a check failed: the report says which.
CHECK_FAILED = 1
# A stage's line, as `✓ synthesize: Yosys  6.4 s`.
STAGE = re.compile(r"^✓ (.+?)  ([0-9.]+) s$", re.MULTILINE)
NETLIST = "simulate: gate-level netlist"
# A network of which many are explored, and one whose report is read many times.
SMALL = (16, 16, 8, 5)


@dataclass(frozen=True)
class Family:
    """Commands that differ in one size. `prepare` makes in a folder what a point needs, and gives its command."""

    name: str
    sizes: tuple[int, ...]
    prepare: Callable[[int, Path], tuple[str, ...]]


def built(write: Callable[[int, Path], None], backend: str, *more: str) -> Callable[[int, Path], tuple[str, ...]]:
    """Return what prepares a whole build of the network that `write` writes for a size."""

    def prepare(size: int, folder: Path) -> tuple[str, ...]:
        write(size, folder / "model.pt")
        return ("build", "model.pt", "--backend", backend, "--board", BOARD, "--output", "built", "--no-cache", *more)

    return prepare


def dense(zeros: int, path: Path) -> None:
    """Write the paper's network with so many per cent zeros."""
    growth_networks.chain((16, 64, 32, 32, 5), 6, zeros / 100, path)


def deep(layers: int, path: Path) -> None:
    """Write so many layers of 32 neurons."""
    growth_networks.chain((16, *[32] * layers, 5), 4, 0.8, path)


def wide(width: int, path: Path) -> None:
    """Write a network of digits with two hidden layers of a width."""
    growth_networks.chain((784, width, width, 10), 4, 0.9, path)


def image(side: int, path: Path) -> None:
    """Write a convolutional network over a square image."""
    growth_networks.images(side, 4, 0.5, path)


def planned(channels: int, folder: Path) -> tuple[str, ...]:
    """Write a network of CNV's shape, to be folded."""
    growth_networks.cnv(channels, 2, folder / "model.pt")
    return ("estimate", "model.pt", "--backend", "finn", "--board", "zcu104", "--target-fps", "1000")


def explored(networks: int, folder: Path) -> tuple[str, ...]:
    """Write so many small networks, to be estimated."""
    names = [f"{number}.pt" for number in range(networks)]
    for number, name in enumerate(names):
        growth_networks.chain(SMALL, 4, 0.5, folder / name, seed=number)
    return ("explore", *names, "--backend", "rtl", "--board", BOARD, "--build", "0", "--quiet")


def reported(builds: int, folder: Path) -> tuple[str, ...]:
    """Build a small network once, and lay so many copies of the build beside each other."""
    words = built(lambda size, path: growth_networks.chain(SMALL, 4, 0.5, path), "rtl")(builds, folder)
    cost.of((*cost.PROGRAM, *words), folder, os.environ)
    for number in range(builds):
        shutil.copytree(folder / "built", folder / "builds" / f"b{number}", copy_function=os.link)
    return ("report", "builds", "--html", "all.html")


FAMILIES = (
    Family(growth_page.NONZEROS, (95, 90, 80, 60, 20), built(dense, "rtl")),
    Family(growth_page.LAYERS, (2, 4, 8, 16, 32, 64), built(deep, "rtl")),
    Family(growth_page.IMAGES_RTL, (8, 16, 32, 64), built(image, "rtl")),
    Family(growth_page.IMAGES_FINN, (8, 16, 32, 64), built(image, "finn", "--sparse", "never")),
    Family(growth_page.CNV, (8, 16, 32, 64), planned),
    Family(growth_page.REPORTS, (10, 50, 200, 500, 2000), reported),
    Family(growth_page.DESIGNS, (1, 10, 30, 100, 300), explored),
    Family(growth_page.WIDE_RTL, (16, 32, 64, 128), built(wide, "rtl")),
    Family(
        growth_page.WIDE_FINN, (16, 32, 64, 128), built(wide, "finn", "--sparse", "never", "--target-fps", "250000")
    ),
)


def measure(family: Family, size: int, limit_s: float) -> dict[str, Any]:
    """Return what a point took, or why it did not end."""
    line: dict[str, Any] = {"family": family.name, "size": size}
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as name:
        folder = Path(name)
        words = family.prepare(size, folder)
        try:
            code, taken, said = cost.of((*cost.PROGRAM, *words), folder, os.environ, limit_s)
        except subprocess.TimeoutExpired:
            return line | {"stopped": f"not within {limit_s:g} s"}
        if code not in (0, CHECK_FAILED):
            return line | {"stopped": next(text for text in said.splitlines() if text.startswith("qap2fpga: "))}
        line |= {name: round(value, 2) for name, value in asdict(taken).items()}
        return line | {"stages": stages(said), **facts(folder / "built" / "report.json")}


def stages(said: str) -> dict[str, float]:
    """Return the seconds of the stages of a build that printed `said`."""
    times = {name: float(seconds) for name, seconds in STAGE.findall(said)}
    return {"netlist" if name == NETLIST else name.partition(":")[0]: seconds for name, seconds in times.items()}


def facts(report: Path) -> dict[str, Any]:
    """Return what a build says of its network and its hardware."""
    if not report.is_file():
        return {}
    content: Mapping[str, Any] = json.loads(report.read_text())
    nonzeros = sum(layer["hardware"]["nonzeros"] for layer in content["model"]["layers"])
    failed = [check["name"] for check in content["checks"] if check["outcome"] == "failed"]
    return {"nonzeros": nonzeros, "lut": content["measurements"][0]["total"]["lut"], "failed": failed}


def main() -> None:
    """Measure what is not there, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--only", default="", help="families whose names contain this")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds that a point may take")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    done = {(line["family"], line["size"]) for line in read_json_lines(given.results)}
    for family in FAMILIES:
        for size in family.sizes if given.only in family.name else ():
            if (family.name, size) not in done:
                append_json(given.results, line := measure(family, size, given.limit))
                print(json.dumps(line), file=sys.stderr, flush=True)
    if given.page:
        growth_page.write(read_json_lines(given.results), given.page)


if __name__ == "__main__":
    main()
