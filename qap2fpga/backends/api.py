# SPDX-License-Identifier: Apache-2.0
"""What a backend is: from a compacted `Graph` to hardware, or to C++ that an HLS tool makes hardware of."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from qap2fpga.backends import option
from qap2fpga.hw import families
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Artifact, Expectation
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import check_output_kind
from qap2fpga.requant.relax import Relaxed
from qap2fpga.system.errors import QapError

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Advice:
    """What to look at when hardware differs from its prediction in `cycles` or `dsp`, or is too large: `size`."""

    cycles: str
    dsp: str
    size: str


UNROLLED_ADVICE = Advice(
    "a layer has another number of pipeline stages than was planned",
    "a product with a constant became a DSP, or a layer is not the one that was generated",
    "choose a larger board, prune further, use fewer bits, or --backend finn, which folds layers in time",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user may choose for every backend.

    `output_kind` is what leaves the chip. `allow_oversize`: go on although the network does not fit.
    """

    output_kind: str = "logits"
    allow_oversize: bool = False

    def __post_init__(self) -> None:
        check_output_kind(self.output_kind)

    @property
    def tolerance(self) -> int:
        """Output steps that a requantizer may differ by; 0 is exact, and so is a backend without that choice."""
        return 0

    def clock_ns(self, board: Board) -> float:
        """Return the clock that hardware for `board` is made for."""
        return board.clock_ns


@dataclass(frozen=True, kw_only=True)
class UnrolledOptions(Options):
    """What the user may choose where every layer is unrolled.

    `clock`: nanoseconds that the pipeline is cut for; None is the board's.
    `requant_tolerance`: output steps that a requantizer may be off by where that is cheaper; 0 is exact.
    """

    clock: float | None = None
    requant_tolerance: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.requant_tolerance < 0:
            raise QapError(f"--requant-tolerance is {self.requant_tolerance}", "give output steps, 0 is exact")
        if self.clock is not None and not 1 <= self.clock <= 1000:
            raise QapError(f"--clock is {self.clock:g} ns", "give nanoseconds, 1 to 1000")

    @property
    def tolerance(self) -> int:
        """Output steps that a requantizer may differ by."""
        return self.requant_tolerance

    def clock_ns(self, board: Board) -> float:
        """Return the clock that hardware for `board` is made for."""
        return self.clock or board.clock_ns


# What may be given for an option of a type, and what to say of anything else.
_LEGAL: dict[type, tuple[type, str]] = {
    bool: (bool, "give True or False"),
    int: (int, "give a whole number"),
    float: (Real, "give a number"),
    str: (str, "give a text"),
    Mapping: (Mapping, "give the content of a folding.json, or its path"),
}


O = TypeVar("O", bound=Options)  # noqa: E741 - the options of one backend


class Backend(ABC, Generic[O]):
    """One way from a graph to hardware; `options` is the type of what its user may choose, `artifact` what it leaves.

    `substitute` names the backend whose circuit of the same graph is measured where this one leaves C++ and no HLS tool
    is there to make hardware of it; empty for a backend that makes hardware itself. The families that a backend serves
    are said by `Family.backends`, and by `families` of one that is in another package.
    """

    name: ClassVar[str]
    options: type[O]
    artifact: ClassVar[type[Artifact]]
    advice: ClassVar[Advice]
    substitute: ClassVar[str] = ""
    families: ClassVar[tuple[str, ...]] = ()

    @property
    def option_names(self) -> tuple[str, ...]:
        """Return the names of what the user may choose."""
        return tuple(inspect.signature(self.options).parameters)

    def make_options(self, **arguments: Any) -> O:
        """Return the options from command-line arguments; None is one that was not given.

        Raises `QapError` naming an option that this backend does not know, or that is of another type.
        """
        legal = self.option_names
        chosen = {key: value for key, value in arguments.items() if value is not None}
        for key in chosen:
            if key not in legal:
                known = ", ".join(option(other) for other in arguments if other in legal)
                raise QapError(f"the {self.name} backend has no option {option(key)}", f"it takes {known}")
        kinds = _kinds(self.options)
        return self.options(**{key: _of_kind(key, value, kinds.get(key)) for key, value in chosen.items()})

    def options_like(self, other: Options) -> O:
        """Return options that agree with those of another backend as far as both have them.

        A relaxed graph is relaxed already: what is built in the other's place must equal that one.
        """
        shared = {name for name in self.option_names if hasattr(other, name)}
        return self.options(**{name: getattr(other, name) for name in shared - {"requant_tolerance"}})

    def knows(self, name: str) -> bool:
        """Return whether the backend has an option of that name."""
        return name in self.option_names

    def unserved(self, board: Board) -> tuple[QapError, ...]:
        """Return the reason why the backend makes nothing for boards like `board`, if there is one."""
        served = board.device_family.backends
        if self.name in served or families.among(board.family, self.families):
            return ()
        what = f"the {self.name} backend makes no hardware for {board.name} ({board.family})"
        return (QapError(what, f"use --backend {' or '.join(served)}, or another board"),)

    def require(self, options: O, *, simulate: bool) -> None:
        """Raise `QapError` for a program or package that `generate`, or a simulation of what it leaves, lacks."""

    def check(self, graph: Graph, board: Board, options: O) -> tuple[QapError, ...]:
        """Return every reason why `graph` cannot be built for `board` that is known before it is designed."""
        return (*self.unserved(board), *self.refusals(graph, board, options))

    @abstractmethod
    def refusals(self, graph: Graph, board: Board, options: O) -> tuple[QapError, ...]:
        """Return the reasons of `check` that are the backend's own."""

    @abstractmethod
    def expect(self, graph: Graph, board: Board, options: O) -> Expectation:
        """Return what `generate` would make of `graph`, compacted. Raises what `generate` raises."""

    @abstractmethod
    def generate(
        self, graph: Graph, board: Board, folder: Path, options: O, vectors: np.ndarray,
        progress: Progress = lambda line: None,
    ) -> Artifact:  # fmt: skip
        """Build `graph`, compacted, for `board` in `folder`, and return what was written.

        `vectors` (n, inputs) are input integers of the build, for comparisons on the way. Raises `QapError` for what
        the backend cannot do and for what does not fit, `CheckFailed` for a bug.
        """

    def relax(self, graph: Graph, tolerance: int) -> Relaxed:
        """Return `graph` with requantizers that are cheaper here and within `tolerance` steps.

        Raises `QapError` where the backend has no cheaper ones.
        """
        raise QapError(f"the {self.name} backend has no option {option('requant_tolerance')}", "leave it out")


def _kinds(options: type[Options]) -> dict[str, type]:
    """The types of the options, without the None of one that need not be given; none that cannot be known."""
    try:
        hints = get_type_hints(options)
    except NameError:  # of another package, which imports types for a type checker only
        return {}
    members = {name: [get_origin(one) or one for one in (hint, *get_args(hint))] for name, hint in hints.items()}
    return {name: kind for name, kinds in members.items() for kind in _LEGAL if kind in kinds}


def _of_kind(name: str, value: Any, kind: type | None) -> Any:
    """Return the `value` of an option of this `kind`, if it is known; numpy's numbers as Python's own."""
    if isinstance(value, np.generic):
        value = value.item()
    if kind is None:
        return value
    legal, hint = _LEGAL[kind]
    if not isinstance(value, legal) or (isinstance(value, bool) and kind is not bool):
        raise QapError(f"{option(name)} is {value!r}", hint)
    if isinstance(value, float) and not math.isfinite(value):
        raise QapError(f"{option(name)} is {value!r}", "give a finite number")
    return value


def require_possible(reasons: Sequence[QapError]) -> None:
    """Raise one `QapError` that says all `reasons`, if there are any."""
    if not reasons:
        return
    if len(reasons) == 1:
        raise reasons[0]
    hints = dict.fromkeys(one.hint for one in reasons if one.hint)
    raise QapError("; ".join(one.message for one in reasons), "; ".join(hints))
