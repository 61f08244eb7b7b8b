# SPDX-License-Identifier: Apache-2.0
"""The end of a network beside plain rational numbers: exact classes, exact signs, values within the stated error."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.exact.integers import width
from qap2fpga.exact.thresholds import Affine, inverse_sqrt
from qap2fpga.frontend import facts
from qap2fpga.frontend.checkpoint.spec import QuantSpec
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import fit_logits, lower
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import check_output_kind, require_classes
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes import compaction, exactness, logits
from qap2fpga.passes.compaction import compact
from qap2fpga.passes.exactness import error, exact_argmax, is_largest
from qap2fpga.passes.logits import choose
from qap2fpga.passes.pipeline import Pass
from qap2fpga.passes.scales import End, end_of
from qap2fpga.report import show
from qap2fpga.report.schema.network import Output
from qap2fpga.system.errors import CheckFailed, QapError
from tests.support.networks import qonnx_graph, random_model

FLOATS = st.floats(-(2.0**40), 2.0**40, width=32).map(lambda value: Fraction(float(value)))
SLOPES = FLOATS.filter(lambda value: abs(value) > 2.0**-60)


def span_of(channels: int, low: int, high: int) -> Range:
    return Range(np.full(channels, low), np.full(channels, high))


def sign(value: Fraction | int) -> int:
    return (value > 0) - (value < 0)


def integers(end: End, accumulators: list[int]) -> list[int]:
    return end.logits.apply(np.array(accumulators)[:, None])[:, 0].tolist()


def bits(end: End, span: Range) -> int:
    low, high = end.logits.range(span.low, span.high)
    return width(min(int(low.min()), -1), int(high.max()))


@settings(max_examples=200, deadline=None)
@given(
    slope=SLOPES,
    steps=st.one_of(
        st.integers(-70, 70).map(Fraction),
        st.fractions(-70, 70, max_denominator=9),
        st.integers(-70, 70).map(lambda n: n + Fraction(1, 2**40)),
        st.integers(-70, 70).map(lambda n: n - Fraction(1, 2**40)),
    ),
)
def test_one_output_has_the_exact_sign_and_the_step_of_its_accumulator(slope, steps):
    """For every accumulator; the intercept lies on a step, or anywhere between, or just beside one."""
    affine, span = Affine.scaled([slope], [slope * steps]), span_of(1, -64, 64)
    end = choose(affine, np.zeros((0, 1), np.int64), span)
    found = integers(end, list(range(-64, 65)))
    bound = error(affine, end, span)
    assert bound <= abs(slope) / 4 and end.logits.shift == 0
    assert abs(int(end.logits.multiplier[0])) == (1 if steps.denominator == 1 else 4)
    for n, integer in zip(range(-64, 65), found, strict=True):
        value = slope * n + slope * steps
        assert sign(integer) == sign(value)
        assert abs(integer * end.scale - value) <= bound
    if steps.denominator == 1:
        assert bound == 0 and end.scale == abs(slope)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_values_of_several_outputs_are_within_the_stated_error(data):
    channels = data.draw(st.integers(2, 4))
    small = st.floats(-4, 4, width=32).map(lambda value: Fraction(float(value)))
    slope = [data.draw(small.filter(lambda value: abs(value) > 2.0**-9)) for _ in range(channels)]
    affine = Affine.scaled(slope, [data.draw(small) for _ in range(channels)])
    low, high = sorted(data.draw(st.tuples(st.integers(-500, 500), st.integers(-500, 500))))
    assume(low < high)
    span = span_of(channels, low, high)
    end = choose(affine, np.zeros((0, channels), np.int64), span, values=True)
    bound = error(affine, end, span)
    assert bound <= min(map(abs, slope)) / 4
    assert bits(end, span) <= logits.VALUE_BITS
    accumulators = np.arange(low, high + 1)
    found = end.logits.apply(np.repeat(accumulators[:, None], channels, axis=1))
    worst = max(
        abs(int(found[row, channel]) * end.scale - affine.value(channel, n))
        for channel in range(channels)
        for row, n in enumerate(accumulators.tolist())
    )
    assert worst <= bound
    exactness.check(affine, end, span, np.repeat(accumulators[:, None], channels, axis=1))


def test_a_nearly_dead_output_does_not_make_the_others_wide():
    affine, span = Affine.scaled([Fraction(1), Fraction(1, 2**60)]), span_of(2, -500, 500)
    end = choose(affine, np.zeros((0, 2), np.int64), span, values=True)
    assert bits(end, span) <= logits.VALUE_BITS and error(affine, end, span) < Fraction(1, 2**20)


def test_an_output_that_is_off_by_more_than_its_error_is_a_bug():
    affine, span = Affine.scaled([Fraction(1, 3), Fraction(2, 7)], [Fraction(1, 5), Fraction(0)]), span_of(2, -99, 99)
    accumulators = np.random.default_rng(0).integers(-99, 100, (300, 2))
    end = choose(affine, accumulators, span)
    exactness.check(affine, end, span, accumulators)

    class Broken(Logits):
        def apply(self, values: np.ndarray) -> np.ndarray:
            return super().apply(values) + (values == 17)

    one = end.logits
    broken = replace(end, logits=Broken(one.multiplier, one.offset, one.shift, one.fraction))
    with pytest.raises(CheckFailed, match=r"output 0 is .* for accumulator 17, which is off its exact value"):
        exactness.check(affine, broken, span, np.concatenate([accumulators, [[17, 0]]]))


def test_a_last_layer_of_16_bits_with_784_inputs():
    """Nearly tied outputs of 42-bit accumulators: products of more than 63 bits, and no wrong class."""
    random = np.random.default_rng(1)
    slope = [Fraction(float(np.float32(1e-7 * (1 + 1e-6 * channel)))) for channel in range(4)]
    affine = Affine.scaled(slope, [Fraction(float(np.float32(value))) for value in random.normal(0, 0.01, 4)])
    base = random.integers(-(2**41), 2**41, (3000, 1))
    accumulators = base + random.integers(-(2**19), 2**19, (3000, 4))
    span = span_of(4, -(2**42), 2**42)
    end = choose(affine, accumulators, span)
    values = [[affine.value(c, n) for c, n in enumerate(row)] for row in accumulators.tolist()]
    wanted = [max(range(4), key=row.__getitem__) for row in values]
    assert exact_argmax(affine, accumulators).tolist() == wanted
    assert end.logits.apply(accumulators).argmax(axis=1).tolist() == wanted
    widest = max(abs(int(m)) for m in end.logits.multiplier) * 2**42 + max(abs(int(b)) for b in end.logits.offset)
    assert widest >= 2**63, "this no longer tries what int64 could not hold"


def test_scales_too_far_apart_are_refused_with_the_outputs_named():
    random = np.random.default_rng(2)
    affine = Affine.scaled([Fraction(1), Fraction(1, 10**20), Fraction(3, 10**20)])
    accumulators = random.integers(-50, 50, (500, 3))
    named = r"on vector \d+ the class is output 2 \(a step of 3e-20\), .* it is output [01] \(a step of 1"
    with pytest.raises(QapError, match=f"too far apart: {named}"):
        choose(affine, accumulators, span_of(3, -50, 50))
    # As far apart, and with one sign each: there a scale has them all.
    one_sign = np.abs(accumulators) + 1
    end = choose(affine, one_sign, span_of(3, 1, 51))
    assert (end.logits.apply(one_sign).argmax(axis=1) == 0).all()


@pytest.mark.parametrize("step", [Fraction(1, 3), Fraction(float(np.float32(0.0137))), Fraction(1, 8)])
def test_ties_by_integer_biases_cost_no_bits(step):
    random = np.random.default_rng(3)
    biases = [0, 3, -2, 5]
    affine, span = Affine.scaled([step] * 4, [step * bias for bias in biases]), span_of(4, -40, 40)
    accumulators = random.integers(-40, 41, (3000, 4))
    assert (is_largest(affine, accumulators).sum(axis=1) > 1).any()
    end = choose(affine, accumulators, span)
    assert bits(end, span) <= 10 and not end.notes
    wanted = (accumulators + np.array(biases)).argmax(axis=1)
    assert (end.logits.apply(accumulators).argmax(axis=1) == wanted).all()


def test_ties_of_unlike_scales_give_one_of_the_equals_and_say_so():
    """3 n = 2 m in a unit that no power of two knows: no two multipliers keep that."""
    unit = Fraction(float(np.float32(0.0137)))
    affine, span = Affine.scaled([2 * unit, 3 * unit, unit], [Fraction(0)] * 2 + [-1000 * unit]), span_of(3, -90, 90)
    pairs = np.array([[3 * n, 2 * n, 0] for n in range(-30, 31)])
    end = choose(affine, pairs, span)
    found = end.logits.apply(pairs).argmax(axis=1)
    assert is_largest(affine, pairs)[np.arange(len(pairs)), found].all()
    assert bool(end.notes) == bool((found != 0).any())


def test_one_of_the_equals_is_no_smaller_output_on_any_vector():
    """Beside six equal outputs one that is a unit above or below: a coarse scale has some vectors right, not all."""
    unit, factors = Fraction(1, 997), (3, 5, 7, 11, 13, 17)
    product = math.prod(factors)
    rows = np.array([
        [*(n * product // one for one in factors), n * product + step] for n in range(-300, 301) for step in (-1, 1)
    ])  # fmt: skip
    affine = Affine.scaled([one * unit for one in factors] + [unit])
    end = choose(affine, rows, Range(rows.min(axis=0), rows.max(axis=0)))
    assert end.notes, "some scale has the first of the equals everywhere"
    classes = end.logits.apply(rows).argmax(axis=1)
    assert is_largest(affine, rows)[np.arange(len(rows)), classes].all()


def test_exact_values_are_compared_as_rationals_however_small():
    tiny = Fraction(float(np.float32(1e-45))) ** 2
    affine = Affine.scaled([tiny, tiny], [Fraction(0), tiny / 2])
    assert is_largest(affine, np.array([[3, 2], [2, 2], [3, 3]])).tolist() == [
        [True, False],
        [False, True],
        [False, True],
    ]
    root = inverse_sqrt(Fraction(2))
    affine = Affine.scaled([root, root, inverse_sqrt(Fraction(3))], [root, Fraction(0), Fraction(0)])
    assert is_largest(affine, np.array([[3, 4, 0], [3, 3, 0], [3, 5, 9]])).tolist() == [
        [True, True, False], [True, False, False], [False, False, True],
    ]  # fmt: skip


def test_what_no_integers_can_hold_is_refused():
    with pytest.raises(QapError, match="every output of the network is a constant"):
        choose(Affine.scaled([Fraction(0)] * 2), np.zeros((0, 2), np.int64), span_of(2, 0, 1))
    with pytest.raises(QapError, match="does not fit 63 bits"):
        choose(Affine.scaled([Fraction(1)], [Fraction(1, 3)]), np.zeros((0, 1), np.int64), span_of(1, -(2**62), 2**62))
    end = choose(Affine.scaled([Fraction(10**21)]), np.zeros((0, 1), np.int64), span_of(1, -(2**40), 2**40))
    assert end.scale == 10**21 and error(Affine.scaled([Fraction(10**21)]), end, span_of(1, -9, 9)) == 0


# ---- whole networks


@pytest.mark.parametrize("last_batch_norm", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_network_of_values_is_as_fine_as_its_accumulators(outputs, last_batch_norm):
    model = random_model(
        5, widths=(8, 9, outputs), bits=4, sparsity=0.3, per_channel=True, last_batch_norm=last_batch_norm, rows=300
    )
    if last_batch_norm and outputs == 1:
        gamma = next(op for op in model.ops if op.name == "bn2").tensors["weight"]
        gamma[:] = -0.5  # not the one that is 0, and falling
    graph = read(qonnx_graph(model))
    network = lower(graph)
    assert model.example is not None
    vectors = np.concatenate(
        [network.input.quantize(model.example), extremes(network), random_vectors(network, 500, 0)]
    )
    fine = fit_logits(network, graph, vectors, values=True)
    affine, last = graph.output.affine, fine.layers[-1]
    accumulators = fine.trace(vectors)[last.name]
    found = compact(fine).run(vectors)
    output = facts.describe(graph, fine, compact(fine)).output
    assert output.scale == str(fine.output_scale) and 0 < output.error < 1
    for row, integer in zip(accumulators.tolist(), found.tolist(), strict=True):
        for channel, n in enumerate(row):
            value = affine.value(channel, n)
            assert abs(integer[channel] * fine.output_scale - value) <= Fraction(output.error)
            if outputs == 1:
                assert sign(integer[channel]) == sign(value)
    for channel in range(outputs):
        if affine.slope[channel]:
            assert len(np.unique(found[:, channel])) == len(np.unique(accumulators[:, channel]))
    assert output.sign or outputs > 1


def test_what_follows_the_last_quantizer_is_in_the_output_scale():
    model = random_model(1, widths=(4, 5, 3), bits=4, sparsity=0.0, batch_norm=False)
    quantizer = QuantSpec(4, False, False, np.float32(0.0625))
    wrapped = qonnx_graph(model)
    graph = wrapped.model.graph
    output = graph.output[0].name
    constants = {"q_scale": quantizer.scale, "q_zero": 0.0, "q_bits": 4.0, "three": 3.0}
    for name, value in constants.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [float(value)]))
    inputs, options = [output, "q_scale", "q_zero", "q_bits"], {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
    graph.node.append(helper.make_node("Quant", inputs, ["quantized"], domain="qonnx.custom_op.general", **options))
    graph.node.append(helper.make_node("Mul", ["quantized", "three"], ["tripled"]))
    graph.output[0].name = "tripled"
    wrapped = wrapped.transform(InferShapes())
    plain = lower(read(wrapped))
    assert plain.output_scale == Fraction(3, 16)
    assert facts.describe(read(wrapped), plain, compact(plain)).output == facts.Output("levels", "3/16", 0.0, sign=True)


def test_the_class_of_one_output_is_refused(tmp_path: Path):
    for kind, outputs in (("logits", 1), ("values", 1), ("accumulators", 1), ("class", 2)):
        check_output_kind(kind)
        require_classes(kind, outputs)
    with pytest.raises(QapError, match=r"unknown output kind 'value'\n.*did you mean 'values'"):
        check_output_kind("value")
    qonnx_graph(random_model(1, widths=(4, 5, 1))).save(str(tmp_path / "one.onnx"))
    with pytest.raises(QapError, match="--output-kind class: the network has one output"):
        prepare(Source(tmp_path / "one.onnx", Widths(), output_kind="class"), lambda line: None)


def test_a_report_states_the_error_and_never_less_of_it():
    found = Output(scale="3/1024", error=0.001230001, sign=True)
    assert show.output(found) == "value within ±0.00124 of the exact one, 0.00292969 a step, sign exact"
    assert show.output(replace(found, error=0.0, sign=False)) == "value exact, 0.00292969 a step"
    assert show.output(Output(scale="1/4")) == show.output(None) == ""


def test_a_classifier_is_as_coarse_as_its_classes_allow():
    """One bit less, guard bits taken off, and a class is wrong."""
    random = np.random.default_rng(4)
    slope = [Fraction(float(value)) for value in random.uniform(0.5, 1.5, 5).astype(np.float32)]
    affine, span = (
        Affine.scaled(slope, [Fraction(float(v)) for v in random.normal(0, 9, 5).astype(np.float32)]),
        span_of(5, -99, 99),
    )
    accumulators = random.integers(-99, 100, (2000, 5))
    end = choose(affine, accumulators, span)
    exact = exact_argmax(affine, accumulators)
    assert end.logits.fraction is not None and end.scale == Fraction(2) ** -end.logits.fraction
    coarser = logits._of_fraction(affine, end.logits.fraction - logits.GUARD_BITS - 1, span, together=False)
    assert coarser is not None and (coarser.apply(accumulators).argmax(axis=1) != exact).any()
    assert math.isclose(float(error(affine, end, span)), float(end.scale), rel_tol=0.6)


def test_a_compacted_network_that_computes_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(qonnx_graph(random_model(3)).model.SerializeToString())

    def wrong(graph: Graph) -> Graph:
        first = graph.layers[0]
        return graph.with_nodes(first.changed(weights=first.weights[:, ::-1]).linear)

    monkeypatch.setattr(compaction, "COMPACTION", (*compaction.COMPACTION, Pass("wrong", wrong)))
    with pytest.raises(
        CheckFailed, match=r"pass 'wrong' changed the network: node \S+, output \d+, vector \d+: -?\d+ instead of -?\d+"
    ):
        prepare(Source(path, Widths(), compare=False), lambda _: None)


def test_a_power_of_two_has_a_fraction_and_another_scale_has_none() -> None:
    plain = Logits(np.ones(1, np.int64), np.zeros(1, np.int64), 0, None)
    assert end_of(plain, Fraction(1, 4)).logits.fraction == 2
    assert end_of(plain, Fraction(1, 3)).logits.fraction is None


def test_one_step_for_all_keeps_its_finest_scale_however_large_the_bias() -> None:
    affine = Affine.scaled([Fraction(1)] * 2, [Fraction(1, 3) + 2**40, Fraction(0)])
    span = Range(np.zeros(2, np.int64), np.full(2, 3))
    assert choose(affine, np.zeros((0, 2), np.int64), span, values=True).scale == Fraction(1, 2**logits.GUARD_BITS)
