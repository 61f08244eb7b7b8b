# SPDX-License-Identifier: Apache-2.0
"""qap2fpga: a pruned, quantized network in, hardware out that computes the same integers, compared bit for bit.

The public library is `__all__`; what is heavy of it is imported when it is asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING

from qap2fpga.frontend.checkpoint import save
from qap2fpga.system.errors import CheckFailed, QapError

if TYPE_CHECKING:
    from qap2fpga import qap as qap
    from qap2fpga.library.builds import Build, build, open_build
    from qap2fpga.library.comparison import Comparison, compare
    from qap2fpga.library.estimates import Estimates, estimate
    from qap2fpga.library.exploration import Candidates, explore
    from qap2fpga.library.imports import import_reports
    from qap2fpga.library.network import Network, load
    from qap2fpga.library.starting import init
    from qap2fpga.library.studies import Study, study
    from qap2fpga.library.training import Training, train

try:
    __version__ = version("qap2fpga")
except PackageNotFoundError:  # a bare checkout
    __version__ = "0+checkout"

__all__ = [
    "Build", "Candidates", "CheckFailed", "Comparison", "Estimates", "Network", "QapError", "Study", "Training",
    "__version__", "build", "compare", "estimate", "explore", "import_reports", "init", "load", "open_build", "save",
    "study", "train",
]  # fmt: skip

_PLACES = {
    "builds": ("Build", "build", "open_build"),
    "comparison": ("Comparison", "compare"),
    "estimates": ("Estimates", "estimate"),
    "exploration": ("Candidates", "explore"),
    "imports": ("import_reports",),
    "network": ("Network", "load"),
    "starting": ("init",),
    "studies": ("Study", "study"),
    "training": ("Training", "train"),
}
_MODULES = {name: f"qap2fpga.library.{module}" for module, names in _PLACES.items() for name in names}


class _Library(ModuleType):
    """This package. Some functions are called like a package in it, which is imported by its name all the same.

    After `import qap2fpga.build.run` Python would bind the package `build` here, in place of the function.
    """

    def __getattr__(self, name: str) -> object:
        if name == "qap":
            return import_module("qap2fpga.qap")
        if name not in _MODULES:
            raise AttributeError(f"module 'qap2fpga' has no attribute '{name}'")
        value: object = getattr(import_module(_MODULES[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _MODULES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *_MODULES, "qap"})


sys.modules[__name__].__class__ = _Library
