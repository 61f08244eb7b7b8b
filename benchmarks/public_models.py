# SPDX-License-Identifier: Apache-2.0
"""What the front end makes of model files that others have published, and whether that is what is expected.

    python -m benchmarks.public_models FOLDER [NAME ...] [--rows 8] [--build RESULTS.jsonl [--limit SECONDS]]

FOLDER has the files and a MANIFEST.tsv with the columns `file` and `expected`. A file that is taken is also executed as
it is, by onnxruntime or qonnx, and its outputs are compared with those of the integer network on a few random rows.
With `--build` files are built as far as `simulate` instead, by a backend that can hold them: `public_builds.py`.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from benchmarks.public_builds import build_all
from qap2fpga.frontend import onnxfile
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.dialects import spelling
from qap2fpga.frontend.operators import OF_QONNX, REWRITTEN
from qap2fpga.frontend.prepare import Prepared, Source, prepare
from qap2fpga.frontend.trial import real_inputs
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.shown import Frame
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.quiet import quiet

RANGE = (-1.0, 1.0)
# What a user would give where the file does not say it: by what the refusal asks for.
MORE = {
    "no input quantizer": ("--input-range=-1,1", {"range": RANGE}),
    "bit widths": ("--bits=4", {"widths": Widths((4,), (4,), 4)}),
}


@dataclass(frozen=True)
class Outcome:
    """What became of a file: accepted with further options, or refused for a reason."""

    accepted: bool
    given: str
    seconds: float
    reason: str

    def is_expected(self, text: str) -> bool:
        """Return whether the manifest's words allow it."""
        either = any(word in text for word in (" or ", "unless", "may be refused"))
        return either or text.startswith("accept") == self.accepted


def outcome(path: Path, rows: int) -> Outcome:
    """Read the file at `path`, with more options as its refusals ask for them."""
    source, given, start = Source(path, Widths()), [], time.monotonic()
    while True:
        try:
            prepared = prepare(source, lambda text: None)
        except (QapError, CheckFailed) as error:
            asked = next((key for key in MORE if key in str(error) and MORE[key][0] not in given), None)
            if asked is None:
                return Outcome(False, " ".join(given), time.monotonic() - start, f"{error}".replace("\n", " "))
            given.append(MORE[asked][0])
            source = replace(source, **MORE[asked][1])
            continue
        seconds = time.monotonic() - start
        return Outcome(True, " ".join(given), seconds, _compared(path, prepared, rows))


def _compared(path: Path, prepared: Prepared, rows: int) -> str:
    """How far the file, executed as it is, agrees with the integer network."""
    ties = sum(one.rounding_ties or 0 for one in prepared.simulations)
    words = f"equal to qonnx node by node, {ties} rounding ties"
    if path.suffix != ".onnx":
        return words
    quantizer, integers = prepared.lowered.input, prepared.random[:rows]
    reals = real_inputs(quantizer, integers)
    try:
        theirs = _positions(_executed(path, _rows(prepared.facts.network.frame, reals)), prepared.lowered)
    except Exception as error:  # whatever the libraries raise of a file that they cannot execute as it is
        return f"{words}; as it is it cannot be executed: {str(error).splitlines()[0][:80]}"
    unit = float(prepared.lowered.output_scale)
    mine = prepared.lowered.run(integers)
    if theirs.shape != mine.shape:  # it ends in the class
        same = theirs[:, 0] == mine.argmax(axis=1)
        return f"{words}; as it is: {int(same.sum())} of {len(same)} rows of the same class"
    apart = np.abs(theirs - mine * unit).max(axis=1) / unit
    return (
        f"{words}; as it is: {int((apart < 1).sum())} of {len(apart)} rows within one unit, {apart.max():.2g} at most"
    )


def _rows(frame: Frame | None, reals: np.ndarray) -> np.ndarray:
    """The rows of the model whose frames are `reals`."""
    if frame is None:
        return reals
    turned = reals.reshape(len(reals), *(frame.parts[part] for part in frame.moves))
    back = [0, *(1 + frame.moves.index(part) for part in range(len(frame.parts)))]
    return turned.transpose(back).reshape(len(reals), *frame.model)


def _positions(outputs: np.ndarray, graph: Graph) -> np.ndarray:
    """Outputs (n, values) with the channels of a position together, as hardware gives them."""
    size = graph.shapes[graph.output]
    if size.positions > 1 and outputs.shape[1:] == (size.channels, size.height, size.width):
        outputs = np.moveaxis(outputs, 1, -1)
    return outputs.reshape(len(outputs), -1)


def _executed(path: Path, reals: np.ndarray) -> np.ndarray:
    """The outputs (n, ...) that onnxruntime, or qonnx where it has operators of its own, computes of the file."""
    model = onnx.load(str(path))
    onnxfile.take_as_data(model)
    model = spelling.unified(model)
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    stored = {tensor.name for tensor in model.graph.initializer}
    entering = next(value for value in model.graph.input if value.name not in stored)
    shape = [dim.dim_value or 1 for dim in entering.type.tensor_type.shape.dim]
    with quiet():
        if any(node.op_type in (*OF_QONNX, *REWRITTEN) for node in model.graph.node):
            graph = ModelWrapper(model).transform(InferShapes())
            name = graph.graph.output[0].name

            def run(batch: np.ndarray) -> np.ndarray:
                return np.asarray(execute_onnx(graph, {entering.name: batch})[name])
        else:
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

            def run(batch: np.ndarray) -> np.ndarray:
                return np.asarray(session.run(None, {entering.name: batch})[0])

        outputs = [run(np.resize(row, shape).astype(np.float32)) for row in reals]
    return np.stack([output.reshape(shape[0], *output.shape[1:])[0] for output in outputs])


def main() -> None:
    """Print a row per file of the manifest, and how many are as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only files whose names begin so")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--build", type=Path, metavar="RESULTS", help="build, and append a line per file to RESULTS")
    parser.add_argument("--limit", type=float, default=600, help="seconds per stage of a build")
    asked = parser.parse_args()
    with (asked.folder / "MANIFEST.tsv").open(newline="") as file:
        entries = [(row["file"], row["expected"]) for row in csv.DictReader(file, delimiter="\t")]
    # In the order of the names that were given.
    chosen = [one for name in asked.names or [""] for one in entries if one[0].startswith(name)]
    if asked.build is not None:
        options = {words: option for words, (option, _) in MORE.items()}
        build_all([asked.folder / name for name, _ in chosen], options, asked.build, asked.limit)
        return
    as_expected = 0
    print("file\texpected\toutcome\tas expected\tseconds\treason", flush=True)
    for name, expected in chosen:
        one = outcome(asked.folder / name, asked.rows)
        as_expected += one.is_expected(expected)
        words = " ".join(filter(None, ["accepted" if one.accepted else "refused", one.given]))
        known = "yes" if one.is_expected(expected) else "NO"
        print(f"{name}\t{expected}\t{words}\t{known}\t{one.seconds:.1f}\t{one.reason}", flush=True)
    print(f"{as_expected} of {len(chosen)} as expected")


if __name__ == "__main__":
    main()
