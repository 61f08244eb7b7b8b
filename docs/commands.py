# SPDX-License-Identifier: Apache-2.0
"""Run the commands of the documentation as they are written, page by page.

    python docs/commands.py                                     # list them: which are run, which are not and why
    python docs/commands.py FOLDER [PAGE ...] [--limit 600]     # run them; the same command continues where it stopped

Every page gets a copy of the project in FOLDER/pages, so that its commands see what the earlier ones left. The result
of each is a line of FOLDER/results.jsonl; what passed is not run again while the page's copy is there.
docs/commands.yaml says what stands for the reader's own files, and which commands are not run and why. Exit code 1:
one did not pass.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PLAN = ROOT / "docs" / "commands.yaml"
# What a line of a shell begins with, after its variables and sudo.
PROGRAMS = {"qap2fpga", "python", "python3", "pip", "make", "docker", "docker/csim", "dask", "xdg-open", "ecpprog",
            ".ci/run", ".venv/bin/pre-commit"}  # fmt: skip
SHELLS = {"sh", "bash", "shell", "console"}
NOT_COPIED = (".git", ".venv", "builds", "site", "dist", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")


@dataclass(frozen=True)
class Command:
    """A command of a page, without its comment, and the line where it begins."""

    page: str
    line: int
    text: str


@dataclass
class Page:
    """What stands apart on a page: commands, and the first words of blocks that have none and name no language."""

    commands: list[Command] = field(default_factory=list)
    quotes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How the commands of a page are run: what comes before them, and reasons not to run one."""

    before: list[str] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    no_commands: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """How a command ended, and after how many seconds."""

    outcome: str
    seconds: float

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


def pages() -> dict[str, str]:
    """Return the text of every page of the documentation by its path in the project."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def program(line: str) -> str:
    """Return the word that a line of a shell runs."""
    words = line.split()
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] == "sudo"):
        words.pop(0)
    return words[0] if words else ""


def extract(name: str, text: str) -> Page:
    """Return what stands apart on the page `name`: in fences, indented, or a command in a table's first cell."""
    page = Page()
    for line, language, lines in apart(text):
        if language in SHELLS or (not language and program(lines[0]) in PROGRAMS):
            page.commands += shell(name, line, lines)
        elif not language:
            page.quotes.append(lines[0].split()[0])
    for number, row in enumerate(text.splitlines(), 1):
        cell = re.match(r"\| *`([^`|]+)` *\|", row)
        if cell and program(cell[1]) in PROGRAMS and re.search("[ /]", cell[1]):  # no bare name
            page.commands.append(Command(name, number, cell[1]))
    page.commands.sort(key=lambda one: one.line)
    return page


def apart(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the first line's number, the language and the lines of each block; a blank line ends an indented one."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        start = at
        if lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            yield at + 2, lines[at].strip("` "), lines[at + 1 : end]
            at = end
        elif lines[at].startswith("    ") and lines[at].strip() and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and lines[at].startswith("    ") and lines[at].strip():
                at += 1
            yield start + 1, "", [line.strip() for line in lines[start:at]]
        at += 1


def shell(name: str, first: int, lines: list[str]) -> Iterator[Command]:
    """Yield the commands of a block: lines that end in a backslash are joined, comments are left out."""
    begun: tuple[int, str] | None = None
    for number, line in enumerate(lines, first):
        text = re.sub(r"(^|\s+)#(\s.*)?$", "", line)
        start, before = begun or (number, "")
        text = " ".join(f"{before} {text}".split())
        begun = (start, text[:-1]) if text.endswith("\\") else None
        if text and not begun:
            yield Command(name, start, text)


def plans(path: Path = PLAN) -> dict[str, Plan]:
    """Return the plan of each page that has one."""
    content = yaml.safe_load(path.read_text())
    return {
        name: Plan(**{key.replace(" ", "_"): value for key, value in plan.items()}) for name, plan in content.items()
    }


def mistakes(known: dict[str, Page], planned: dict[str, Plan]) -> list[str]:
    """Return where the plan and the pages do not agree, so that neither can forget a command."""
    wrong = [f"{name}: no such page" for name in planned if name not in known]
    for name, page in known.items():
        plan = planned.get(name, Plan())
        here = {one.text for one in page.commands}
        wrong += [f"{name}: no longer has the command {text!r}" for text in plan.not_run if text not in here]
        wrong += [f"{name}: {text!r} has no reason" for text, reason in plan.not_run.items() if not reason]
        wrong += [f"{name}:{one.line}: begins with no known program: {one.text!r}" for one in page.commands
                  if program(one.text) not in PROGRAMS]  # fmt: skip
        wrong += [f"{name}: a block that begins with {word!r}: is it a command?" for word in page.quotes
                  if word not in plan.no_commands]  # fmt: skip
        wrong += [f"{name}: no block begins with {word!r}" for word in plan.no_commands if word not in page.quotes]
    return wrong


class Record:
    """The results of a folder: a line for each command that ended."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "results.jsonl"
        self.results: dict[tuple[str, str], Result] = {}
        if self.path.is_file():
            for one in map(json.loads, self.path.read_text().splitlines()):
                self.results[one["page"], one["command"]] = Result(one["outcome"], one["seconds"])

    def forget(self, page: str) -> None:
        """Take the results of `page` for none: the folder that its commands worked in is gone."""
        self.results = {key: one for key, one in self.results.items() if key[0] != page}

    def add(self, page: str, command: str, result: Result) -> None:
        """Note the result of a command."""
        self.results[page, command] = result
        line = {"page": page, "command": command, "outcome": result.outcome, "seconds": round(result.seconds, 1)}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def work_folder(folder: Path) -> dict[str, str]:
    """Copy the project into `folder`, with this environment as its .venv, and return the variables of a shell there."""
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    environment = folder / ".venv"
    environment.mkdir(exist_ok=True)
    for path in Path(sys.prefix).iterdir():
        if path.name != ".installed" and not (environment / path.name).exists():
            (environment / path.name).symlink_to(path)
    (environment / ".installed").touch()  # what tells make that there is nothing to install
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(folder), "VIRTUAL_ENV": str(environment)}


def run(command: str, folder: Path, variables: dict[str, str], log: Path, limit: float) -> Result:
    """Run a command in `folder`, for `limit` seconds at most, and append what it writes to `log`."""
    begin = time.monotonic()
    with log.open("a") as file:
        file.write(f"\n$ {command}\n")
        file.flush()
        process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=variables, stdin=subprocess.DEVNULL,
                                   stdout=file, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        try:
            code = process.wait(limit)
            outcome = "passed" if code == 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            outcome = f"over {limit:g} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return Result(outcome, time.monotonic() - begin)


def run_page(name: str, page: Page, plan: Plan, folder: Path, limit: float) -> None:
    """Run what has not passed yet of a page's commands, in their order."""
    place = folder / "pages" / name.removesuffix(".md").replace("/", "-")
    record = Record(folder)
    if not place.is_dir():
        record.forget(name)
    wanted = [*plan.before, *(one.text for one in page.commands if one.text not in plan.not_run)]
    left = [text for text in dict.fromkeys(wanted) if not record.results.get((name, text), Result("", 0)).passed]
    if not left:
        return
    variables = work_folder(place)
    for text in left:
        print(f"{name}: {first_line(text)}", flush=True)
        result = run(text, place, variables, place.with_name(f"{place.name}.log"), limit)
        record.add(name, text, result)
        print(f"  {result.outcome}, {result.seconds:.1f} s", flush=True)


def first_line(text: str) -> str:
    """Return a command in one line."""
    first, _, further = text.partition("\n")
    return f"{first} ..." if further else first


def table(known: dict[str, Page], planned: dict[str, Plan], record: Record | None) -> Iterator[str]:
    """Yield a line for each command: where it is, how it ended or why it is not run, and how long it took."""
    for name, page in known.items():
        plan = planned.get(name, Plan())
        steps = [(f"{name} (before)", text) for text in plan.before]
        for place, text in [*steps, *((f"{name}:{one.line}", one.text) for one in page.commands)]:
            result = record.results.get((name, text)) if record else None
            outcome, seconds = (result.outcome, f"{result.seconds:.1f} s") if result else ("to be run", "")
            reason = plan.not_run.get(text, "")
            if reason:
                outcome, seconds, reason = "not run", "", f"  ({reason})"
            yield f"{place:34} {outcome:12} {seconds:>8}  {first_line(text)}{reason}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where pages are copied and results are kept")
    parser.add_argument("pages", nargs="*", help="paths in the project; without: all")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each command")
    given = parser.parse_args(arguments)
    known = {name: extract(name, text) for name, text in pages().items()}
    planned = plans()
    if wrong := [*mistakes(known, planned), *(f"{name}: no such page" for name in given.pages if name not in known)]:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    chosen = {name: page for name, page in known.items() if name in (given.pages or known)}
    if given.folder is None:
        print("\n".join(table(chosen, planned, None)))
        return 0
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in chosen.items():
        run_page(name, page, planned.get(name, Plan()), folder, given.limit)
    record = Record(folder)
    print("\n".join(table(chosen, planned, record)))
    return int(any(not result.passed for (name, _), result in record.results.items() if name in chosen))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs is ended too
    sys.exit(main())
