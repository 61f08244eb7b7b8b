# SPDX-License-Identifier: Apache-2.0
"""Whether a change of the program's inside has changed what it makes: two checkouts, the same models, compared.

    python benchmarks/unchanged.py models MODELS                         # 40 seeded random networks as model.pt, once
    python benchmarks/unchanged.py record MODELS BEFORE.json [--root CHECKOUT] [--full] [--backends rtl,hls4ml,finn]
    python benchmarks/unchanged.py compare BEFORE.json AFTER.json

`record` runs the command line of CHECKOUT on every model in MODELS and in its examples and keeps: a digest of every
generated source, without its comments and with its identifiers numbered in the order in which they appear; the vectors
that the testbench expects; all numbers of the report. Without `--full` builds end at `generate`, but for the examples,
which go on to synthesis. `compare` names every difference and exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BOARD = "pynq-z2"
RANDOM_MODELS = 40
SOURCES = (".v", ".sv", ".cpp", ".h", ".dat", ".tcl")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# Numbers that differ from run to run, or say which program made the report.
IGNORED = re.compile(r"seconds|vectors/s|rate|versions|sha256|date|digest|fingerprint")


def write_models(folder: Path) -> None:
    """Write the seeded random networks: widths, bits, sparsity and scales are drawn as well."""
    import numpy as np

    sys.path.insert(0, str(ROOT))
    from qap2fpga.frontend.checkpoint import writing
    from tests.support.networks import random_model

    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(RANDOM_MODELS):
        random = np.random.default_rng(seed)
        widths = tuple(int(one) for one in random.integers(3, 24, random.integers(3, 6)))
        model = random_model(
            seed, widths, bits=int(random.integers(1, 7)), sparsity=float(random.uniform(0, 0.9)),
            power_of_two=bool(random.integers(2)), per_channel=bool(random.integers(2)),
            batch_norm=bool(random.integers(2)), last_batch_norm=bool(random.integers(2)),
            input_bits=int(random.integers(2, 8)),
        )  # fmt: skip
        writing.write(model, folder / f"random{seed:02}.pt", model.labels, {})


def normalised(text: str) -> str:
    """Return the source without comments and white space, its identifiers numbered."""
    numbers: dict[str, str] = {}
    text = IDENTIFIER.sub(lambda match: numbers.setdefault(match[0], f"i{len(numbers)}"), COMMENT.sub("", text))
    return " ".join(text.split())


def sources(folder: Path) -> dict[str, str]:
    """Return the digests of the generated sources below `folder`, by size and number: names may change."""
    digests = sorted(
        hashlib.sha256(normalised(path.read_text(errors="replace")).encode()).hexdigest()[:16]
        for path in folder.rglob("*")
        if path.suffix in SOURCES and path.is_file()
    )
    return {f"source {number}": digest for number, digest in enumerate(digests)}


def numbers(value: Any, path: str = "") -> dict[str, float | str]:
    """Return every number in a report by its place."""
    if isinstance(value, dict):
        parts = [numbers(one, f"{path}.{key}") for key, one in value.items() if not IGNORED.search(str(key))]
    elif isinstance(value, list):
        parts = [numbers(one, f"{path}[{index}]") for index, one in enumerate(value)]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return {path: value}
    else:
        return {}
    return {key: one for part in parts for key, one in part.items()}


def record(models: list[tuple[Path, tuple[str, ...]]], root: Path, backends: list[str], until: str) -> dict[str, Any]:
    """Build every model with every backend of the checkout `root`, and return what came of it by model and backend."""
    results: dict[str, Any] = {}
    for model, options in models:
        for backend in backends:
            stage = "synthesize" if model.is_relative_to(root / "examples") else until
            with tempfile.TemporaryDirectory() as scratch:
                output = Path(scratch) / "build"
                command = [sys.executable, "-m", "qap2fpga", "build", str(model), "--backend", backend, "--board",
                           BOARD, "--until", stage, "--quiet", "--output", str(output), *options]  # fmt: skip
                done = subprocess.run(
                    command, cwd=scratch, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True
                )
                name = f"{model.name} {backend}"
                print(f"{name}: exit {done.returncode}", flush=True)
                if not (output / "report.json").is_file():
                    last = done.stderr.strip().splitlines()
                    results[name] = {"exit": done.returncode, "message": last[0] if last else ""}
                    continue
                results[name] = {
                    "exit": done.returncode,
                    "sources": sources(output / backend),
                    "numbers": numbers(json.loads((output / "report.json").read_text())),
                }
    return results


def compare(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Print every difference; return how many there are. What only one report has is counted, not listed."""
    differences = 0

    def differs(text: str) -> None:
        nonlocal differences
        differences += 1
        print(text)

    for name, old in before.items():
        new = after.get(name)
        if new is None:
            differs(f"{name}: not recorded")
            continue
        if old["exit"] != new["exit"]:
            differs(f"{name}: exit {old['exit']} became {new['exit']}: {new.get('message', '')}")
        if sorted(old.get("sources", {}).values()) != sorted(new.get("sources", {}).values()):
            one, other = set(old.get("sources", {}).values()), set(new.get("sources", {}).values())
            differs(f"{name}: {len(one - other)} sources changed, {len(other - one)} are new")
        numbers_before, numbers_after = old.get("numbers", {}), new.get("numbers", {})
        for place in sorted(numbers_before.keys() & numbers_after.keys()):
            if numbers_before[place] != numbers_after[place]:
                differs(f"{name}: {place} was {numbers_before[place]}, is {numbers_after[place]}")
        moved = len(numbers_before.keys() ^ numbers_after.keys())
        if moved:
            print(f"{name}: {moved} numbers stand in one of the two reports only")
    print(f"{len(before)} builds, {differences} differences")
    return differences


def main() -> None:
    """Parse the arguments and run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models").add_argument("folder", type=Path)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("output", type=Path)
    recording.add_argument("--root", type=Path, default=ROOT)
    recording.add_argument("--full", action="store_true")
    recording.add_argument("--backends", default="rtl,hls4ml,finn")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "models":
        write_models(arguments.folder)
    elif arguments.command == "compare":
        sys.exit(bool(compare(json.loads(arguments.before.read_text()), json.loads(arguments.after.read_text()))))
    else:
        root = arguments.root.resolve()
        models = [(path, ()) for path in sorted((root / "examples").glob("*.pt"))]
        models += [(path.resolve(), ()) for kind in ("*.pt", "*.pth") for path in sorted(arguments.folder.glob(kind))]
        models += [(path.resolve(), ("--input-range=-4,4",)) for path in sorted(arguments.folder.glob("*.onnx"))]
        results = record(models, root, arguments.backends.split(","), "synthesize" if arguments.full else "generate")
        arguments.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
