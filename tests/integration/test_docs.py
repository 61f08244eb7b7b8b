# SPDX-License-Identifier: Apache-2.0
"""The documentation: a whole site that asks for nothing from a network, with the commands of the program as it is."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from qap2fpga.cli import app
from tests.support.command import run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = [str(command.name) for command in app.registered_commands]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """`docs/hooks.py`, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))


def sections(page: str) -> dict[str, str]:
    """Text of the command line's page by command."""
    parts = re.split(r"^## `qap2fpga ([a-z-]+)`$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_command_lines_page_is_what_help_says(hooks: ModuleType) -> None:
    result = sections(hooks.command_line())
    assert list(result) == COMMANDS
    for name, text in result.items():
        helped = run(name, "--help").out
        assert options(text) == options(helped), name
        # Every word of the help in its order, but for how it is laid out.
        plain = re.sub(r"[`*\s]|&lt;|<", "", text)
        for line in helped.partition("Options:")[2].splitlines():
            words = re.sub(r"[`*\s<]", "", line.strip().partition("  ")[2])
            assert words in plain, (name, line)


def test_help_keeps_what_stands_in_brackets() -> None:
    assert "[the board's]" in " ".join(run("build", "--help").out.split())
    assert "..." not in run("--help").out.partition("Commands:")[2], "a command's first sentence is cut off"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_documented_has_these_options(page: Path) -> None:
    text = re.sub(r" *\\\n *", " ", page.read_text())
    for line in re.findall(r"(?:^    |`)qap2fpga ([a-z][^`\n]*)", text, flags=re.MULTILINE):
        name, *arguments = shlex.split(line.replace("'", ""), comments=True)
        assert name in COMMANDS, line
        given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
        assert given <= options(run(name, "--help").out), line


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).is_file(), target


def test_links_to_what_is_outside_are_turned_to_the_site(hooks: ModuleType) -> None:
    text = "[a](docs/zynq.md) [b](../examples/README.md) ![c](docs/images/report.png) [d](limits.md)"
    assert hooks.within_site(text) == "[a](zynq.md) [b](example.md) ![c](images/report.png) [d](limits.md)"


def test_the_site_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    pages = {path.relative_to(site).with_suffix(""): path.read_text() for path in site.rglob("*.html")}
    sources = [*PAGES[1:], *(ROOT / "docs" / "tutorials").glob("*.py")]
    written = {path.relative_to(ROOT / "docs").with_suffix("") for path in sources}
    assert set(pages) == written | {
        Path("index"),
        Path("example"),
        Path("command-line"),
        Path("changelog"),
        Path("404"),
    }
    for name, text in pages.items():
        fetched = re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"?([^\s\">]+)", text)
        assert fetched, name
        assert not [place for place in fetched if re.match(r"(https?:)?//", place)], name


def test_a_broken_link_fails(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    content |= {"docs_dir": str(tmp_path / "docs"), "nav": ["index.md"], "hooks": []}
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[there](there.md)\n")
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "there.md" in done.stderr


# Where a proof runs, or is said not to, and so the word may stand: how often, and why.
PROVEN = {
    "README.md": (8, "the proofs' command and page, their time, and `audit`"),
    "mkdocs.yml": (4, "the pages of proofs"),
    "docs/commands.yaml": (4, "the pages of proofs"),
    "docs/architecture.md": (
        13,
        "adder graphs and requantizers: `AdderGraph.prove` and `implementations.prove`; prove/",
    ),
    "docs/api/build.md": (2, "the certificate"),
    "docs/api/index.md": (9, "`Build.proof` and `Build.prove`"),
    "docs/audit.md": (14, "what is of other tools' hardware"),
    "docs/growth.md": (10, "what builds prove, and how long that takes"),
    "docs/formats.md": (9, "the certificate"),
    "docs/limits.md": (8, "the same two, what is of the finn backend, and where to see what else is"),
    "qap2fpga/audit/proof.py": (12, "what is of other tools' hardware"),
    "qap2fpga/audit/run.py": (27, "the same"),
    "qap2fpga/build/collect.py": (7, "the certificate in the report"),
    "qap2fpga/build/sharing.py": (7, "the stage in the cache"),
    "qap2fpga/build/state.py": (3, "the stage"),
    "docs/quick-start.md": (1, "the stage"),
    "examples/README.md": (1, "two certificates of the builds beside it"),
    "qap2fpga/build/proving.py": (32, "the stage, and `qap2fpga prove`"),
    "qap2fpga/build/request.py": (3, "`--prove`"),
    "qap2fpga/build/run.py": (5, "`--prove`"),
    "qap2fpga/build/stages.py": (18, "the stage"),
    "qap2fpga/cli/__init__.py": (2, "`qap2fpga prove`"),
    "qap2fpga/cli/build.py": (4, "`--prove`"),
    "qap2fpga/cli/simulation.py": (13, "`qap2fpga prove`, and `audit --prove`"),
    "qap2fpga/library/audits.py": (8, "`audit`, and what it returns"),
    "qap2fpga/library/builds.py": (22, "`Build.prove`, and the option of a build"),
    "qap2fpga/library/proofs.py": (7, "`Build.prove`"),
    "qap2fpga/library/requests.py": (2, "the option of a build"),
    "qap2fpga/report/check.py": (10, "claims of the certificate"),
    "qap2fpga/report/schema/__init__.py": (3, "the certificate"),
    "qap2fpga/report/table.py": (3, "the certificate"),
    "qap2fpga/report/templates/build.html.jinja": (6, "the certificate"),
    "qap2fpga/requant/__init__.py": (1, "what the package is for"),
    "qap2fpga/requant/requantize.py": (5, "`implementations.prove`"),
    "qap2fpga/requant/implementations.py": (5, "`implementations.prove`"),
    "qap2fpga/backends/rtl/backend.py": (3, "adders, requantizers, and their targets"),
    "qap2fpga/requant/meaning.py": (2, "targets of requantizers against the layer's function"),
    "qap2fpga/backends/rtl/adders.py": (2, "`AdderGraph.prove`"),
    "qap2fpga/backends/rtl/solver.py": (3, "`AdderGraph.prove`"),
    "qap2fpga/backends/rtl/apart.py": (2, "graphs of the solver, joined and proven again by `AdderGraph.prove`"),
}


def test_proven_is_said_only_of_what_a_proof_ran_for() -> None:
    """Everything else is equal on n vectors, which is another thing."""
    shipped = [ROOT / name for name in ("README.md", "pyproject.toml", "mkdocs.yml")]
    for folder in ("docs", "qap2fpga", "flows", "boards", "examples", "docker"):
        shipped += sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())
    counts = {}
    for path in shipped:
        pages = ROOT / "docs" / "proofs.md", ROOT / "docs" / "proofs-measured.md"
        if path.is_relative_to(ROOT / "qap2fpga" / "prove") or path in pages:
            continue  # they are of nothing else
        if path.suffix in (
            ".md",
            ".toml",
            ".yml",
            ".yaml",
            ".py",
            ".jinja",
            ".js",
            ".v",
            ".sv",
            ".cpp",
            ".h",
            ".tcl",
            "",
        ):
            words = re.findall(
                r"\b(?:prov(?:e|en|ed|es|ing)|proofs?)\b", path.read_text(errors="replace"), re.IGNORECASE
            )
            counts[path.relative_to(ROOT).as_posix()] = len(words)
    assert {name: count for name, count in counts.items() if count} == {
        name: most for name, (most, _) in PROVEN.items()
    }
    assert len(counts) > 250 and "qap2fpga/report/templates/build.html.jinja" in counts
    helped = run("--help").out + run("build", "--help").out
    # The command, what it does, the option, what it does, and its opposite.
    assert len(re.findall(r"\bprove|\bproof", helped, re.IGNORECASE)) == 5
