# SPDX-License-Identifier: Apache-2.0
"""A C++ compiler that compiles Verilator's own runtime once per test session: it is the same in all simulations.

It stands first on PATH as `g++`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def install(folder: Path, store: Path) -> Path:
    """Write the compiler into `folder` and return it, for PATH; all that have the same `store` share objects."""
    real = shutil.which("g++")
    if real:
        store.mkdir(exist_ok=True)
        script = folder / "g++"
        script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S '{__file__}' '{store}' '{real}' \"$@\"\n")
        script.chmod(0o755)
    return folder


def main(store: str, compiler: str, *arguments: str) -> int:
    """Compile, or copy the object of the same file of the runtime with the same options; the exit code."""
    if "-c" not in arguments or "-o" not in arguments or not Path(arguments[-1]).name.startswith("verilated"):
        os.execv(compiler, [compiler, *arguments])
    place = arguments.index("-o")
    options = (*arguments[:place], *arguments[place + 2 :])
    key = hashlib.sha256("\0".join((compiler, *options)).encode() + Path(arguments[-1]).read_bytes()).hexdigest()
    target, stored = Path(arguments[place + 1]), Path(store, f"{key}.o")
    if stored.is_file():
        shutil.copyfile(stored, target)
        return 0
    code = subprocess.run([compiler, *arguments], check=False).returncode
    if code == 0:
        unfinished = stored.with_suffix(f".{os.getpid()}")
        shutil.copyfile(target, unfinished)
        unfinished.replace(stored)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
