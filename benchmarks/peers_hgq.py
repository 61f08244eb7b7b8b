# SPDX-License-Identifier: Apache-2.0
"""The side of HGQ2 and alkaid, in an environment of its own that is made when it is first needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers_side import Candidate, Outcome, Settings, Task, first
from qap2fpga.system import programs
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.reading import json_object

# What the results rest on. JAX's usual wheel is for CPUs alone.
PACKAGES = (
    "HGQ2==0.2.0", "alkaid==0.8.2", "keras==3.15.1", "jax==0.10.2", "jaxlib==0.10.2", "numpy==2.4.6",
    "quantizers==1.2.2",
)  # fmt: skip
INSIDE = Path(__file__).with_name("peers_hgq_inside.py")
INSTALL_LIMIT_S = 1800.0
# Wall-clock time for training and conversion, in CPU seconds of the task: other work on the machine slows it down.
PATIENCE, CONVERSION_S = 10.0, 3600.0
# Candidates of a front, and the EBOPs between which it is looked at: about 150 to 15,000 LUTs.
CANDIDATES, EBOPS = 14, (200, 25_000)

# As HGQ2's authors train their jet taggers: 64-32-32, few bits at first, Adam at 0.005 with cosine restarts, beta from
# 5e-7 to 1e-3 by a power; alkaid's own defaults. Their batches of 33,200 rows are for hours on a GPU: within CPU
# minutes small ones are far better: up to 500 EBOPs 63.8 % on validation rows, 59.9 % with 6,000 (45 s, 24,000 rows).
USUAL: Mapping[str, object] = {
    "widths": [64, 32, 32], "weight_bits": 3, "activation_bits": 3, "input_overflow": "SAT",
    "bias_overflow": "SAT_SYM", "rate": 5e-3, "restarts": 20, "restart_factor": 0.98, "beta": [5e-7, 1e-3],
    "beta_wait": 0.02, "batch": 1024, "steps_at_once": 8,
    "alkaid": [1, 1, -1], "hard_dc": 5, "latency_cutoff": 5, "ternary_adders": True,
}  # fmt: skip
# Within a minute none of these is much better than another, so the first ones differ in what moves the fronts' ends.
TRIALS: tuple[Mapping[str, object], ...] = (
    {},
    {"rate": 2e-2},
    {"rate": 1e-2, "beta_wait": 0.3},
    {"rate": 1e-2, "batch": 512, "steps_at_once": 16},
    {"rate": 1e-2, "weight_bits": 6, "activation_bits": 6},
    {"rate": 1e-2, "widths": [32, 32, 32]},
    {"rate": 1e-2, "widths": [64, 64, 32]},
    {"rate": 1e-2, "batch": 4096, "steps_at_once": 2},
)


@dataclass(frozen=True)
class Hgq:
    """Networks trained with HGQ2, converted by alkaid. `environment`: where its packages are, or will be."""

    environment: Path
    packages: Sequence[str] = PACKAGES
    name: str = "hgq"

    def settings(self, trials: int) -> Sequence[Settings]:
        """Return the first `trials` settings. Raises `QapError` if there are fewer."""
        return first(trials, self.name, USUAL, TRIALS)

    def run(self, task: Task, folder: Path) -> Outcome:
        """Train and convert. Raises `QapError` when packages cannot be installed, or the script fails."""
        python = self.python()
        result, job = folder / "result.json", folder / "job.json"
        content = {
            "data": str(task.data.resolve()), "seed": task.seed, "cpu_s": task.cpu_s, "settings": dict(task.settings),
            "candidates": CANDIDATES, "ebops": EBOPS,
        }  # fmt: skip
        write_atomically(job, json.dumps(content, indent=1))
        programs.run(
            [python, "-P", INSIDE.resolve(), job.resolve()], log=folder / "log", folder=folder,
            time_limit_s=PATIENCE * task.cpu_s + CONVERSION_S,  # -P: the other benchmarks are no modules of its own
            environment={"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": ""},
        )  # fmt: skip
        return outcome(result)

    def python(self) -> Path:
        """Return the environment's Python; install what it needs first if that is not there."""
        python, done = self.environment / "bin" / "python", self.environment / "installed.json"
        if done.is_file() and json.loads(done.read_text()) == list(self.packages):
            return python
        log = self.environment.with_name(f"{self.environment.name}-install.log")
        programs.run(
            [sys.executable, "-m", "venv", "--clear", self.environment], log=log, folder=self.environment.parent,
            time_limit_s=INSTALL_LIMIT_S,
        )  # fmt: skip
        try:
            programs.run(
                [python, "-m", "pip", "install", "--quiet", *self.packages], log=log, folder=self.environment,
                time_limit_s=INSTALL_LIMIT_S,
            )  # fmt: skip
        except QapError as error:
            raise QapError(f"the packages of {self.name} cannot be installed: {error.message}", error.hint) from error
        write_atomically(done, json.dumps(list(self.packages)))
        return python


def outcome(result: Path) -> Outcome:
    """Return what the script wrote. Raises `QapError` if that is nothing that it writes."""
    content = json_object(result, "the script ended without a result: read the log beside it")
    try:
        candidates = tuple(_candidate(one) for one in content["candidates"])  # type: ignore[attr-defined]
        notes = {key: float(content[key]) for key in ("epochs", "front", "unconverted")}  # type: ignore[arg-type]
        return Outcome(float(content["cpu_s"]), candidates, notes)  # type: ignore[arg-type]
    except (TypeError, KeyError, ValueError) as error:
        raise QapError(f"{result} is no result: {error!r}", "read the log beside it") from error


def _candidate(one: Mapping[str, object]) -> Candidate:
    numbers = {
        key: float(value) for key, value in one.items()
        if key not in ("validation", "test") and isinstance(value, (int, float))
    }  # fmt: skip
    name = str(one["name"])
    return Candidate(
        name, float(one["validation"]), float(one["test"]), f"{name}/src", str(one["top"]), numbers  # type: ignore[arg-type]
    )  # fmt: skip
