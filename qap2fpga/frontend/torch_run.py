# SPDX-License-Identifier: Apache-2.0
"""Chains of layers run by torch: here, where Brevitas is loaded already, else by a process of its own.

To load the two takes longer than to read a model, lower it and compare it with its graph, all of which can go on
meanwhile.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self, cast

import numpy as np

from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.system import beside
from qap2fpga.system.errors import QapError

PROCESS = "qap2fpga.frontend.torch_process"


@dataclass(frozen=True)
class TorchValues:
    """Real values (n, ...) in a chain: what `entered` each dense layer, what left each quantizer, and the `output`."""

    entered: list[np.ndarray]
    quantized: list[np.ndarray]
    output: np.ndarray


class Torch:
    """What runs chains; a context, at whose end its process ends, if it has one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            beside.end(self.process)
            self.process = None

    def begin(self) -> None:
        """Have torch loaded by another process, if it is not loaded here: it will be needed."""
        if self.process is not None or _is_loaded():
            return
        self.process = beside.python(PROCESS)

    def values(self, model: Model, rows: np.ndarray) -> TorchValues:
        """Return what torch gives for real `rows` (n, inputs). Raises `QapError` where its process died."""
        self.begin()
        chain = Model(model.ops, {}, {})
        if self.process is None:
            from qap2fpga.frontend.torch_process import values

            return values(chain, rows)
        try:
            pickle.dump((chain, rows), cast(IO[bytes], self.process.stdin))
            cast(IO[bytes], self.process.stdin).flush()
            return cast(TorchValues, pickle.load(cast(IO[bytes], self.process.stdout)))
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            code = self.process.wait()
            what = f"the process in which torch runs the network ended with code {code}"
            raise QapError(
                what, "perhaps for want of memory; `qap2fpga doctor` says whether torch and Brevitas are there"
            ) from error


def _is_loaded() -> bool:
    return "brevitas.nn" in sys.modules
