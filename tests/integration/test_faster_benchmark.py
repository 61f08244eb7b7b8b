# SPDX-License-Identifier: Apache-2.0
"""The benchmark of one revision against another: what it runs, what it counts, and what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import faster
from benchmarks.faster import Cost, Revision, Task

PROGRAM = """import json, sys
from pathlib import Path
words = sys.argv[1:]
if "--help" in words:
    print(OPTIONS)
else:
    with open("calls", "a") as file:
        file.write(json.dumps(words) + chr(10))
    Path("builds").mkdir(exist_ok=True)
    Path("cache").mkdir(exist_ok=True)
    sys.exit(3 if "bad.pt" in words[1] else 0)
"""


def revision(folder: Path, options: str) -> Revision:
    """A checkout whose program writes down what it is asked for."""
    package = folder / "tree" / "qap2fpga"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM.replace("OPTIONS", repr(options)))
    (folder / "place").mkdir()
    return Revision(folder / "tree", folder / "place")


def calls(one: Revision) -> list[list[str]]:
    return [json.loads(line) for line in (one.place / "calls").read_text().splitlines()]


@pytest.mark.parametrize(("options", "alone"), [("--cache --no-cache", ["--no-cache"]), ("--quiet", [])])
def test_a_build_takes_nothing_from_others_where_there_is_a_cache(
    tmp_path: Path, options: str, alone: list[str]
) -> None:
    one = revision(tmp_path, options)
    cost = one.run(Task("a build", ("build", "net.pt", "--quiet"), None))
    assert cost.wall > 0 and cost.cpu > 0 and cost.mib > 1
    one.run(Task("an estimate", ("estimate", "net.pt"), None))
    model = str(tmp_path / "tree" / "net.pt")
    assert calls(one) == [["build", model, "--quiet", *alone], ["estimate", model]]


def test_what_is_about_the_cache_begins_with_an_empty_one(tmp_path: Path) -> None:
    one = revision(tmp_path, "--no-cache")
    (one.place / "cache").mkdir()
    (one.place / "cache" / "of before").touch()
    one.run(Task("a second build", ("build", "b.pt"), None, ("build", "a.pt")))
    assert [words[1:] for words in calls(one)] == [[str(tmp_path / "tree" / name)] for name in ("a.pt", "b.pt")]
    assert not list((one.place / "cache").iterdir())


def test_a_command_that_fails_ends_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        revision(tmp_path, "").run(Task("a build", ("build", "bad.pt"), None))


def test_a_figure_is_the_median_of_pairs() -> None:
    costs = [(Cost(2, 8, 10), Cost(1, 2, 30)), (Cost(4, 8, 20), Cost(1, 4, 10)), (Cost(8, 8, 5), Cost(8, 1, 5))]
    assert faster.figures(Task("t", ("build",), 0.5), costs) == {
        "aim": 0.5, "ratio": 0.5, "ratio_cpu": 0.25, "seconds": [4, 1], "cpu_seconds": [8, 2], "mib": [20, 30],
    }  # fmt: skip


def test_tasks_are_commands_that_the_program_has() -> None:
    assert {task.words[0] for task in faster.TASKS} == {"build", "estimate", faster.SCRIPT}
    assert all((faster.ROOT / task.words[1]).is_file() for task in faster.TASKS if task.words[0] != faster.SCRIPT)


def test_a_campaign_begins_anew(tmp_path: Path) -> None:
    one = revision(tmp_path, "")
    (tmp_path / "tree/qap2fpga/estimate").mkdir()
    (tmp_path / "tree/qap2fpga/estimate/campaign.py").write_text(
        "def run(backend, chosen, results, workers, say):\n"
        "    assert not results.exists() and workers == 2\n"
        "    results.touch()\n"
        "    return [{'seed': chosen}]\n"
    )
    (tmp_path / "tree/qap2fpga/estimate/draw.py").write_text("def recipes(count, seed):\n    return count\n")
    for _ in range(2):
        assert one.run(Task("a campaign", (faster.SCRIPT,), None)).wall > 0
