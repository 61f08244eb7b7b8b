# SPDX-License-Identifier: Apache-2.0
"""Many trainings of one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qap2fpga.library.table import Table, Tabular, of_dicts
from qap2fpga.report import mlflow_runs, show, studies, study_means, summary
from qap2fpga.report.mlflow_runs import Exported
from qap2fpga.report.studies import Study as Checkpoints
from qap2fpga.report.study_folder import FIGURES
from qap2fpga.train.study import Result

__all__ = ["Study", "study"]


@dataclass(frozen=True, eq=False, repr=False)
class Study(Tabular):
    """The trainings of a study; `study` gives one.

    Attributes:
        result: the folder, what was asked for, and by name the messages of what failed.
    """

    result: Result

    @property
    def folder(self) -> Path:
        """The study's folder: give it to `explore` and `compare`."""
        return self.result.folder

    @property
    def failures(self) -> dict[str, str]:
        """The messages of what failed, by name; a further call tries it again."""
        return self.result.failures

    @property
    def checkpoints(self) -> Checkpoints:
        """Every trained and pruned network of the study with its key numbers."""
        return studies.load(str(self.folder), self.folder)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where pruning costs many points of accuracy, and whether some networks learned longer than others."""
        return study_means.warnings(study_means.means(self.checkpoints.trained))

    @property
    def means(self) -> Table:
        """One row per setting and pruning step: means over folds and seeds, with their standard errors."""
        return of_dicts([study_means.values(one) for one in study_means.means(self.checkpoints.trained)])

    def require_finished(self) -> None:
        """Raise `QapError` (exit code 1) with the messages of what failed, if something did."""
        self.result.check()

    def figures(self, output: str | Path | None = None, *, quiet: bool = False) -> Path:
        """Draw the paper's figures, its table and its claims, and return their folder, by default `figures`."""
        from qap2fpga.train.figures import draw

        place = self.folder / FIGURES if output is None else Path(output)
        draw(self.folder, (lambda line: None) if quiet else print, place)
        return place

    def to_mlflow(self, experiment: str | None = None, address: str | None = None) -> Exported:
        """Write the finished runs to MLflow: settings, losses, metrics, record and checkpoints. Returns which.

        Args:
            experiment: MLflow's name of it; the folder's name if not given.
            address: of the tracking server or database; MLflow's own choice if not given.

        Raises:
            QapError: MLflow is not installed (`pip install 'qap2fpga[mlflow]'`), or refuses.
        """
        return mlflow_runs.export(self.folder, experiment, address)

    @property
    def heading(self) -> str:
        """Return the study in one line."""
        checkpoints = show.several(len(self.checkpoints.checkpoints), "checkpoint")
        return f"{self.folder}: {checkpoints}, {len(self.failures)} failed"

    @property
    def table(self) -> Table:
        """One row per checkpoint: bits, zeros, accuracy, BOPs, estimated LUTs."""
        return of_dicts([summary.values(one) for one in self.checkpoints.checkpoints])


def study(
    file: str | Path,
    output: str | Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    only: str | None = None,
    quiet: bool = False,
) -> Study:
    """Train what a study's YAML file says, in parallel. Called again on its folder, a study goes on.

    A script calls it below `if __name__ == "__main__":`, since worker processes import the script; a notebook need not.

    Args:
        file: what to train; docs/studies.md has the layout.
        output: the study's folder.
        scheduler: tcp://HOST:PORT of a Dask cluster that sees this folder; None: this machine.
        workers: trainings at a time on this machine; None: one per core.
        only: the name of one experiment or search to do.
        quiet: show nothing while it runs.

    Raises:
        QapError: a mistake in the file, before any work. A training that fails is in `failures`.
    """
    from qap2fpga.train.study import study as run

    return Study(run(Path(file), Path(output), scheduler=scheduler, workers=workers, only=only, quiet=quiet))
