# SPDX-License-Identifier: Apache-2.0
"""The Python driver loaded with a mock of PYNQ, for the tests of the driver."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from qap2fpga.driver import files
from qap2fpga.driver.mock import MockPynq
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.shown import Frame
from qap2fpga.ir.vectors import random_vectors
from tests.conftest import ROOT

BOARD = boards.load("pynq-z2")


ODD = InputQuantizer(-8, 7, (0.1,), (0.3,), 1)


def load(path: Path) -> ModuleType:
    """The driver as it lies in a build, which is no package; no bytecode is left beside it."""
    module = ModuleType("driver")
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), module.__dict__)
    return module


DRIVER = load(ROOT / "flows" / "driver" / "driver.py")


def design(one: Graph, folder, kind: str = "logits", lanes: tuple[int, int] = (2, 1)) -> Design:
    """As the finn backend would fold it; there are no sources, as none are read here."""
    answers = reference.outputs(one, kind, random_vectors(one, 500, 1))
    bits = max(int(np.abs(answers).max()).bit_length() + 2, 2)
    into = Stream("in0", one.inputs, lanes[0], one.input.bits, one.input.signed)
    out = Stream("out0", answers.shape[1], lanes[1], bits, kind != "class")
    return Design("finn", folder, "top", (), (), into, out, 3)


def driver(one: Graph, folder, kind: str = "logits", vectors: int = 40, frame: Frame | None = None, **options):
    """A driver of the written folder, and the mock that it speaks with."""
    small_design = design(one, folder, kind, **options)
    rows = random_vectors(one, vectors, 2)
    files.write(small_design, one, kind, BOARD, "Jets 6b", rows, folder / "driver", frame)
    mock = MockPynq(one, small_design, kind)
    module = load(folder / "driver" / "driver.py")
    return module.Network(folder / "driver", platform=mock), mock


def real(one: Graph, rows: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (rows, one.inputs)).astype(np.float32)


QUANTIZERS = [
    ODD, InputQuantizer(-8, 7, (0.25,)), InputQuantizer(0, 255, (0.5,)), InputQuantizer(-1, 1, (0.7,), rounding="SIGN"),
    InputQuantizer(-8, 7, (0.1, 0.2, 0.3, 1.0, 7.0, 1e-3), (0.0, 1.0, -1.0, 0.5, 3.0, 0.0), rounding="FLOOR"),
    InputQuantizer(-8, 7, (0.3,), rounding="CEIL"), InputQuantizer(-128, 127, (1 / 64,), rounding="ROUND_TO_ZERO"),
    InputQuantizer(-8, 5, (0.25,), rounding="FLOOR", ends=((-8, 3), (0, 0), (-1, 5), (-2, 1), (0, 5), (-4, 4))),
]  # fmt: skip
