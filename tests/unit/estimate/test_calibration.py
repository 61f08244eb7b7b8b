# SPDX-License-Identifier: Apache-2.0
"""When a calibration counts, and what it says outside of its range."""

from __future__ import annotations

import ast
import io
import re
import tokenize

import pytest

from qap2fpga import backends
from qap2fpga.estimate import calibration, draw, estimate
from qap2fpga.estimate.calibration import Calibration
from qap2fpga.estimate.prediction import Interval
from qap2fpga.hw import boards
from tests.support.branches import branching
from tests.support.measured import fitted, lines, node, nodes
from tests.support.streams import dense_layers, pruned


def test_outside_the_measured_range_is_said_and_widens():
    content, _ = fitted(noise=0.05)
    known = Calibration(content)
    inside = calibration.sizes(lines()[0]["network"])
    usual = known.predict("lut", nodes(400, 600), inside)
    beyond = known.predict("lut", nodes(400, 600), {**inside, "weight_bits": 16.0})
    assert not usual.outside and beyond.outside == ("weight_bits 16, measured 4 to 4",)
    assert usual.value == beyond.value == sum(known.of_node("lut", one) for one in nodes(400, 600))
    assert beyond.low < usual.low < usual.value < usual.high < beyond.high
    content["counted"]["bram18"] = {"low": 0.5, "high": 2.0}
    counts = [known.counted("bram18", 8.0, {**inside, "weight_bits": bits}) for bits in (inside["weight_bits"], 16.0)]
    assert [(one.low, one.value, one.high) for one in counts] == [(4, 8, 16), (1, 8, 64)]
    assert (counts[0].outside, counts[1].outside) == ((), beyond.outside)
    assert known.counted("dsp", 9.0, {**inside, "weight_bits": 16.0}) == Interval.exact(9.0)
    strange = known.predict("lut", [*nodes(400, 600), node("c", 100)], inside)
    assert strange.value == usual.value and strange.outside == ("c: not among the measured designs",)


def test_a_calibration_of_another_generator_does_not_count(monkeypatch):
    content, _ = fitted()
    network = draw.network(draw.recipes(1, 7)[0])
    monkeypatch.setattr(calibration, "load", lambda backend, over: Calibration(content) if over == "vectors" else None)
    expected = estimate.predict("rtl", nodes(100, 200), {"lut": 7, "dsp": 0}, network, "xc7")
    assert estimate.calibrated("rtl", "xc7", network, nodes(100, 200))
    assert expected["lut"].low < expected["lut"].value < expected["lut"].high
    assert estimate.calibrated("rtl", "ecp5", network, nodes(100, 200)) is None
    assert estimate.calibrated("rtl", "xc7", branching(0), nodes(100, 200)) is None
    monkeypatch.setitem(content, "fingerprint", "of another program")
    expected = estimate.predict("rtl", nodes(100, 200), {"lut": 7, "dsp": 0}, network, "xc7")
    assert estimate.calibrated("rtl", "xc7", network, nodes(100, 200)) is None
    assert (expected["lut"].low, expected["lut"].value) == (7, 7)


def test_the_fingerprint_is_of_what_is_generated_and_not_of_comments(tmp_path, monkeypatch):
    source = tmp_path / "backends" / "rtl" / "layer.py"
    source.parent.mkdir(parents=True)
    for name in calibration.GENERATORS["rtl"][1:]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(calibration, "PACKAGE", tmp_path)

    def now(text: str) -> str:
        source.write_text(text)
        calibration.fingerprint.cache_clear()
        return calibration.fingerprint("rtl")

    first = now('"""A."""\ndef f():\n    """Doc."""\n    return 1\n')
    assert now('"""B."""\n# why\ndef f():\n    """Other."""\n    return 1\n') == first
    assert now('"""B."""\ndef f():\n    """Other."""\n    return 2\n') != first
    calibration.fingerprint.cache_clear()


def test_all_that_requantizers_are_chosen_by_is_in_the_fingerprint():
    known = {name for name in calibration.GENERATORS["rtl"] if name.startswith("requant/")}
    assert "requant/requantize.py" in known
    for name in known:
        used = re.findall(r"^from qap2fpga\.requant\.(\w+) import", (calibration.PACKAGE / name).read_text(), re.M)
        assert {f"requant/{one}.py" for one in used} <= known


def _code_by_tokens(text: str) -> bytes:
    """The same by Python's own tokenizer and all nodes."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for one in ast.walk(ast.parse(text)):
        if isinstance(one, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(one) is not None:
            for row in range(one.body[0].lineno - 1, one.body[0].end_lineno or 0):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip()).encode()


def test_code_is_what_the_tokenizer_leaves_of_every_source():
    sources = [path.read_text() for path in calibration.PACKAGE.rglob("*.py")]
    assert len(sources) > 300
    quotes = 'a = "#" + \'"#\' + "\\"#" + \'\\\'#\' + r"\\\\"  # "one\nb = """#\n"#"\n#"""  # two\n'
    inner = (
        "if a:\n    pass\nelse:\n    def f():\n        'doc'\n        def g():\n            'doc'\n            pass\n"
    )
    for text in (*sources, quotes, inner):
        assert calibration._code(text) == _code_by_tokens(text)


def test_comments_and_docstrings_are_no_code():
    text = '"""Doc."""\n\n\ndef f(a):  # why\n    """Other.\n\n    More.\n    """\n    return f"#{a}"  # so\n'
    assert calibration._code(text) == b'def f(a):\n    return f"#{a}"'


@pytest.mark.parametrize(
    ("backend", "over"),
    [("rtl", "vectors"), ("rtl", "images"), ("finn", "vectors"), ("finn", "images"), ("finn", "sparse")],
)
def test_the_shipped_calibration_is_of_this_program(backend, over):
    """Where this fails after a change that changes no hardware: `qap2fpga calibrate --backend ... --confirm`."""
    known = calibration.load(backend, over)
    assert known is not None and known.current


def test_a_node_that_is_like_no_measured_one_is_not_known(monkeypatch):
    content, _ = fitted()
    known = Calibration(content)
    assert known.knows(nodes(400, 600)) and not known.knows([*nodes(400, 600), node("c", 100)])
    network = draw.network(draw.recipes(1, 7)[0])
    monkeypatch.setattr(calibration, "load", lambda backend, over: known)
    assert estimate.calibrated("rtl", "xc7", network, nodes(400, 600))
    assert estimate.calibrated("rtl", "xc7", network, [node("c", 100)]) is None


@pytest.mark.parametrize(("sparse", "over"), [("never", "vectors"), ("always", "sparse")])
def test_layers_without_their_zeros_have_a_calibration_of_their_own(sparse, over):
    graph = pruned(dense_layers(64, 32, 5), 0.2)
    finn = backends.get("finn")
    options = finn.make_options(target_fps=2e5, sparse=sparse)
    nodes = finn.expect(graph, boards.load("pynq-z2"), options).nodes
    known = estimate.calibrated("finn", "xc7", graph, nodes)
    assert known is not None and known.values.get("over", "vectors") == over
