# SPDX-License-Identifier: Apache-2.0
"""Times what README quotes: `python benchmarks/build.py [--runs N]`, or `make bench`.

Every figure is of a whole process as a user starts it; memory is the largest resident set of a process tree's
single processes, as the operating system accounts it. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "jets-6b-80pruned.pt"


def run(*arguments: str | Path, folder: Path) -> tuple[float, float]:
    """(wall seconds, CPU seconds) of one `qap2fpga` process with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "qap2fpga", *map(str, arguments)],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def reference_seconds(network_file: Path) -> float:
    """Seconds that the integer network takes for 240,000 rows in numpy."""
    from qap2fpga.ir import storage
    from qap2fpga.ir.vectors import random_vectors

    network = storage.load(network_file)
    vectors = random_vectors(network, 240_000, 0)
    begin = time.monotonic()
    network.run(vectors)
    return time.monotonic() - begin


def estimate_seconds(backend: str | None) -> float:
    """Seconds of an estimate of the example for pynq-z2 after start-up, in a new process: all is imported before."""
    code = (
        "import sys, time\n"
        "import brevitas.export, torch.onnx._internal.exporter._core, finn, alkaid\n"
        "from qap2fpga import backends\n"
        "from qap2fpga.frontend import prepare\n"
        "from qap2fpga.library.estimates import estimate\n"
        "chosen = sys.argv[2] or None\n"
        "[backends.get(name) for name in ([chosen] if chosen else backends.BACKENDS)]\n"
        "begin = time.monotonic()\n"
        "estimate(sys.argv[1], 'pynq-z2', chosen)\n"
        "print(time.monotonic() - begin)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLE), backend or ""],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def many_reports(built: Path, folder: Path, runs: int) -> dict[str, object]:
    """`report` over 200 builds, as a table and as a page."""
    for number in range(200):
        one = folder / "many" / f"build-{number:03}"
        one.mkdir(parents=True)
        shutil.copy(built / "report.json", one)
    words = ["report", "many"]
    page = [run(*words, "--html", "page.html", folder=folder)[0] for _ in range(runs)]
    return {
        "report_of_200_s": figures([run(*words, folder=folder)[0] for _ in range(runs)]),
        "page_of_200_s": figures(page),
        "page_of_200_kib": (folder / "page.html").stat().st_size // 1024,
    }


def main() -> None:
    """Print one JSON object: the machine, and median and range of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    result: dict[str, object] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "runs": runs,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        walls, cpus = [], []
        for _ in range(runs):
            shutil.rmtree(folder / "builds", ignore_errors=True)
            wall, cpu = run("build", EXAMPLE, "--board", "pynq-z2", "--no-cache", folder=folder)
            walls.append(wall)
            cpus.append(cpu)
        result["build_example_finn_s"] = figures(walls)
        result["build_example_finn_cpu_s"] = figures(cpus)
        result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        result["build_again_s"] = figures(
            [run("build", EXAMPLE, "--board", "pynq-z2", folder=folder)[0] for _ in range(runs)]
        )
        for command in (["--help"], ["boards"], ["report"]):
            result[f"{command[0].lstrip('-')}_s"] = figures(
                [run(*command, folder=folder)[0] for _ in range(max(runs, 5))]
            )
        built = next((folder / "builds").iterdir())
        result["reference_240000_rows_s"] = figures([reference_seconds(built / "network.npz") for _ in range(runs)])
        result |= many_reports(built, folder, runs)
        result["estimate_s"] = figures([run("estimate", EXAMPLE, folder=folder)[0] for _ in range(runs)])
        for backend in ("finn", "rtl", None):
            seconds = [estimate_seconds(backend) for _ in range(runs)]
            result[f"estimate_{backend or 'all'}_after_imports_s"] = figures(seconds)
    print(json.dumps(result, indent=2))


def figures(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(float(np.median(values)), 2), "min": round(min(values), 2), "max": round(max(values), 2)}


if __name__ == "__main__":
    main()
