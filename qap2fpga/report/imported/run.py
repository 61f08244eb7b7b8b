# SPDX-License-Identifier: Apache-2.0
"""`qap2fpga import-report`: a folder of results in, one checked report a design out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from qap2fpga.hw.boards import Board
from qap2fpga.report import content
from qap2fpga.report.imported.content import collect
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.network import Model
from qap2fpga.report.schema.results import CsynthPrediction
from qap2fpga.reports.designs import group
from qap2fpga.reports.folder import read_folder
from qap2fpga.system.codec import decode
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256, write_atomically

Imported = tuple[Path, Report]


@dataclass(frozen=True)
class ImportRequest:
    """What to import. `model` is a `model.pt`, a QONNX file, or a build whose model is taken; reports of C synthesis
    are compared with what a build by the hls4ml backend predicts. `output` is where the report goes, one folder per
    design in it if there are several."""

    folder: Path
    name: str | None = None
    board: Board | None = None
    model: Path | None = None
    output: Path | None = None


def import_reports(request: ImportRequest, say: Callable[[str], None]) -> list[Imported]:
    """Read, group, check and write; (folder, report) of every design. Raises `QapError` when nothing can be read."""
    results = read_folder(request.folder)
    designs = group(results.reports)
    name = _slug(request.name or request.folder.resolve().name)
    model = None if request.model is None else _model(request.model, say)
    predicted = None if request.model is None else _csynth(request.model)
    output = request.output or Path("builds") / f"{name}-imported"
    if len(designs) == 1:
        designs = [replace(designs[0], name=name)]
    places = [output if len(designs) == 1 else output / one.name for one in designs]
    files = [
        (place, collect(one, designs, results, request.board, model, predicted))
        for place, one in zip(places, designs, strict=True)
    ]
    for place, _ in files:
        if (place / ".qap2fpga").exists():
            raise QapError(f"{place} holds a build, whose report would be lost", "give another folder with --output")
    for place, report in files:
        write_atomically(place / "report.json", content.dump(report))
    return files


def _slug(name: str) -> str:
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-.")
    if not plain:
        raise QapError(f"'{name}' is no name for a folder", "give one with --name")
    return plain


def _model(path: Path, say: Callable[[str], None]) -> Model:
    """The `model` part of a report: of a build, or read from a model file."""
    if path.is_dir() or path.name == "report.json":
        model = content.load(path).model
        if model is None:
            raise QapError(f"the report in {path} has no model itself", "give the model, or a build of it")
        return model
    if not path.is_file():
        raise QapError(f"{path} does not exist", "give a model.pt, a QONNX file or a build folder")
    if path.suffix not in (".pt", ".onnx"):
        hint = "run qap2fpga build --until model on it, with the options it needs, and give that build folder"
        raise QapError(f"{path} does not describe its network in full", hint)
    from qap2fpga.frontend.checkpoint.widths import Widths
    from qap2fpga.frontend.prepare import Source, prepare

    prepared = prepare(Source(path, Widths()), say)
    facts = {key: value for key, value in prepared.facts.record().items() if key != "file"}
    tree = {"file": path.name, "sha256": sha256(path), **facts}
    described: Model = decode(Model, json.loads(json.dumps(tree)), "model", str(path))
    return described


def _csynth(path: Path) -> CsynthPrediction | None:
    """What a build by the hls4ml backend predicts of C synthesis, if `path` is one."""
    return content.load(path).csynth if path.is_dir() or path.name == "report.json" else None
