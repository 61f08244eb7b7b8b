# SPDX-License-Identifier: Apache-2.0
"""What every backend is: its options, what it refuses, and that all reasons are said at once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from qap2fpga import backends
from qap2fpga.backends.api import Options, require_possible
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.rtl.backend import RtlBackend
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.hw.families import FAMILIES
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError
from tests.support.graphs import small_chain

if TYPE_CHECKING:
    from collections.abc import Hashable

PYNQ, ULX3S = boards.load("pynq-z2"), boards.load("ulx3s-85f")


def small() -> Graph:
    return small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])


def test_a_backend_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys\nfrom qap2fpga import backends\n"
        "print([name for name in sys.modules if name.startswith('qap2fpga.backends.')], 'numpy' in sys.modules)\n"
        "backends.get('finn')\n"
        "print(sorted({'finn', 'qonnx', 'onnx', 'torch', 'hls4ml', 'alkaid'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[] False", "[]"]


@pytest.mark.parametrize("name", list(backends.BACKENDS))
def test_a_backend_says_what_it_is(name: str) -> None:
    backend = backends.get(name)
    assert backend.name == name and backend is backends.get(name)
    assert isinstance(backend.make_options(), Options)
    assert backend.substitute in ("", *backends.BACKENDS)
    assert any(name in family.backends for family in FAMILIES.values())


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(QapError, match="unknown backend 'fin'"):
        backends.get("fin")


def test_options_of_all_backends_and_of_the_unrolled_ones() -> None:
    assert (FinnOptions().tolerance, FinnOptions().clock_ns(PYNQ)) == (0, PYNQ.clock_ns)
    for kind in (RtlOptions, Hls4mlOptions):
        assert (kind(requant_tolerance=2).tolerance, kind(clock=3.0).clock_ns(PYNQ)) == (2, 3.0)
        assert kind().clock_ns(PYNQ) == PYNQ.clock_ns
        assert (kind(clock=1.0).clock, kind(clock=1000.0).clock) == (1.0, 1000.0)
        for clock in (0.9, 1000.1):
            with pytest.raises(QapError, match=f"--clock is {clock} ns"):
                kind(clock=clock)
        with pytest.raises(QapError, match="--requant-tolerance is -1"):
            kind(requant_tolerance=-1)
    assert not Options().allow_oversize
    with pytest.raises(QapError, match="output kind"):
        Options(output_kind="nothing")


def test_options_from_the_command_line() -> None:
    rtl = backends.get("rtl")
    assert rtl.knows("clock") and not rtl.knows("target_fps")
    assert rtl.make_options(clock=5.0, target_fps=None, allow_oversize=False) == RtlOptions(clock=5.0)
    with pytest.raises(QapError, match="the rtl backend has no option --target-fps") as caught:
        rtl.make_options(clock=None, target_fps=5.0, requant_tolerance=None)
    assert caught.value.hint == "it takes --clock, --requant-tolerance"
    with pytest.raises(QapError, match="the finn backend has no option --requant-tolerance"):
        backends.get("finn").make_options(requant_tolerance=1)


@pytest.mark.parametrize(
    ("backend", "given", "message"),
    [
        ("finn", {"target_fps": "1M"}, "--target-fps is '1M'\n  give a number"),
        ("finn", {"target_fps": float("nan")}, "--target-fps is nan\n  give a finite number"),
        ("finn", {"max_utilization": True}, "--max-utilization is True\n  give a number"),
        ("finn", {"folding": [1]}, "--folding is .*\n  give the content of a folding.json"),
        ("rtl", {"clock": "5"}, "--clock is '5'\n  give a number"),
        ("rtl", {"target_interval": 2.5}, "--target-interval is 2.5\n  give a whole number"),
        ("hls4ml", {"reuse_factor": 2.5}, "--reuse-factor is 2.5\n  give a whole number"),
        ("hls4ml", {"io_type": 3}, "--io-type is 3\n  give a text"),
        ("hls4ml", {"allow_oversize": "no"}, "--allow-oversize is 'no'\n  give True or False"),
    ],
)
def test_an_option_of_another_type_is_refused_by_name(backend: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(QapError, match=message):
        backends.get(backend).make_options(**given)


def test_numbers_of_numpy_are_options() -> None:
    options = backends.get("hls4ml").make_options(reuse_factor=np.int64(2), strategy="resource", clock=np.float32(4))
    assert (type(options.reuse_factor), type(options.clock)) == (int, float)
    assert backends.get("finn").make_options(folding={}, target_fps=5).target_fps == 5


@dataclass(frozen=True)
class UnresolvedOptions(Options):
    """Options whose types another package imports for a type checker only."""

    speed: Hashable = 0


def test_options_without_known_types_are_taken_as_they_are() -> None:
    backend = RtlBackend()
    backend.options = UnresolvedOptions  # type: ignore[assignment]
    options: Options = backend.make_options(speed="fast", allow_oversize=1)
    assert options == UnresolvedOptions(speed="fast", allow_oversize=1)  # type: ignore[arg-type]


def test_a_substitute_has_the_options_of_what_it_stands_for() -> None:
    given = Hls4mlOptions(output_kind="class", clock=4.0, requant_tolerance=1, allow_oversize=True, reuse_factor=1)
    wanted = RtlOptions(output_kind="class", clock=4.0, requant_tolerance=0, allow_oversize=True)
    assert backends.get(backends.get("hls4ml").substitute).options_like(given) == wanted


def test_a_backend_without_cheaper_requantizers_says_so() -> None:
    with pytest.raises(QapError, match="the finn backend has no option --requant-tolerance"):
        backends.get("finn").relax(small(), 1)


def wide(graph: Graph) -> Graph:
    """The same with an input of 16 bits, and weights too large for a float32's 24 bits."""
    layers = [one.changed(weights=one.weights.astype(np.int64) << 24) for one in graph.layers]
    return graph.with_layers(layers).with_input(replace(graph.input, low=-(1 << 15), high=(1 << 15) - 1))


def test_every_reason_is_said_at_once() -> None:
    finn = backends.get("finn")
    assert finn.check(small(), PYNQ, FinnOptions()) == ()
    reasons = finn.check(wide(small()), ULX3S, FinnOptions())
    assert [one.message.split(";")[0].split(" reach")[0] for one in reasons] == [
        "the finn backend makes no hardware for ulx3s-85f (ecp5)", "the input has 16 bits", "layer fc1: accumulators",
        "layer fc2: accumulators",
    ]  # fmt: skip
    with pytest.raises(QapError, match=r"the input has 16 bits.*layer fc1: accumulators.*layer fc2: accumulators"):
        finn.expect(wide(small()), PYNQ, FinnOptions())
    for name in ("finn", "hls4ml"):
        backend = backends.get(name)
        with pytest.raises(QapError, match=f"the {name} backend makes no hardware for ulx3s-85f"):
            backend.expect(small(), ULX3S, backend.make_options())


def test_reasons_are_one_error() -> None:
    require_possible(())
    with pytest.raises(QapError, match=r"^one; two\n  smaller$"):
        require_possible([QapError("one", "smaller"), QapError("two", "smaller")])
    alone = QapError("one", "smaller")
    with pytest.raises(QapError) as caught:
        require_possible([alone])
    assert caught.value is alone
