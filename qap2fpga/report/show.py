# SPDX-License-Identifier: Apache-2.0
"""Numbers as text, the same on the terminal and on the page. What is not known is a dash and never 0."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context
from fractions import Fraction

from qap2fpga.estimate.prediction import Interval
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.network import Output

DASH = "–"
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def output(scale: Output | None) -> str:
    """Return how far the network's outputs are from their exact values, for all inputs; empty where a report does not
    say."""
    if scale is None or scale.error is None:
        return ""
    most = Context(prec=3, rounding=ROUND_CEILING).create_decimal(scale.error)
    value = f"value within ±{float(most):g} of the exact one" if scale.error else "value exact"
    return f"{value}, {float(Fraction(scale.scale)):g} a step" + ", sign exact" * scale.sign


def number(value: float | None) -> str:
    """A count; a float is rounded to a whole number."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if isinstance(value, float) else f"{value:,}"


def whole(low: float, high: float) -> tuple[int, int]:
    """The first and the last whole number that an interval holds; the nearest to it where it holds none."""
    first, last = math.ceil(low), math.floor(high)
    if first > last:
        first = last = round((low + high) / 2)
    return first, last


def ends(low: float, high: float) -> str:
    """The whole numbers that an interval holds, from the first to the last."""
    first, last = whole(low, high)
    return f"{first:,} to {last:,}" if first < last else f"{first:,}"


def interval(predicted: Interval, between: str = " ") -> str:
    """A predicted number with its ends, `between` both; itself alone where they say no more."""
    value, more = f"{predicted.value:,.0f}", ends(predicted.low, predicted.high)
    return value if more == value else f"{value}{between}({more})"


def several(number: int, one: str, many: str = "") -> str:
    """A number of things, `one` of which is called so; `many`: with an s if not given."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share of 1 as percent."""
    return DASH if share is None else f"{100 * share:.{digits}f} %"


def error(share: float | None, digits: int = 2) -> str:
    """A standard error of a share of 1, to be put behind its percent; nothing where there is none."""
    return "" if share is None else f" ± {100 * share:.{digits}f}"


def points(share: float | None, spread: float | None) -> str:
    """A difference of two shares in points, with its standard error."""
    return DASH if share is None else f"{100 * share:.1f}{error(spread, 1)}"


def difference(predicted: float | None, measured: float | None) -> str:
    """How far `measured` lies from `predicted`, as part of the prediction."""
    if predicted is None or measured is None:
        return DASH
    if predicted == measured:
        return "0 %"
    if not predicted:
        return f"{measured - predicted:+,g}"
    return f"{100 * (measured / predicted - 1):+.1f} %"


def cycles(value: float | None) -> str:
    """A number of clock cycles; a mean that is not whole keeps its fraction."""
    return DASH if value is None else f"{count(value)} cycle{'s' * (value != 1)}"


def count(value: float | None) -> str:
    """A count that may be a mean: 64.0 is 64, and 64.5 stays 64.5."""
    return DASH if value is None else f"{round(value, 2):,}".removesuffix(".0")


def nanoseconds(value: float | None) -> str:
    """A time."""
    return DASH if value is None else f"{value:,.0f} ns"


def period(value: float | None) -> str:
    """The period of a clock."""
    return DASH if value is None else f"{value:g} ns"


def rate(value: float | None) -> str:
    """Vectors a second."""
    return DASH if value is None else f"{value:,.0f} frames/s"


def ratio(value: float | None) -> str:
    """A quotient of two counts."""
    return DASH if value is None else f"{value:.4f}"


def text(value: object) -> str:
    """Anything else."""
    return DASH if value is None or value == "" else str(value)


def short(value: float) -> str:
    """A number on an axis: 1500 is 1.5k."""
    for size, prefix in PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.4g}{prefix}"
    return f"{value:.4g}"


def finite(value: object) -> float | None:
    """`value` as a float if it is a finite number, else None; a training that diverged has others."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def not_used(report: Report) -> list[str]:
    """Return the files of an import that gave no numbers; of those that say nothing of hardware only how many they
    are."""
    skipped = report.imported.skipped if report.imported else ()
    known = [f"{one.path}: {one.reason}" for one in skipped if one.broken or one.kind != "unknown"]
    others = len(skipped) - len(known)
    return known + ([f"{others} other files are no reports"] if others else [])
