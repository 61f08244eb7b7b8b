# SPDX-License-Identifier: Apache-2.0
"""Pages of the site that are not in this folder: the README, the example's, and the command line's own help."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent
# Links of the README, and those of the pages to what lies outside of docs/, as they are within the site.
LINKS = (("](docs/", "]("), ("](examples/README.md", "](example.md"), ("](../examples/README.md", "](example.md"))


def within_site(text: str) -> str:
    """`text` with links that work in the site; in the repository they lead to the files."""
    for outside, inside in LINKS:
        text = text.replace(outside, inside)
    return text


def command_line() -> str:
    """Every command with its arguments and options, by Typer from the program as it is."""
    command = [sys.executable, "-m", "typer", "qap2fpga.cli", "utils", "docs", "--name", "qap2fpga"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # Its own list of commands is cut off after some words; the site has a table of contents.
    found = re.sub(r"\*\*Commands\*\*:.*?(?=^## )", "", found, count=1, flags=re.DOTALL | re.MULTILINE)
    found = found.replace("# `qap2fpga`", "# Command line", 1)
    # Outside of code, "<model>" would be taken for a tag.
    return re.sub(r"`[^`]*`|<", lambda match: match[0] if match[0] != "<" else "&lt;", found)


def tutorial(text: str) -> str:
    """A tutorial in jupytext's percent form as a page: cells of words, and of Python."""
    cells = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)[1:]
    parts = []
    for kind, cell in zip(cells[::2], cells[1::2], strict=True):
        words = re.sub(r"^# ?", "", cell.strip(), flags=re.MULTILINE)
        parts.append(words if kind.strip() == "[markdown]" else f"```python\n{cell.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    pages = {
        "index.md": (ROOT / "README.md").read_text(),
        "example.md": (ROOT / "examples" / "README.md").read_text(),
        "command-line.md": command_line(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
    }
    for path in sorted((ROOT / "docs" / "tutorials").glob("*.py")):
        link = f"[This page as a script]({path.name}), which jupytext opens as a notebook.\n"
        pages[f"tutorials/{path.stem}.md"] = f"{tutorial(path.read_text())}\n{link}"
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Every page's links lead to pages of the site."""
    return within_site(markdown)
