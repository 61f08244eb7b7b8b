# SPDX-License-Identifier: Apache-2.0
"""The tutorials run as notebooks in an empty folder, and are pages of the site."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jupytext
import nbclient
import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))


def shown(notebook: dict) -> list[dict]:
    """What its cells printed and showed, by kind of content."""
    return [one for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs]


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_its_results_are_tables(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = jupytext.read(path)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    results = [one["data"] for one in shown(notebook) if one.output_type == "execute_result"]
    assert any("<table>" in one.get("text/html", "") for one in results)
    assert not [one for one in shown(notebook) if one.output_type == "error"]


def test_every_tutorial_is_in_the_sites_navigation() -> None:
    pages = (ROOT / "mkdocs.yml").read_text()
    assert len(TUTORIALS) == 5
    for path in TUTORIALS:
        assert f"tutorials/{path.stem}.md" in pages


def test_a_tutorial_becomes_a_page() -> None:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None and spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    text = "# SPDX\n# %% [markdown]\n# # Title\n#\n# words\n\n# %%\nx = 1\n\n\n# %%\nx\n"
    assert hooks.tutorial(text) == "# Title\n\nwords\n\n```python\nx = 1\n```\n\n```python\nx\n```\n"
    for path in TUTORIALS:
        page = hooks.tutorial(path.read_text())
        assert page.startswith("# ") and "%%" not in page and "SPDX" not in page
        assert page.count("```python") == path.read_text().count("# %%\n")
