# SPDX-License-Identifier: Apache-2.0
"""Where a build goes when the user does not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qap2fpga.build.request import default_output
from qap2fpga.hw import boards

BOARD = boards.load("pynq-z2")


def test_a_build_is_called_by_model_backend_and_board() -> None:
    assert default_output(Path("some/net.v2.pt"), "rtl", BOARD) == Path("builds/net.v2-rtl-pynq-z2")


def test_long_names_are_cut_and_stay_different(tmp_path: Path) -> None:
    """A file system takes 255 bytes, not characters; a file with a name that long can exist."""
    names = ["x" * 252, "x" * 251 + "y", "ü" * 126, "日" * 84, "\udcff" * 250]
    requests = [(Path(f"{name}.pt"), backend, board) for name in names for backend in ("finn", "rtl")
             for board in (BOARD, replace(BOARD, name="zcu104"))]  # fmt: skip
    folders = [tmp_path / default_output(*one) for one in requests]
    assert len(set(folders)) == len(requests)
    for folder in folders:
        folder.mkdir(parents=True)
