# SPDX-License-Identifier: Apache-2.0
"""`docs/commands.py` finds every command of the documentation, forgets none, and says how each ended."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = r"""# A page

    make first      # a comment
                    #   make not-this
    qap2fpga build "a#b.pt" \
             --bits 6

Text, and `make inline`.

    result: a table

```sh
A=1 sudo python -m tool  # why
unknown --option
```

```python
import qap2fpga
    make("nothing")
```

1. An item of a list
    make of-a-list

| command | what |
| --- | --- |
| `make cell` | does it |
| `qap2fpga` | a name |
| `widths` | no command |
"""


@pytest.fixture(scope="module")
def commands() -> ModuleType:
    """`docs/commands.py`, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("docs_commands", ROOT / "docs" / "commands.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the types of their fields
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(commands: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one page, in which `python` is this one."""
    root = tmp_path / "project"
    (root / "docs").mkdir(parents=True)
    (root / "README.md").write_text("    make -f rules passes\n    make -f rules fails\n    make install\n")
    (root / "rules").write_text("passes:\n\ttest -f given && echo ran >> counted\nfails:\n\tfalse\n")
    (root / "docs" / "commands.yaml").write_text(
        "README.md:\n  before: [touch given]\n  not run: {make install: it would}\n"
    )
    monkeypatch.setattr(commands, "ROOT", root)
    monkeypatch.setattr(commands, "plans", lambda read=commands.plans: read(root / "docs" / "commands.yaml"))
    return root


def test_commands_of_a_page(commands: ModuleType) -> None:
    page = commands.extract("page.md", PAGE)
    assert [(one.line, one.text) for one in page.commands] == [
        (3, "make first"),
        (5, 'qap2fpga build "a#b.pt" --bits 6'),
        (13, "A=1 sudo python -m tool"),
        (14, "unknown --option"),
        (27, "make cell"),
    ]
    assert page.quotes == ["result:"]


def test_every_command_of_the_documentation_is_run_or_has_a_reason(commands: ModuleType) -> None:
    known = {name: commands.extract(name, text) for name, text in commands.pages().items()}
    assert commands.mistakes(known, commands.plans()) == []
    assert sum(len(page.commands) for page in known.values()) > 100
    assert {"README.md", "docs/quick-start.md", "docs/api/index.md", "examples/README.md"} <= set(known)
    # What a line of a block begins with is known, so that none is taken for something else.
    assert [one.text for one in known["docs/explore.md"].commands][-2:] == [
        "qap2fpga study jets.yaml --output jets",
        "qap2fpga explore jets --board pynq-z2 --backend rtl --backend finn --target-fps 1e6 --target-fps 5e6 "
        "--max-lut 5000 --max-latency-ns 2000 --min-accuracy 0.655 --build 2",
    ]


def test_a_plan_that_does_not_agree_with_the_pages_is_an_error(commands: ModuleType) -> None:
    known = {"page.md": commands.extract("page.md", PAGE)}
    plan = commands.Plan(not_run={"make first": "", "make gone": "a reason"}, no_commands=["other"])
    assert commands.mistakes(known, {"page.md": plan, "gone.md": commands.Plan()}) == [
        "gone.md: no such page",
        "page.md: no longer has the command 'make gone'",
        "page.md: 'make first' has no reason",
        "page.md:14: begins with no known program: 'unknown --option'",
        "page.md: a block that begins with 'result:': is it a command?",
        "page.md: no block begins with 'other'",
    ]


def test_a_page_is_run_once_and_what_failed_again(
    commands: ModuleType, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results"
    assert commands.main([str(folder)]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[-4:]]
    assert [line.partition(" s ")[0].rsplit(" ", 1)[0] for line in lines[:3]] == [
        "README.md (before) passed", "README.md:1 passed", "README.md:2 exit code 2",
    ]  # fmt: skip
    assert lines[3] == "README.md:3 not run make install (it would)"
    (project / "rules").write_text((project / "rules").read_text().replace("false", "true"))
    assert commands.main([str(folder), "README.md"]) == 0
    place = folder / "pages" / "README"
    assert (place / "counted").read_text() == "ran\n"
    results = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [(one["command"], one["outcome"]) for one in results] == [
        ("touch given", "passed"), ("make -f rules passes", "passed"), ("make -f rules fails", "exit code 2"),
        ("make -f rules fails", "passed"),
    ]  # fmt: skip
    assert commands.main([str(folder)]) == 0
    assert len((folder / "results.jsonl").read_text().splitlines()) == 4
    place.rename(tmp_path / "elsewhere")
    assert commands.main([str(folder)]) == 0
    assert len((folder / "results.jsonl").read_text().splitlines()) == 7


def test_without_a_folder_nothing_is_run(
    commands: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main([]) == 0
    assert capsys.readouterr().out.count("to be run") == 3
    assert not (project / "given").exists()


def test_an_unknown_page_is_an_error(
    commands: ModuleType, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main([str(tmp_path / "results"), "gone.md"]) == 1
    assert "gone.md: no such page" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_command_over_the_limit_is_ended_with_what_it_started(commands: ModuleType, tmp_path: Path) -> None:
    begin = time.monotonic()
    command = "sleep 60 & echo $! > pid; wait"
    result = commands.run(command, tmp_path, dict(os.environ), tmp_path / "log", 0.5)
    assert result.outcome == "over 0.5 s" and not result.passed
    assert time.monotonic() - begin < 30
    state = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    # Killed, it is gone as soon as the kernel gets to it.
    deadline = time.monotonic() + 30
    while _runs(state) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(state)


def _runs(state: Path) -> bool:
    try:
        return state.read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_copy_of_the_project_has_this_environment_and_installs_nothing(
    commands: ModuleType, project: Path, tmp_path: Path
) -> None:
    (project / "builds").mkdir()
    place = tmp_path / "place"
    variables = commands.work_folder(place)
    command = "test ! -e builds && test -f .venv/.installed && python -c 'import sys, yaml; print(sys.prefix)'"
    result = commands.run(command, place, variables, tmp_path / "log", 60)
    assert result.passed, (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text().splitlines()[-1] == str(place / ".venv")
    assert not (place / ".venv" / ".installed").is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["docs/figures.md", "docs/import-report.md"])
def test_commands_of_a_page_that_takes_under_a_minute_pass(commands: ModuleType, tmp_path: Path, name: str) -> None:
    """The script runs the other pages, which take minutes each."""
    code = commands.main([str(tmp_path), name])
    assert code == 0, next((tmp_path / "pages").glob("*.log")).read_text()
