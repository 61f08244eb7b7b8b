# SPDX-License-Identifier: Apache-2.0
"""Boards and flows are found wherever the program comes from: a checkout, an editable install, a wheel, an sdist."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from qap2fpga.system import files
from qap2fpga.system.errors import QapError

ROOT = Path(__file__).parents[2]
# Without `site` no other copy of the program is on the path; `place` may hold it, or a .pth file that leads to it.
LOOK = """
import sys, site
place, packages = sys.argv.pop(1), sys.argv.pop(1)
site.addsitedir(place)
sys.path.append(packages)
import hashlib, json
from qap2fpga.hw import boards
from qap2fpga.system import files
from qap2fpga.system import documents
found = {
    "package": str(files.PACKAGE),
    "topics": [name for name in documents.topics() if documents.text(name)],
    "boards": [boards.load(name).name for name in boards.names()],
    "flows": {
        str(path.relative_to(files.shipped("flows"))): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files.shipped("flows").rglob("*") if path.is_file()
    },
}
print(json.dumps(found))
from qap2fpga.cli import main
sys.argv[:] = ["qap2fpga", "boards"]
main()
"""


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file by its path in `folder`."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def look(place: Path, folder: Path) -> dict[str, Any]:
    """What the program that `place` leads to finds, run in `folder`."""
    packages = sysconfig.get_path("purelib")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", LOOK, place, packages],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, rest = done.stdout.split("\n", 1)
    assert "pynq-z2" in rest
    return json.loads(first)


def assert_whole(found: dict[str, Any], package: Path) -> None:
    assert found["package"] == str(package)
    assert found["boards"] == sorted(path.stem for path in (ROOT / "boards").glob("*.yaml"))
    assert found["flows"] == contents(ROOT / "flows")
    pages = (ROOT / "docs").rglob("*.md")
    assert found["topics"] == sorted(path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in pages)
    assert "open/testbench.cpp" in found["flows"]


def hatch(verb: str, source: Path, target: Path) -> Path:
    """The file that hatchling builds from `source`, as pip would have it."""
    target.mkdir(exist_ok=True)
    code = f"import hatchling.build, sys; print(hatchling.build.{verb}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, target], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a fresh clone has; built in, so that nothing is left in the real one."""
    place = tmp_path_factory.mktemp("clone") / "qap2fpga"
    place.mkdir()
    for name in ("qap2fpga", "flows", "boards", "tests", "examples", "docs", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile", ".gitignore"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, place / name)
    return place


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    return hatch("build_wheel", checkout, checkout.parent / "wheel")


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Path:
    return hatch("build_sdist", checkout, checkout.parent / "sdist")


def test_a_bare_checkout(checkout: Path, tmp_path: Path) -> None:
    assert_whole(look(checkout, tmp_path), checkout / "qap2fpga")


def test_an_editable_install(checkout: Path, tmp_path: Path) -> None:
    built = hatch("build_editable", checkout, tmp_path / "editable")
    place = tmp_path / "site"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(place)
    assert list(place.glob("*.pth"))
    assert_whole(look(place, tmp_path), checkout / "qap2fpga")


def test_a_wheel(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    assert_whole(look(place, tmp_path), place / "qap2fpga")
    assert contents(place / "qap2fpga" / "boards") == contents(ROOT / "boards")
    modules = {name: digest for name, digest in contents(ROOT / "qap2fpga").items() if name.endswith(".py")}
    result = contents(place / "qap2fpga")
    assert {name: result.get(name) for name in modules} == modules


def test_a_wheel_holds_the_program_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "qap2fpga = qap2fpga.cli:main" in entry
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qap2fpga"}
    assert not [name for name in names if name.endswith((".pyc", ".pt", ".npz")) or "__pycache__" in name]
    # Python that runs here is in the package; what others read is in flows: a board's Python, and FINN's.
    others = [name for name in names if name.startswith("qap2fpga/flows/") and name.endswith(".py")]
    assert sorted(others) == ["qap2fpga/flows/driver/driver.py", "qap2fpga/flows/finn/build.py"]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    starter = {f"qap2fpga/library/starter/{name}" for name in ("Makefile", "build.yaml", "train.py")}
    assert {"qap2fpga/py.typed", *starter} <= set(names)


def test_the_same_sources_give_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    assert hatch("build_wheel", checkout, tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_an_sdist_and_the_wheel_built_from_it(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (place,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert_whole(look(place, tmp_path), place / "qap2fpga")
    for name in ("LICENSE", "README.md", "Makefile", "tests/support/networks.py", "pyproject.toml"):
        assert (place / name).read_bytes() == (ROOT / name).read_bytes(), name
    with zipfile.ZipFile(hatch("build_wheel", place, tmp_path / "wheel")) as one, zipfile.ZipFile(wheel) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        assert all(one.read(name) == other.read(name) for name in one.namelist())


def test_a_folder_that_is_not_there_is_a_broken_installation() -> None:
    with pytest.raises(QapError, match="the folder 'recipes' is missing from the installation"):
        files.shipped("recipes")


def test_version_and_types_are_said_where_tools_look_for_them() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (version, "Apache-2.0")
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert (files.PACKAGE / "py.typed").is_file()
