# SPDX-License-Identifier: Apache-2.0
"""The scripts in `benchmarks/`, `docker/` and `docs/` import what there is; most of them run for minutes and more."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from benchmarks import public_builds, tiny, tiny_page
from qap2fpga.estimate.images import ImageRecipe, Numbers, network
from qap2fpga.ir import storage

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for folder in ("benchmarks", "docker", "docs") for path in sorted((ROOT / folder).glob("*.py"))]


def _is_module(package: ModuleType, name: str) -> bool:
    return hasattr(package, "__path__") and find_spec(f"{package.__name__}.{name}") is not None


def missing(source: str) -> list[str]:
    """Return the names that `source` imports from qap2fpga, anywhere, and that are not there."""
    absent = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "qap2fpga":
            module = import_module(node.module)
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name) and not _is_module(module, name):
                    absent.append(f"{node.module}.{name}")
    return absent


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_there(script: Path) -> None:
    assert not missing(script.read_text())


def test_a_name_that_went_is_seen() -> None:
    package = "qap2fpga"
    assert missing(f"def late():\n    from {package}.ir.graph import Graph, Gone\n") == [f"{package}.ir.graph.Gone"]
    assert missing(f"from {package}.ir import graph, gone\n") == [f"{package}.ir.gone"]


def test_the_page_of_tiny_networks_is_that_of_the_results() -> None:
    lines = tiny.lines(ROOT / "benchmarks" / "tiny.jsonl")
    assert tiny_page.page(lines) == (ROOT / "docs" / "tiny-networks.md").read_text()
    named = {line["case"]["network"] for line in lines}
    assert named == set(tiny.NETWORKS) == set(tiny_page.TITLES)


def test_the_page_says_what_was_not_run_and_why() -> None:
    case = asdict(tiny.Case("resnet8", "finn", "pynq-z2", 4, 75, 1000.0, "auto"))
    sizes = {"weights": 10, "nonzeros": 4, "macs": 1234, "bops": 5}
    rows = [
        {"case": case, "facts": sizes, "predicted": {"lut": 12345, "interval_cycles": 7}},
        {"case": case | {"fps": None}, "facts": sizes, "predicted": {"stopped": "too | large\n  use less"}},
        {"case": case | {"bits": 2}, "facts": sizes, "predicted": {}, "measured": {"lut": 99, "frames": 6}},
    ]
    page = tiny_page.page(rows).splitlines()
    assert "| resnet8 | finn | auto | pynq-z2 | 4 | 1,000 | predicted | 12,345 |  |  |  | 7 |  |  |  |" in page
    assert "| resnet8 | finn | auto | pynq-z2 | 4 | 1,000 | measured |  |  |  |  |  |  |  | not run |" in page
    assert "| resnet8 | finn | auto | pynq-z2 | 4 | most | predicted |  |  |  |  |  |  |  | too / large |" in page
    assert "| resnet8 | finn | auto | pynq-z2 | 2 | 1,000 | measured | 99 |  |  |  |  |  | 6 |  |" in page
    assert len([row for row in page if "most | measured" in row]) == 0


@pytest.mark.parametrize(("limit_s", "stopped"), [(0.01, "not ended within 0.01 s"), (300, "unrolled, the network's")])
def test_a_case_is_stopped_at_its_limit_or_says_why_it_is_refused(limit_s: float, stopped: str) -> None:
    case = tiny.Case("kws-mlp", "rtl", "pynq-z2", 4, 75, None)
    assert str(tiny.within(limit_s, tiny.predict, case)["stopped"]).startswith(stopped)


def test_what_was_stopped_is_tried_again_with_more_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, results = tiny.Case("kws-mlp", "rtl", "pynq-z2", 4, 75, None), tmp_path / "tiny.jsonl"
    asked: list[str] = []

    def within(limit_s: float, work: Callable[..., None], case: tiny.Case) -> tiny.Result:
        asked.append(work.__name__)
        return {"lut": 1} if limit_s > 60 else {"stopped": "not ended within 60 s", "limit_s": limit_s}

    monkeypatch.setattr(tiny, "within", within)
    for limit_s in (60, 60, 61, 61):
        tiny.extend(results, case, None, limit_s)
    assert asked == ["facts", "predict"] * 2
    for measuring_s in (60, 60, 61, 61, 60):
        tiny.extend(results, case, measuring_s, 61)
    assert asked[4:] == ["measure"] * 2
    assert [line["measured"] for line in tiny.lines(results)] == [{"lut": 1}]


def test_a_process_that_is_ended_from_outside_is_seen() -> None:
    case = tiny.Case("kws-mlp", "rtl", "pynq-z2", 4, 75, None)
    assert tiny.within(60, _killed, case) == {"first": 1, "stopped": "its process ended, as for want of memory"}


def _killed(case: tiny.Case, send: tiny.Send) -> None:
    send({"first": 1})
    os._exit(9)


def test_frames_per_second_are_asked_for_where_hardware_is_shared_in_time() -> None:
    frames = network(ImageRecipe(1, (4, 4, 1), (("conv", 2, 2, 1),), 2, Numbers(2, 2, 2), "xc7", 5.0, 64, False, False))
    asked = tiny.Case("kws-mlp", "rtl", "pynq-z2", 4, 75, 1000.0)
    assert vars(asked.options(frames))["target_interval"] == 100_000  # at 100 MHz
    assert vars(replace(asked, fps=None).options(frames))["target_interval"] is None
    assert vars(replace(asked, backend="finn").options(frames))["target_fps"] == 1000
    assert asked.options(asked.graph()) == replace(asked, fps=None).options(frames)


def test_a_way_is_tried_by_its_estimate(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    storage.save(
        network(ImageRecipe(1, (4, 4, 1), (("conv", 2, 2, 1),), 2, Numbers(2, 2, 2), "xc7", 5.0, 64, False, False)),
        path,
    )
    unrolled = public_builds.trial(path, public_builds.Way("rtl", "zcu104", most_luts=40_000))
    assert unrolled.takes
    assert unrolled.reason.startswith("expected: a frame every 16 cycles")
    small = public_builds.trial(path, public_builds.Way("rtl", "zcu104", most_luts=1))
    assert not small.takes
    assert "a simulation of more than 1 is slow" in small.reason
    elsewhere = public_builds.trial(path, public_builds.Way("finn", "ulx3s-85f"))
    assert not elsewhere.takes
    assert "makes no hardware for ulx3s-85f" in elsewhere.reason


def test_a_folded_way_asks_for_frames_per_second() -> None:
    graph = network(ImageRecipe(1, (4, 4, 1), (("conv", 2, 2, 1),), 2, Numbers(2, 2, 2), "xc7", 5.0, 64, False, False))
    plain, folded = public_builds.Way("rtl", "zcu104"), public_builds.Way("finn", "zcu104", products=256)
    assert plain.of(graph) == plain
    assert folded.of(graph).words == ("--backend", "finn", "--board", "zcu104", "--target-fps", "100000")


def test_the_list_of_faults_is_of_the_code_as_it_is() -> None:
    """A text that a module has no more would end `make mutants` before its first fault."""
    listed = yaml.safe_load((ROOT / "benchmarks" / "mutants.yaml").read_text())
    absent: list[str] = []
    for module, tests in listed["modules"].items():
        absent += [] if (ROOT / module).is_file() else [module]
        for file, _, name in (test.partition("::") for test in tests):
            place = ROOT / file
            known = place.exists() and (not name or f"def {name}(" in place.read_text())
            absent += [] if known else [f"{module}: {file}::{name}"]
    for module, changes in listed["planted"].items():
        source = (ROOT / module).read_text()
        absent += [f"{module}: {before}" for before in changes if source.count(before) != 1]
    assert not absent
