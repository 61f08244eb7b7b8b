# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a study says what its page says."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from qap2fpga.report import studies as checkpoints
from qap2fpga.report import study_means, study_table
from tests.support import studies


def rendered(folder: Path, width: int = 160) -> str:
    output = io.StringIO()
    study_table.render(checkpoints.load("s", folder), Console(file=output, width=width))
    return output.getvalue()


def test_a_setting_is_shown_before_pruning_and_after_its_last_step(tmp_path: Path) -> None:
    seeds = [*studies.folded(bits=6), *studies.folded(bits=6, seed=2)]
    folder = studies.write(tmp_path, [*seeds, studies.configure(bits=4, pruning__schedule="none")])
    means = study_means.means(checkpoints.load("s", folder).trained)
    first, last, alone = study_table.rows_of(means)
    assert first[1:3] == ("0", "8") and last[1:3] == (str(len(studies.SPARSITIES) - 1), "8")
    assert first[6] == "–" and last[6].startswith(f"{100 * (means[-2].lost or 0.0):.1f} ± ")
    assert last[3] == f"{means[-2].epochs:,.2f}".rstrip("0").rstrip(".") and last[4] == "98.8 %"
    # Of one run there is no error, and what is not pruned has one row.
    assert (alone[1], alone[2], alone[5]) == ("0", "1", f"{100 * means[-1].accuracy:.2f} %")
    text = rendered(folder)
    assert all(cell in text for row in (first, last, alone) for cell in row)
    assert "warning Pruning costs 'run-000'" in " ".join(text.split())


def test_trials_stand_in_a_table_of_their_search(tmp_path: Path) -> None:
    folder = studies.write(tmp_path, [studies.configure(bits=6)], studies.trials())
    content = json.loads((folder / "search.json").read_text())
    for trial in content["trials"]:
        trial["search"] = "sizes"
    objectives = {"accuracy": 0.756, "bops": 123456.0}
    best = [{"search": "sizes", "name": "trial-[3]", "objectives": objectives, "checkpoint": "runs/trial-003/a.pt"}]
    studies.dump(folder / "search.json", {**content, "pareto": best})
    assert len(list(study_table.rows_of(study_means.means(checkpoints.load("s", folder).trained)))) == 2
    text = rendered(folder)
    assert "best of sizes" in text and "trial-[3]" in text and "1.2346e+05" in text and "runs/trial-003/a.pt" in text
    assert all(len(line) <= 60 for line in rendered(folder, width=60).splitlines())


def test_a_study_of_which_nothing_is_trained_has_no_table(tmp_path: Path) -> None:
    assert rendered(studies.write(tmp_path, [])) == ""
