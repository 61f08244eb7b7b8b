# SPDX-License-Identifier: Apache-2.0
"""Rounding with a gradient for the place where it rounds, and what the exporter makes of a quantizer.

Half a bit more halves what rounding loses, so the loss of a value, `x - q`, is about its own derivative by the number
of fractional bits, times ln 2: with it gradient descent finds where a bit pays (High Granularity Quantization, Sun et
al. 2024, arXiv:2405.00645).

What has come to 0 bits, a weight or a channel of activations, can come back, but only by its bits: there the loss is
weighed against the price, which goes on while bits are missing. A weight of 0 that grew by itself would come back at
every step for nothing, and a channel without a gradient never.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

LN2 = math.log(2.0)
# What has come to 0 falls by so much of a bit further, and no more: else the loss would take too long to bring it back.
MARGIN = 0.25


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, fraction: Tensor, half: float) -> Tensor:
        scale = torch.exp2(torch.round(fraction))
        result = torch.floor(x * scale + half) / scale
        ctx.save_for_backward(x - result, fraction)
        return result

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        lost, fraction = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient, (gradient * lost * LN2).sum_to_size(fraction.shape), None


class _Pruned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, fraction: Tensor) -> Tensor:
        scale = torch.exp2(torch.round(fraction))
        result = torch.floor(x * scale + 0.5) / scale
        ctx.save_for_backward(x, result, is_gone(x, fraction))
        return result

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        x, result, gone = ctx.saved_tensors  # type: ignore[attr-defined]
        by_fraction = gradient * (x - result) * LN2
        return gradient * (result != 0), torch.where(gone, by_fraction.clamp(max=0.0), by_fraction)


class _Width(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, fraction: Tensor, integer: Tensor, most: float) -> Tensor:
        ctx.save_for_backward(fraction + integer > -0.5 - MARGIN)
        return torch.clamp(torch.round(fraction) + torch.round(integer), 0.0, most)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (near,) = ctx.saved_tensors  # type: ignore[attr-defined]
        by_each = gradients[0] * near
        return by_each, by_each, None


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, fraction: Tensor, integer: Tensor, signed: bool) -> Tensor:
        step, high = torch.exp2(-torch.round(fraction)), torch.exp2(torch.round(integer))
        alive = high > 1.5 * step
        top, bottom = torch.where(alive, high - step, 0.0), torch.where(alive, -high if signed else 0.0, 0.0)
        level = torch.floor(x / step) * step
        result = level.clamp(bottom, top)
        # A channel without bits is seen as one of a bit that all its values are below of.
        first = torch.maximum(high, step)
        inside = torch.where(alive, level == result, (x < first) & (x >= (-first if signed else 0.0)))
        above = torch.where(alive, level > top, x >= first)
        # Rounding down loses half a step on average, which a bias makes up for: what depends on bits is the rest.
        lost = torch.where(alive, x - level - 0.5 * step, x)
        ctx.save_for_backward(lost, inside, above, high, fraction)
        ctx.signed = signed  # type: ignore[attr-defined]
        return result

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (gradient,) = gradients
        lost, inside, above, high, fraction = ctx.saved_tensors  # type: ignore[attr-defined]
        by_x = gradient * inside
        by_bound = gradient * above
        if ctx.signed:  # type: ignore[attr-defined]
            by_bound = by_bound - gradient * ~(inside | above)
        size = fraction.shape
        return by_x, LN2 * (by_x * lost).sum_to_size(size), LN2 * high * by_bound.sum_to_size(size), None


class _Value(Protocol):
    def type(self) -> object: ...

    def setType(self, kind: object) -> None: ...


class _Graph(Protocol):
    def op(self, name: str, *inputs: _Value, **attributes: object) -> _Value: ...


class _Exported(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: FunctionCtx, x: Tensor, step: Tensor, bits: int, signed: bool, rounding: str) -> Tensor:
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        scaled = torch.floor(x / step) if rounding == "FLOOR" else torch.round(x / step)
        return torch.clamp(scaled, low, high) * step

    @staticmethod
    def symbolic(g: _Graph, x: _Value, step: _Value, bits: int, signed: bool, rounding: str) -> _Value:
        zero, width = (g.op("Constant", value_t=torch.tensor(float(value))) for value in (0, bits))
        name, options = "qonnx.custom_op.general::Quant", {"signed_i": int(signed), "narrow_i": 0}
        node = g.op(name, x, step, zero, width, rounding_mode_s=rounding, **options)
        node.setType(x.type())
        return node


def rounded(x: Tensor, fraction: Tensor, half: float) -> Tensor:
    """Return `x` at a whole number of bits after the point: rounded down (`half` 0), or to the nearest (`half` 0.5).

    `fraction` broadcasts against `x`, and both have gradients: that of `x` as if nothing were rounded.
    """
    result: Tensor = _Rounded.apply(x, fraction, half)  # type: ignore[no-untyped-call]
    return result


def bounded(x: Tensor, fraction: Tensor, integer: Tensor, *, signed: bool) -> Tensor:
    """Return `x` rounded down at `fraction` bits after the point, from 0, or `-2**integer` if `signed`, to one step
    below `2**integer`; 0 where no bit is between the two.

    Both numbers of bits are rounded to whole ones, and broadcast against `x`. All three have gradients, where no bit is
    between the two as well: that of a bound is the slope of `2**integer`.
    """
    result: Tensor = _Bounded.apply(x, fraction, integer, signed)  # type: ignore[no-untyped-call]
    return result


def pruned(x: Tensor, fraction: Tensor) -> Tensor:
    """Return `x` rounded to the nearest at `fraction`, bits of each value's own, in its shape.

    A value that comes to 0 has no gradient, its bits have one: they bring it back where the loss gains more by it than
    the price says. Once it is gone, `is_gone`, no gradient takes its bits further down.
    """
    result: Tensor = _Pruned.apply(x, fraction)  # type: ignore[no-untyped-call]
    return result


def is_gone(x: Tensor, fraction: Tensor) -> Tensor:
    """Return where `x` comes to 0 at `fraction` bits after the point, and at a little more, too."""
    return torch.floor(x.detach() * torch.exp2(torch.round(fraction.detach() + MARGIN)) + 0.5) == 0


def width(fraction: Tensor, integer: Tensor, most: float) -> Tensor:
    """Return the bits between two numbers of bits, rounded to whole ones, from 0 to `most`.

    Both have the gradient of one bit, at 0 bits until they are a little below it.
    """
    result: Tensor = _Width.apply(fraction, integer, most)  # type: ignore[no-untyped-call]
    return result


def exported(x: Tensor, step: Tensor, bits: int, *, signed: bool, rounding: str) -> Tensor:
    """Return the values of a quantizer's levels; torch's exporter makes a Quant of QONNX of it."""
    result: Tensor = _Exported.apply(x, step, bits, signed, rounding)  # type: ignore[no-untyped-call]
    return result


def constant(values: Tensor) -> Tensor:
    """Return `values` as torch's exporter takes them: as numbers, not as what computes them."""
    return torch.from_numpy(values.detach().cpu().numpy().copy())
