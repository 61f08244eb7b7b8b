# SPDX-License-Identifier: Apache-2.0
"""A C++ compiler that compiles equal sources once per test session.

It stands first on PATH as `c++`, which Verilator's makefile calls: Verilator's own runtime is two thirds of what a
small simulation compiles, and the same in all of them.
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
    real = shutil.which("c++")
    if real:
        store.mkdir(exist_ok=True)
        script = folder / "c++"
        script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S '{__file__}' '{store}' '{real}' \"$@\"\n")
        script.chmod(0o755)
    return folder


def main(store: str, compiler: str, *arguments: str) -> int:
    """Compile, or copy the object of the same preprocessed text with the same options; the exit code."""
    if "-c" not in arguments or "-o" not in arguments:
        return subprocess.run([compiler, *arguments], check=False).returncode
    place = arguments.index("-o")
    options = [one for one in (*arguments[:place], *arguments[place + 2 :]) if one not in ("-c", "-MMD")]
    text = subprocess.run([compiler, *options, "-E"], capture_output=True, check=False)
    key = hashlib.sha256("\0".join([compiler, *options]).encode() + text.stdout).hexdigest()
    target, stored = Path(arguments[place + 1]), Path(store, f"{key}.o")
    if text.returncode == 0 and stored.is_file():
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
