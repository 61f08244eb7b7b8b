# SPDX-License-Identifier: Apache-2.0
"""Every reader of users' files: files that it reads well, how they are damaged, and what a command does with them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from tests.fuzz import mutate

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "reports"
# What stands in the way of a case: nothing else may come out of a reader.
Files = dict[str, bytes]


@dataclass(frozen=True)
class Reader:
    """`samples` are files by name, of which one is damaged; `read` does with the folder what a command does.

    `heavy`: it imports torch, or takes tens of milliseconds a case.
    """

    name: str
    samples: Callable[[], list[Files]]
    read: Callable[[Path], object]
    heavy: bool = False


def case(reader: Reader, random: Random, folder: Path) -> str:
    """Write one damaged sample into `folder`, and return what was damaged."""
    samples = reader.samples()
    files = dict(random.choice(samples))
    name = random.choice(sorted(files))
    if len(samples) > 1 and random.random() < 0.03:
        other = random.choice(samples)
        content, what = other[random.choice(sorted(other))], "another file in its place"
    else:
        content, what = _damaged(random, name, files[name])
    files[name] = content
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return f"{name}: {what}"


def _damaged(random: Random, name: str, data: bytes) -> tuple[bytes, str]:
    """Damage the bytes, or what they hold."""
    suffix = Path(name).suffix
    if random.random() < 0.35:
        return mutate.damaged(random, data)
    if suffix == ".json":
        value, what = mutate.changed(random, json.loads(data))
        return json.dumps(value).encode(), what
    if suffix == ".yaml":
        value, what = mutate.changed(random, yaml.safe_load(data))
        try:
            return yaml.safe_dump(value, allow_unicode=True).encode(), what
        except RecursionError:  # what is nested too deeply to be written as blocks: JSON is YAML
            return json.dumps(value).encode(), what
    if suffix == ".npz":
        with np.load(io.BytesIO(data)) as held:
            return mutate.arrays(random, dict(held))
    if suffix in (".pt", ".pth"):
        return _tensors(random, data)
    if suffix == ".onnx":
        return _graph(random, data)
    return mutate.damaged(random, data)


# ---- settings


def _board(folder: Path) -> object:
    from qap2fpga.hw import boards as board

    return board.load(str(folder / "mine.yaml"))


def _boards() -> list[Files]:
    places = [ROOT / "boards" / f"{name}.yaml" for name in ("pynq-z2", "ulx3s-85f")]
    pins = {"mine.lpf": places[1].with_suffix(".lpf").read_bytes()}
    return [{"mine.yaml": places[0].read_bytes()}, {"mine.yaml": places[1].read_bytes(), **pins}]


RUN = {
    "data": {"source": "openml", "label": "class", "features": ["a", "b"], "split": [0.7, 0.15, 0.15]},
    "model": {"widths": [64, 32], "weight_bits": [6, 6, 4], "activation_bits": 6, "bias_bits": None},
    "training": {"epochs": 3, "learning_rate": 0.003, "l1": 1e-5, "loss": "cross_entropy"},
    "pruning": {"schedule": "fine_tuning", "sparsities": [0.1, 0.5]}, "fold": [1, 4], "seed": 1, "paper_code": [],
}  # fmt: skip
STUDY = {
    "base": {"data": {"source": "openml"}, "model": {"widths": [8, 8]}},
    "vary": {"model.bits": [4, 6], "pruning.schedule": ["none", "lottery_ticket"]}, "folds": 2,
    "experiments": [{"name": "wide", "vary": {"model.widths": [[64, 32], [32, 32]]}, "predict_luts": True}],
    "searches": [{"name": "best", "set": {"model.bits": 6}, "trials": 4, "objectives": ["bops", "validation_loss"],
                  "parameters": {"model.widths": [[4, 64], [4, 32]], "training.l1": [1e-6, 1e-4],
                                 "training.batch": {"choices": [64, 128]}}}],
}  # fmt: skip


def _run(folder: Path) -> object:
    from qap2fpga.train import config

    return config.load(folder / "run.yaml")


def _study(folder: Path) -> object:
    from qap2fpga.train import plan

    return plan.load(folder / "study.yaml")


@cache
def _plan() -> Any:
    from qap2fpga.backends.finn.plan import plan
    from qap2fpga.ir import storage

    return plan(storage.load(ROOT / "docker" / "network.npz"), last_thresholds=False)


def _folding(folder: Path) -> object:
    from qap2fpga.backends.finn import folding
    from qap2fpga.library.requests import folding_of

    return folding.parsed(folding_of(folder / "folding.json"), _plan())


def _foldings() -> list[Files]:
    nodes = {f"MVAU_rtl_{index}": {"SIMD": 1, "PE": 1} for index in range(len(_plan().layers))}
    nodes["MVAU_rtl_0"]["MH"] = _plan().layers[0].mh
    return [{"folding.json": json.dumps(nodes | {"Thresholding_rtl_0": {"PE": 1}}).encode()}]


# ---- data


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


ROWS = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)
LABELS = np.arange(12) % 3


def _recorded(folder: Path) -> object:
    from qap2fpga.frontend import data

    (path,) = folder.iterdir()
    return data.load(path, 5)


def _recordings() -> list[Files]:
    return [
        {"data.npz": _npz(X=ROWS, y=LABELS, classes=["a", "b", "c"])},
        {"data.npz": _npz(X=ROWS.reshape(12, 5, 1).astype(float), y=np.eye(3)[LABELS])},
        {"data.npy": _npy(ROWS)},
    ]


def _tables() -> list[Files]:
    import pandas

    frame = pandas.DataFrame({f"f{index}": ROWS[:, index] for index in range(5)} | {"label": [f"c{n}" for n in LABELS]})
    files: list[Files] = [{"data.csv": frame.to_csv(index=False).encode()}]
    stream = io.BytesIO()
    frame.to_parquet(stream)
    files.append({"data.parquet": stream.getvalue()})
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["X"], file["y"] = ROWS, LABELS
    files.append({"data.h5": stream.getvalue()})
    return [*files, {"data.npz": _npz(X=ROWS, y=LABELS, features=[f"f{n}" for n in range(5)], classes=["a", "b", "c"])}]


def _table(folder: Path) -> object:
    from qap2fpga.train import data
    from qap2fpga.train.settings import DataConfig

    (path,) = folder.iterdir()
    named = path.suffix in (".csv", ".parquet")
    return data.load(DataConfig(str(path), "label" if named else None))


# ---- reports


def _tool_reports() -> list[Files]:
    return [{path.name: path.read_bytes()} for path in sorted(GOLDEN.iterdir())]


def _import(folder: Path) -> object:
    from qap2fpga.report import gather, page, table
    from qap2fpga.report.imported.run import ImportRequest, import_reports

    output = folder.with_name(f"{folder.name}-out")
    found = import_reports(ImportRequest(folder, "fuzz", output=output), lambda text: None)
    table.render([(str(place), report) for place, report in found], _console())
    return page.render(gather.gather([place for place, _ in found]), output)


def _console() -> Any:
    from rich.console import Console

    return Console(file=io.StringIO(), width=150)


@cache
def _reports() -> list[Files]:
    from tests.support.reports import finished

    found = finished()
    more = {
        **found, "backend": "hls4ml", "relaxed": {"layers": [], "tolerance": 1, "accuracy": None},
        "vendor": [{"step": "csynth", "tool": "vitis_hls", "latency_max": 3, "interval_max": 1, "period_ns": 4.0,
                    "wns_ns": None}],
        "stand_in": {"backend": "rtl", "why": "no tool", "refused": None, "design": {"top": "top"}},
        "routed": {"tool": "nextpnr", "version": "1", "part": "x", "path": "p", "achieved_ns": 5.0, "target_ns": 40.0,
                   "used": {"TRELLIS_COMB": [5, 10]}, "bitstream": "board.bit", "vectors_per_second": 3.0},
    }  # fmt: skip
    return [{"report.json": json.dumps(one).encode()} for one in (found, more)]


def _report(folder: Path) -> object:
    from qap2fpga.report import gather, page, rows, table

    found = gather.gather([folder, folder])
    one = gather.gather([folder])
    table.render_all(found, _console())
    table.render_all(one, _console())
    return rows.as_csv(found), rows.as_json(one), page.render(found, folder), page.render(one, folder)


@cache
def _studies() -> list[Files]:
    import tempfile

    from tests.support import studies

    with tempfile.TemporaryDirectory() as place:
        folder = studies.write(Path(place), [studies.configure()], [studies.configure(bits=4)])
        return [{path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}]


def _study_report(folder: Path) -> object:
    from qap2fpga.report import gather, rows, table
    from qap2fpga.system.errors import QapError
    from qap2fpga.train.figures import records

    with suppress(QapError):  # the other command reads it by itself
        found = gather.gather([folder])
        table.render_all(found, _console())
        rows.as_csv(found)
    return records.load(folder)


# ---- build folders


@cache
def _builds() -> list[Files]:
    from qap2fpga.hw import boards
    from qap2fpga.ir import storage
    from tests.support.vendor import hls_project

    network = (ROOT / "docker" / "network.npz").read_bytes()
    inputs = storage.load(ROOT / "docker" / "network.npz").inputs
    rows = np.zeros((3, inputs), np.int64)
    vectors = _npz(recorded=rows, random=rows, extreme=rows, labels=np.arange(3), first_input=np.zeros(inputs))
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        project = asdict(hls_project(Path(place))) | {"folder": "hls4ml"}
    made = {"backend": "hls4ml", "network": "network.npz", "design": project, "board": asdict(boards.load("pynq-z2"))}
    stage = json.dumps({"key": "k", "result": made}).encode()
    return [{".qap2fpga/generate.json": stage, "network.npz": network, "vectors.npz": vectors}]


def _build(folder: Path) -> object:
    from qap2fpga.build import csim
    from qap2fpga.build.folder import BuildFolder
    from qap2fpga.system.progress import Progress

    BuildFolder(folder, Progress(quiet=True)).result("generate", "k")
    return csim.load(folder)


# ---- models


@cache
def _models() -> list[Files]:
    from tests.support.command import save
    from tests.support.networks import random_model

    models = random_model(1), random_model(2, last_batch_norm=True)
    return [{"net.pt": _saved(partial(save, model=model))} for model in models]


@cache
def _graph_models() -> list[Files]:
    """Files of `save` that hold an exported graph."""
    import qap2fpga
    from tests.support.brevitas_modules import module

    def save(path: Path, name: str) -> None:
        network, rows = module(name)
        qap2fpga.save(network, rows, path, labels=[0] * len(rows))

    return [{"net.pt": _saved(partial(save, name=name))} for name in ("wave classifier", "residual dense")]


def _saved(write: Callable[[Path], object]) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        write(Path(place) / "file.pt")
        return (Path(place) / "file.pt").read_bytes()


@cache
def _state_dicts() -> list[Files]:
    import torch

    random = torch.Generator().manual_seed(1)
    state: dict[str, Any] = {}
    for number, (outputs, inputs) in enumerate(((7, 5), (6, 7), (3, 6)), start=1):
        state[f"fc{number}.weight"] = torch.randn(outputs, inputs, generator=random)
        state[f"fc{number}.bias"] = torch.randn(outputs, generator=random)
        if number < 3:
            for name in ("weight", "bias", "running_mean", "running_var"):
                state[f"bn{number}.{name}"] = torch.rand(outputs, generator=random) + 0.1
            scale = "act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"
            state[f"act{number}.{scale}"] = torch.tensor(1.5)
    return [{"net.pth": _saved(lambda path: torch.save(state, path))}]


def _tensors(random: Random, data: bytes) -> tuple[bytes, str]:
    """Damage what a file of torch holds: its keys and values, and one tensor's numbers, type or shape."""
    import torch

    content = torch.load(io.BytesIO(data), weights_only=True)
    places = [one for one in mutate.places(content) if isinstance(one[0][one[1]], torch.Tensor)]
    if places and random.random() < 0.5:
        holder, key, path = random.choice(places)
        holder[key], what = _tensor(random, holder[key])
        what = f"{what} {path}"
    else:
        content, what = mutate.changed(random, content)
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue(), what


def _tensor(random: Random, tensor: Any) -> tuple[Any, str]:
    import torch

    kind = random.choice(("value", "type", "shape", "empty", "wide", "sparse"))
    if kind == "value" and tensor.numel() and tensor.is_floating_point():
        tensor = tensor.clone()
        extremes = (float("nan"), float("inf"), -1e30, 1e38, 1e-45, 0.0, -1.0)
        tensor.view(-1)[random.randrange(tensor.numel())] = random.choice(extremes)
    elif kind == "type":
        types = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool, torch.complex64)
        tensor = tensor.to(random.choice(types))
    elif kind == "shape":
        tensor = random.choice((tensor.reshape(-1), tensor.reshape(-1, 1), tensor[None], tensor.T.contiguous()))
    elif kind == "empty":
        tensor = tensor.reshape(-1)[:0]
    elif kind == "wide":
        tensor = torch.zeros(1).expand(100_000, 100)
    elif tensor.is_floating_point():
        tensor = tensor.to_sparse()
    return tensor, kind


def _checkpoint(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from qap2fpga.frontend.checkpoint import model_file as checkpoint
        from qap2fpga.frontend.checkpoint.widths import Widths

        return checkpoint.read_any(folder / name, Widths((4,), (4,), 4) if name.endswith(".pth") else Widths())

    return read


def _graph_model(folder: Path) -> object:
    from qap2fpga.frontend import onnxfile, recorded
    from qap2fpga.frontend.checkpoint import model_file as checkpoint
    from qap2fpga.frontend.checkpoint.exported import Exported
    from qap2fpga.frontend.checkpoint.widths import Widths
    from qap2fpga.frontend.graph import read

    model = checkpoint.read_any(folder / "net.pt", Widths())
    if not isinstance(model, Exported):
        return model
    graph = onnxfile.read(model.graph, folder / "net.pt")
    return read(graph), recorded.of_file(model, graph)


OPERATORS = ("Relu", "Conv", "Loop", "ArgMax", "Gemm", "Quant", "BipolarQuant", "MultiThreshold", "DequantizeLinear",
             "XnorPopcountMatMul", "Clip", "x" * 300, "")  # fmt: skip
TYPES = ("INT2", "BIPOLAR", "UINT64", "INT99999999999", "FLOAT32", "", "x", "INT-1", "FIXED<4,2>")


@cache
def _graphs() -> list[Files]:
    from tests.support.networks import qonnx_graph, random_model
    from tests.support.onnx_graphs import qcdq, streamlined

    models = [*(qonnx_graph(random_model(seed)).model for seed in (1, 2)), qcdq(), streamlined()]
    return [{"net.onnx": model.SerializeToString()} for model in models]


def _graph(random: Random, data: bytes) -> tuple[bytes, str]:
    """Damage a graph: an attribute, an input, an operator, a tensor or a shape."""
    import onnx
    from onnx import TensorProto

    model = onnx.load_from_string(data)
    node = random.choice(model.graph.node)
    kind = random.choice(
        ("attribute", "input", "operator", "tensor", "shape", "opset", "node", "domain", "output", "type")
    )
    if kind == "attribute" and node.attribute:
        attribute = random.choice(node.attribute)
        attribute.i = random.choice((0, -1, 2**62, 7))
        attribute.s = random.choice((b"", b"\xff", b"ROUND", b"FLOOR"))
        if random.random() < 0.3:
            attribute.type = random.randrange(0, 8)
    elif kind == "input" and node.input:
        node.input[random.randrange(len(node.input))] = random.choice(("", "no such", model.graph.input[0].name))
    elif kind == "operator":
        node.op_type = random.choice(OPERATORS)
    elif kind == "tensor" and model.graph.initializer:
        tensor = random.choice(model.graph.initializer)
        if random.random() < 0.5:
            tensor.dims[:] = random.choice(([], [0], [1], [2**40], [-1], [3, 3, 3]))
        else:
            tensor.data_type = random.choice((TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.STRING, 0, 99))
    elif kind == "shape":
        shape = model.graph.input[0].type.tensor_type.shape
        shape.dim[random.randrange(len(shape.dim))].dim_value = random.choice((0, -1, 2**40, 3))
    elif kind == "opset":
        model.opset_import[0].version = random.choice((0, 1, 7, 99, 2**31))
    elif kind == "node":
        model.graph.node.remove(node)
    elif kind == "domain":
        node.domain = random.choice(("", "x", "ai.onnx", "qonnx.custom_op.general"))
    elif kind == "type":
        note = model.graph.quantization_annotation.add(tensor_name=random.choice([*node.input, *node.output, "x"]))
        note.quant_parameter_tensor_names.add(key="finn_datatype", value=random.choice(TYPES))
    elif kind == "output" and node.output:
        node.output[0] = random.choice(("", "x", model.graph.input[0].name))
    return model.SerializeToString(), f"{kind} of {node.op_type[:20]}"


def _lower(folder: Path) -> object:
    from qap2fpga.frontend import onnxfile
    from qap2fpga.frontend.graph import read

    return read(onnxfile.load(folder / "net.onnx"))


def readers() -> Iterator[Reader]:
    """Return every reader."""
    yield Reader("board", _boards, _board)
    yield Reader("run", lambda: [{"run.yaml": yaml.safe_dump(RUN).encode()}], _run)
    yield Reader("study", lambda: [{"study.yaml": yaml.safe_dump(STUDY).encode()}], _study)
    yield Reader("folding", _foldings, _folding)
    yield Reader("data", _recordings, _recorded)
    yield Reader("table", cache(_tables), _table)
    yield Reader("tool-report", cache(_tool_reports), _import)
    yield Reader("report", _reports, _report)
    yield Reader("study-folder", _studies, _study_report)
    yield Reader("build", _builds, _build)
    yield Reader("model", _models, _checkpoint("net.pt"), heavy=True)
    yield Reader("graph-model", _graph_models, _graph_model, heavy=True)
    yield Reader("state-dict", _state_dicts, _checkpoint("net.pth"), heavy=True)
    yield Reader("onnx", _graphs, _lower, heavy=True)


def quietly(read: Callable[[Path], object], folder: Path) -> None:
    """Read, and drop what is printed."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        read(folder)
