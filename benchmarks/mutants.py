# SPDX-License-Identifier: Apache-2.0
"""Single faults planted in the program's core, and whether the fast tests beside it notice: `make mutants`.

    python benchmarks/mutants.py [--per-module N | --guards] [--seed S] [--only MODULE] [--jobs J] [--output FILE]

Each mutant is one small change: a comparison's border, an operator, a constant, a condition, a guard that no longer
raises, `min` for `max`. Which ones are drawn depends on the seed and on the code alone; guards that matter most are
listed in `mutants.yaml` and planted in every run. A mutant is killed when the tests of its module fail or take too
long. Survivors are printed; one that stands in `mutants.yaml`, with the reason why no test can notice it, does not
count. Exits with 1 when less than 95 % are killed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

import yaml

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("mutants.yaml")
LEAST_KILLED = 0.95
TIME_LIMIT_S = 180
BORDERS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Div: ast.Mult, ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


@dataclass(frozen=True)
class Mutant:
    """One change: in `module` at `line`, `before` became `after`."""

    module: str
    line: int
    change: str
    before: str
    after: str

    @property
    def text(self) -> str:
        """The change as people, and `mutants.yaml`, name it."""
        return f"{self.before} -> {self.after}"


def candidates(tree: ast.Module) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """Yield (node, what changes, the node that takes its place) for every fault that could be planted."""
    left_alone = {id(inner) for node in ast.walk(tree) for part in _left_alone(node) for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) not in left_alone:
            yield from _changes(node)


def _left_alone(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of `node` that compute nothing: types, decorators, what people read, how strict a zip is."""
    for field in ("annotation", "returns"):
        part = getattr(node, field, None)
        if part is not None:
            yield part
    yield from getattr(node, "decorator_list", ())
    if isinstance(node, ast.Raise | ast.JoinedStr) or (isinstance(node, ast.keyword) and node.arg == "strict"):
        yield node


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            operators = [*node.ops]
            operators[place] = BORDERS[type(operator)]()
            yield node, "comparison", ast.Compare(node.left, operators, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        yield node, "operator", ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "and or", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node, "sign", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield node, "constant", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield node, "constant", ast.Constant(not node.value)
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield node, "name", ast.Name(NAMES[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield node, "name", ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.If):
        if isinstance(node.body[-1], ast.Raise):
            yield node.test, "guard", ast.Constant(False)
        else:
            yield node.test, "condition", ast.UnaryOp(ast.Not(), node.test)


def _is_text(node: ast.BinOp) -> bool:
    """Whether an operator joins texts: what people read is no arithmetic."""
    sides = (node.left, node.right)
    return any(
        isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        for one in sides
    )


def plant(source: str, node: ast.AST, other: ast.AST) -> str:
    """Return `source` in which `other` stands where `node` was; everything else keeps its place."""
    lines = source.encode().splitlines(keepends=True)
    begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset  # type: ignore[attr-defined]
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset  # type: ignore[attr-defined]
    whole = source.encode()
    return (whole[:begin] + f"({ast.unparse(ast.fix_missing_locations(other))})".encode() + whole[end:]).decode()


def drawn(module: str, count: int | None, seed: int) -> list[tuple[Mutant, str]]:
    """Return `count` mutants of `module`, guards first, each with the changed source; None: all guards alone."""
    source = (ROOT / module).read_text()
    every = list(candidates(ast.parse(source)))
    order = random.Random(f"{seed} {module}")
    order.shuffle(every)
    guards = [one for one in every if one[1] == "guard"]
    others = [one for one in every if one[1] != "guard"]
    chosen = guards if count is None else [*guards[: count // 3], *others][:count]
    mutants = []
    for node, change, other in chosen:
        text = plant(source, node, other)
        before = " ".join((ast.get_source_segment(source, node) or "").split())
        line = source.splitlines()[node.lineno - 1].strip()  # type: ignore[attr-defined]
        after = ast.unparse(ast.fix_missing_locations(other))
        mutants.append(
            (Mutant(module, node.lineno, change, before if before == line else f"{before}  in  {line}", after), text)
        )  # type: ignore[attr-defined]
    return mutants


def listed(module: str, changes: dict[str, str]) -> list[tuple[Mutant, str]]:
    """Return a mutant of `module` for each of `changes` (text before: text after), with the changed source."""
    source = (ROOT / module).read_text()
    mutants = []
    for before, after in changes.items():
        if source.count(before) != 1:
            raise SystemExit(f"{LIST.name}: {module} has {source.count(before)} times: {before}")
        line = source[: source.index(before)].count("\n") + 1
        texts = (" ".join(text.split()) for text in (before, after))
        mutants.append((Mutant(module, line, "planted", *texts), source.replace(before, after)))
    return mutants


# Libraries that a tester has imported before it forks: a mutant's tests begin at once.
LIBRARIES = ("numpy", "yaml", "hypothesis", "onnx", "torch", "qonnx.core.modelwrapper", "pytest")
# Reads a line of arguments for pytest, runs it in a child, and answers with the exit status; -1: it took too long.
TESTER = f"""
import importlib, json, os, signal, sys
for name in {LIBRARIES!r}:
    importlib.import_module(name)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.setsid()
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        os._exit(int(sys.modules["pytest"].main(json.loads(line))))
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm({TIME_LIMIT_S})
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(0)
    print(status, file=sys.__stdout__, flush=True)
"""


class Checkout:
    """A copy of the program in which mutants are planted, and a process that runs tests there."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        self.tester = subprocess.Popen(
            [sys.executable, "-c", TESTER], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        # A module's compiled code is known by its time in seconds and its size: no two mutants may share both.
        self.time = int(time.time())

    def killed(self, mutant: Mutant, text: str, tests: list[str]) -> bool:
        """Return whether `tests` notice the `mutant`, whose module's source is `text`."""
        place = self.folder / mutant.module
        original = place.read_bytes()
        try:
            self._write(place, text.encode())
            return self.fail(tests)
        finally:
            self._write(place, original)

    def _write(self, place: Path, content: bytes) -> None:
        place.write_bytes(content)
        self.time += 1
        os.utime(place, (self.time, self.time))

    def fail(self, tests: list[str]) -> bool:
        """Return whether `tests` fail as the program is now; also when they take too long or end the process."""
        assert self.tester.stdin is not None
        assert self.tester.stdout is not None
        # Libraries are there already, and that pytest then does not rewrite their assertions is no fault.
        calm = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        arguments = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *calm, *tests]
        self.tester.stdin.write(json.dumps(arguments) + "\n")
        self.tester.stdin.flush()
        status = int(self.tester.stdout.readline())
        # 4: a wrong command line or a module that cannot be imported, 5: no test. Neither is the tests' word.
        if status == 5:
            raise RuntimeError(f"{' '.join(tests)}: there are no such tests")
        return status != 0

    def close(self) -> None:
        """End the tester."""
        self.tester.communicate()


class Checkouts:
    """Copies for so many jobs; each serves one mutant at a time."""

    def __init__(self, jobs: int, folder: Path) -> None:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        names = [name for name in listed.splitlines() if (ROOT / name).is_file()]
        self.every = [Checkout(folder / f"copy{number}", names) for number in range(jobs)]
        self.free: Queue[Checkout] = Queue()
        for copy in self.every:
            self.free.put(copy)

    @contextmanager
    def one(self) -> Iterator[Checkout]:
        """A copy that nobody else has in the meantime."""
        copy = self.free.get()
        try:
            yield copy
        finally:
            self.free.put(copy)

    def killed(self, mutant: Mutant, text: str, tests: list[str]) -> bool:
        """Return whether `tests` notice the `mutant`, whose module's source is `text`."""
        with self.one() as copy:
            return copy.killed(mutant, text, tests)

    def fail(self, tests: list[str]) -> bool:
        """Return whether `tests` fail as the program is."""
        with self.one() as copy:
            return copy.fail(tests)

    def close(self) -> None:
        """End what runs tests."""
        for copy in self.every:
            copy.close()


def excused(mutant: Mutant, reasons: dict[str, dict[str, str]]) -> str | None:
    """Return the reason why no test can notice the `mutant`, if one is listed."""
    return reasons.get(mutant.module, {}).get(mutant.text)


def main() -> None:
    """Draw, plant, test, and say what survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-module", type=int, default=5)
    parser.add_argument("--guards", action="store_true", help="every guard instead of so many mutants a module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="modules whose path has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    lists = yaml.safe_load(LIST.read_text())
    modules = {name: tests for name, tests in lists["modules"].items() if arguments.only in name}
    per_module = None if arguments.guards else arguments.per_module
    work = [(mutant, text, modules[name]) for name in modules
            for mutant, text in [*listed(name, lists["planted"].get(name, {})),
                                 *drawn(name, per_module, arguments.seed)]]  # fmt: skip
    survivors: list[Mutant] = []
    pardoned = 0
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(arguments.jobs) as pool:
        checkouts = Checkouts(arguments.jobs, Path(scratch))
        different = sorted({tuple(tests) for tests in modules.values()})
        for tests, failed in zip(different, pool.map(lambda one: checkouts.fail([*one]), different), strict=True):
            if failed:
                raise SystemExit(f"{' '.join(tests)} fail without any mutant, so they say nothing")
        for (mutant, _, _), killed in zip(work, pool.map(lambda one: checkouts.killed(*one), work), strict=True):
            reason = None if killed else excused(mutant, lists["excused"])
            state = "killed" if killed else f"excused: {reason}" if reason else "SURVIVED"
            print(f"{mutant.module}:{mutant.line} {mutant.change}: {mutant.text}: {state}", flush=True)
            pardoned += reason is not None
            if not killed and reason is None:
                survivors.append(mutant)
        checkouts.close()
    counted = len(work) - pardoned
    share = (counted - len(survivors)) / counted if counted else 0.0
    killed_count = counted - len(survivors)
    print(f"{len(work)} mutants: {killed_count} killed, {pardoned} excused, {len(survivors)} survived; {share:.1%}")
    if arguments.output is not None:
        arguments.output.write_text(json.dumps([asdict(one) for one in survivors], indent=1))
    sys.exit(share < LEAST_KILLED)


if __name__ == "__main__":
    main()
