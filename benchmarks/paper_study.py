# SPDX-License-Identifier: Apache-2.0
"""The docs page 'What the paper found, and what we find', of a study that was run before.

    qap2fpga study examples/study.yaml --output STUDY
    python -m benchmarks.paper_study STUDY --page docs/paper.md

A study that is not whole gives a page that says how much of it there is.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from qap2fpga.system.files import write_atomically
from qap2fpga.train.figures import chart, claims, image, records, table, tradeoff
from qap2fpga.train.figures.records import Study

PAGE = """\
# What the paper found, and what we find

Hawks et al. 2021, "Ps and Qs" (doi:10.3389/frai.2021.676564), trained and pruned jet taggers of 16-64-32-32-5 neurons
on 630,000 jets of the hls4ml data. Here are its findings beside the same experiments on {rows:,} jets of our own
simulation ([training](training.md)), by one file, and without [the mistakes of the paper's code](paper-code.md):

    qap2fpga study examples/study.yaml --output STUDY
    python -m benchmarks.paper_study STUDY --page docs/paper.md

{runs} runs and {trials} trials of searches are in this page{missing}. Each point is
{folds} folds of cross-validation, {epochs} epochs and {pruning} more for each of eleven pruning steps. All folds share
{tested:,} test jets, so what other test jets would change, {sample:.1f} points of accuracy, is not in the errors. With
fewer jets than the paper's all networks are less accurate than there; what is compared are networks with each other.
The paper's BOPs are those that its code counts, which takes inputs of 32 bits.

{verdicts}

## Claims

Ours is the mean over folds, with its standard error. A claim holds, or does not, where that is two errors or more on
one side of the limit; [figures](figures.md#claims) says more.

{claims}
## Table 1

A pruned network is the sparsest whose mean accuracy is within a point of that before pruning.

{table}
## Accuracy against bit operations

![accuracy and background efficiency against bit operations, a curve for each width](paper.svg)
"""


def page(study: Study) -> str:
    """Return the page of a study."""
    lines = claims.claims(study)
    first = study.runs[0]
    config = first.config
    record = json.loads((study.folder / "runs" / first.name / "record.json").read_text())
    rows = {name: int(record["data"][f"{name}_rows"]) for name in ("training", "validation", "test")}
    tested = rows["test"]
    counts = Counter(line.verdict for line in lines)
    order = (claims.HOLDS, claims.FAILS, claims.OPEN, claims.UNKNOWN)
    verdicts = ", ".join(f"*{name}* {counts[name]}" for name in order if counts[name])
    missing = f"; {study.unfinished} more are not finished" if study.unfinished else ""
    return PAGE.format(
        rows=sum(rows.values()), runs=len(study.runs), trials=len(study.trials), missing=missing,
        folds=(config.fold or (1, 1))[1], epochs=config.training.epochs, pruning=config.pruning.epochs, tested=tested,
        sample=100 * (first.steps[0].accuracy * (1 - first.steps[0].accuracy) / tested) ** 0.5,
        verdicts=f"Verdicts on {len(lines)} numbers: {verdicts}.", claims=claims.to_markdown(lines),
        table=table.to_markdown(table.rows(study)),
    )  # fmt: skip


def main() -> None:
    """Write the page and its figure beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    asked = parser.parse_args()
    study = records.load(asked.study)
    figure = tradeoff.bops(study)
    assert isinstance(figure, chart.Chart), figure.needs
    write_atomically(asked.page.with_suffix(".svg"), image.render(figure)[1])
    write_atomically(asked.page, page(study))


if __name__ == "__main__":
    main()
