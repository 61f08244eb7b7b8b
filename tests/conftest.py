# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures. Builds that take long are made once a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from qap2fpga.system import cache
from tests.support import compiler
from tests.unit.system.test_programs import program

ROOT = Path(__file__).parent.parent
Make = Callable[..., None]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that share a build are a group of pytest-xdist, for one worker; pytest 9.2 ignores that."""
    if not config.getoption("loadgroup", False):
        return
    alone = [one.nodeid for one in items if one.get_closest_marker("xdist_group") and "@" not in one.nodeid]
    if alone:
        raise pytest.UsageError(f"pytest {pytest.__version__} does not know the groups of pytest-xdist: {alone[0]}")


@pytest.fixture(scope="session", autouse=True)
def nothing_from_other_builds() -> Iterator[None]:
    """No build takes what another one did: a test may have replaced what does the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.LIMIT, "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Verilator's runtime is compiled once, by whichever worker is first."""
    base = tmp_path_factory.getbasetemp()
    store = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "objects"
    folder = compiler.install(tmp_path_factory.mktemp("compiler"), store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real models and data; the tests over it are skipped where it is not given."""
    place = os.environ.get("QAP2FPGA_REAL_DATA")
    if not place:
        pytest.skip("QAP2FPGA_REAL_DATA is not set")
    return Path(place)


@pytest.fixture(scope="session")
def example() -> Path:
    """The shipped trained model."""
    return ROOT / "examples" / "jets-6b-80pruned.pt"


@pytest.fixture
def native(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a program that PATH has first: it writes its arguments to `arguments` and does what a text says.

    Asked to pack only, it does what `packed` says.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, text: str, packed: str = "") -> None:
        message = f'if [ "$1" = --version ]; then echo "{name} (Version nextpnr-0.7-5-gabc)"; exit; fi\n'
        packs = f'case "$*" in *--pack-only*)\n{packed}\nexit;; esac\n'
        program(folder / name, f'{message}{packs}echo "$@" > arguments\n{text}')

    return make


# The same examples in every run: a failure is of the change at hand. No deadline, as machines differ.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
