# SPDX-License-Identifier: Apache-2.0
"""How close a kernel must come to the reference: one rule, derived once, never loosened.

What a correct kernel may get wrong. It computes scores in float32, rounds each probability
p_t = exp(score_t - max) to the dtype before P V, and rounds `out` to its own dtype at the end. So

    error of out_i = sum_t e_t (v_ti - out_i)  +  rounding of out_i
    error of lse   = sum_t e_t

with independent e_t of zero mean. The rounding error of a number is at most u times the number (u =
2**-11 for f16, 2**-8 for bf16) or half the smallest subnormal s, and spread evenly, so that its
standard deviation is at most that over sqrt(3). A float32 score is off by about 2**-24 of its
largest possible magnitude M = scale |q| max_t |k_t|. Per token and per element of `out`:

    sigma_t^2 = m_t (max(u p_t, s p_max)^2 / 3  +  (2**-24 M p_t)^2)
    sigma_i^2 = sum_t sigma_t^2 (v_ti - out_i)^2  +  max(u |out_i|, s)^2 / 3

where m_t is how often the row of the block table names the token's kv block: a token that is read
twice makes the same error twice.

A float32 `out` is not rounded to the dtype. What is left in place of the last term is float32
arithmetic: numerator and denominator each take at most one addition per token, and per kv block a
rescale and an addition; then one divides the other. A rounding is off by 2**-24 of a partial sum,
which in units of the result is about a_i = hypot(out_i, sqrt(sum_t p_t^2 (v_ti - out_i)^2)): the
share of out_i so far, and the spread that cancels later. With n tokens in b kv blocks

    sigma_i^2 = sum_t sigma_t^2 (v_ti - out_i)^2  +  2 (n + 2 b + 1) (2**-24 a_i)^2 / 3

so a single token, whose p is exactly 1, has a bound of a few units in the last place of float32.

For flat weights that is epsilon x magnitude / sqrt(length): the error shrinks with the length just
as `out` does, and a corrupted kv block stands out at any length. The rule, per (sequence, head):

    every element   |error|    <= 6 max_i sigma_i
    the row         rms error  <= (1 + 5 / sqrt(2 n)) rms_i sigma_i
                                  1/n = 1/head_dim + sum_t m_t p_t^2
    lse             |error|    <= 6 sqrt(sum_t sigma_t^2) + 2**-22 (1 + |lse|)

Six standard deviations for single numbers; for the row, five of its root mean square over n
independent terms; for lse a few float32 roundings on top. Empty rows have bound 0: out is 0 and lse
is -inf, exactly. Bounds are rounded up to 10 significant bits, so that stored ones are the same on
every machine.

Int8 caches add to sigma_t and sigma_i what int8_noise.py derives per route; without a forced route
either may have been taken, so the larger bound holds.

The row rule sees what one element cannot: a single token missing among 32768.
testdata/test_tolerance.py shows both sides: a faithful simulation of the kernel passes, each of its
mutations fails.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ascend_attention_reference import int8_noise
from ascend_attention_reference.attention import (
    Attended,
    Float64,
    attend,
    empty_result,
    to_float64,
)
from ascend_attention_reference.inputs import DecodeInputs

# dtype -> (unit roundoff, half the smallest subnormal).
_ROUNDING = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 2.0**-134)}
_FLOAT32_ROUNDOFF = 2.0**-24

_ELEMENT_SIGMAS = 6.0
_ROW_SIGMAS = 5.0
_LSE_FLOAT32 = 2.0**-22
_BOUND_BITS = 10


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Bounds, each [num_query_rows, num_heads] float64: see the top of this file."""

    out: Float64
    out_rms: Float64
    lse: Float64


@dataclasses.dataclass(frozen=True)
class Expected:
    """Reference and bounds of one problem.

    Attributes:
      out: [num_query_rows, num_heads, head_dim] float64.
      lse: [num_query_rows, num_heads] float64.
    """

    out: Float64
    lse: Float64
    tolerance: Tolerance


@dataclasses.dataclass(frozen=True)
class Worst:
    """The place where a rule is closest to its bound, or furthest beyond it.

    Attributes:
      rule: "out", "out_rms" or "lse".
      error: of that place; inf where a number is NaN or should have been infinite.
      bound: of that place.
      index: [row of query, head(, channel)].
    """

    rule: str
    error: float
    bound: float
    index: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """At most 1 if the rule holds."""
        if self.bound > 0:
            return self.error / self.bound
        return 0.0 if self.error == 0 else np.inf


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """The verdict: `ok` is `max_error <= tolerance`.

    Attributes:
      worst: of all rules; `rules` has the worst of each.
    """

    worst: Worst
    rules: tuple[Worst, ...]

    @property
    def ok(self) -> bool:
        """All rules hold."""
        return self.max_error <= self.tolerance

    @property
    def max_error(self) -> float:
        """The error at the worst place, that is where it is largest in units of its bound."""
        return self.worst.error

    @property
    def tolerance(self) -> float:
        """The bound at the worst place."""
        return self.worst.bound

    def __str__(self) -> str:
        parts = [
            f"{w.rule}{list(w.index)} error {w.error:.3g}, tolerance {w.bound:.3g}"
            for w in self.rules
        ]
        return ("ok: " if self.ok else "WRONG: ") + "; ".join(parts)


def expect(inputs: DecodeInputs) -> Expected:
    """Reference and tolerance in one pass over the cache.

    Raises:
      ValueError: as reference() does.
    """
    out, lse = empty_result(inputs)
    rows = Tolerance(*(np.zeros(lse.shape) for _ in range(3)))
    for part in attend(inputs):
        heads = (part.row, slice(part.head_begin, part.head_end))
        out[heads] = part.out
        lse[heads] = part.lse
        rows.out[heads], rows.out_rms[heads], rows.lse[heads] = _bounds(inputs, part)
    return Expected(out, lse, rows)


def tolerance(inputs: DecodeInputs) -> Tolerance:
    """The bounds alone; expect() gives them with the reference at the same cost."""
    return expect(inputs).tolerance


def check(out: ArrayLike, lse: ArrayLike | None, expected: Expected | DecodeInputs) -> CheckReport:
    """Compares a kernel's result with the reference.

    Args:
      out: [num_query_rows, num_heads, head_dim], any float dtype.
      lse: [num_query_rows, num_heads], or None if it was not asked for.
      expected: of expect(); inputs, to have it computed here.

    Raises:
      ValueError: a shape is not the reference's, or a dtype is no float (such as bfloat16's bits).
    """
    if isinstance(expected, DecodeInputs):
        expected = expect(expected)
    bounds = expected.tolerance
    error = _abs_error("out", out, expected.out)
    with np.errstate(over="ignore"):
        rms = np.sqrt(np.mean(error**2, axis=-1))
    rules = [
        _worst("out", error, np.broadcast_to(bounds.out[..., None], error.shape)),
        _worst("out_rms", rms, bounds.out_rms),
    ]
    if lse is not None:
        rules.append(_worst("lse", _abs_error("lse", lse, expected.lse), bounds.lse))
    return CheckReport(max(rules, key=lambda worst: worst.ratio), tuple(rules))


def _bounds(inputs: DecodeInputs, part: Attended) -> tuple[Float64, Float64, Float64]:
    """Bounds of out, out_rms and lse, each [heads], for one kv head of one row."""
    if inputs.kv_quant == "none":
        bounds = [_bounds_of(inputs, part, _direct_noise(inputs, part))]
    else:
        routes = int8_noise.routes_of(inputs)
        bounds = [_bounds_of(inputs, part, _int8_noise(inputs, part, route)) for route in routes]
    out, rms, lse = (_round_up(np.max(each, axis=0)) for each in zip(*bounds, strict=True))
    return out, rms, lse


@dataclasses.dataclass(frozen=True)
class _Noise:
    """Variances of one part.

    Attributes:
      spread: [heads, head_dim] of out, by errors of the tokens.
      tokens: [heads] of lse, by errors of the tokens.
      query: errors of the query's rounding; None: there is none.
      lse_extra: [heads] more of the bound on lse.
    """

    spread: Float64
    tokens: Float64
    query: int8_noise.QueryNoise | None
    lse_extra: Float64


def _direct_noise(inputs: DecodeInputs, part: Attended) -> _Noise:
    roundoff, tiny = _ROUNDING[inputs.query.dtype.name]
    total = part.weights.sum(axis=1, keepdims=True)
    probs = part.weights / total
    largest_score = _largest_score(inputs, part)
    rounding = np.maximum(roundoff * probs, tiny / total) ** 2 / 3
    token_var = rounding + (_FLOAT32_ROUNDOFF * largest_score[:, None] * probs) ** 2
    token_var *= _repeats(inputs, part)
    token_var_sum = token_var.sum(axis=1)
    spread = _square_spread(token_var, part)
    return _Noise(spread, token_var_sum, None, np.zeros(len(token_var_sum)))


def _int8_noise(inputs: DecodeInputs, part: Attended, route: str) -> _Noise:
    assert part.int8_values is not None
    rounding = _ROUNDING[inputs.query.dtype.name]
    probs = part.weights / part.weights.sum(axis=1, keepdims=True)
    largest_score = _largest_score(inputs, part)
    token_var = int8_noise.prob_rounding(part.int8_values, route, probs, *rounding)
    token_var += (_FLOAT32_ROUNDOFF * largest_score[:, None] * probs) ** 2
    token_var *= _repeats(inputs, part)
    return _Noise(
        spread=int8_noise.value_spread(part, token_var),
        tokens=token_var.sum(axis=1),
        query=int8_noise.query_noise(inputs, part, route, probs, *rounding),
        # The offsets' share of a score is one float32 sum for all tokens.
        lse_extra=_ELEMENT_SIGMAS * _FLOAT32_ROUNDOFF * largest_score,
    )


def _bounds_of(
    inputs: DecodeInputs, part: Attended, noise: _Noise
) -> tuple[Float64, Float64, Float64]:
    roundoff, tiny = _ROUNDING[inputs.query.dtype.name]
    probs = part.weights / part.weights.sum(axis=1, keepdims=True)
    shares = 1 / part.out.shape[1] + (_repeats(inputs, part) * probs**2).sum(axis=1)
    if inputs.out_float32:
        out_var = noise.spread + _float32_variance(inputs, part, probs)
    else:
        out_var = noise.spread + np.maximum(roundoff * np.abs(part.out), tiny) ** 2 / 3
    lse_var = noise.tokens
    if noise.query is not None:
        # The norm of a sum of covariances is at most the sum of their norms.
        others = out_var.sum(axis=1)
        out_var = out_var + noise.query.out
        part_of_query = noise.query.out.sum(axis=1) / (others + noise.query.out.sum(axis=1))
        root = (1 - part_of_query) * np.sqrt(shares) + part_of_query * np.sqrt(noise.query.shares)
        shares = root**2
        lse_var = lse_var + noise.query.lse
    terms = 1 / shares
    out_bound = _ELEMENT_SIGMAS * np.sqrt(out_var.max(axis=1))
    rms_bound = (1 + _ROW_SIGMAS / np.sqrt(2 * terms)) * np.sqrt(out_var.mean(axis=1))
    lse_bound = _ELEMENT_SIGMAS * np.sqrt(lse_var) + _LSE_FLOAT32 * (1 + np.abs(part.lse))
    return out_bound, rms_bound, lse_bound + noise.lse_extra


def _float32_variance(inputs: DecodeInputs, part: Attended, probs: Float64) -> Float64:
    """[heads, head_dim] of sums and a quotient in float32, not rounded any further."""
    square = _square_spread(probs**2, part)
    tokens = len(part.values)
    blocks = -(-tokens // inputs.keys.shape[1])
    roundings = 2 * (tokens + 2 * blocks + 1)
    return roundings * _FLOAT32_ROUNDOFF**2 * (part.out**2 + square) / 3


def _square_spread(factors: Float64, part: Attended) -> Float64:
    """[heads, head_dim] sum over tokens of factors [heads, tokens] times (v - out)^2."""
    # Multiplied out; a difference of equals may fall just below 0.
    spread = factors @ part.values**2 - 2 * part.out * (factors @ part.values)
    return np.maximum(spread + part.out**2 * factors.sum(axis=1)[:, None], 0)


def _largest_score(inputs: DecodeInputs, part: Attended) -> Float64:
    """[heads] a bound on the magnitude of the scores."""
    query = to_float64(inputs.query[part.row, part.head_begin : part.head_end])
    if part.int8_keys is None:
        largest_key = np.sqrt((part.keys**2).sum(axis=1).max())
    else:
        largest_key = int8_noise.largest_key(part.int8_keys)
    return inputs.softmax_scale * np.linalg.norm(query, axis=1) * largest_key


def _repeats(inputs: DecodeInputs, part: Attended) -> Float64:
    """[tokens] how often a token's kv block occurs in its sequence."""
    block_size = inputs.keys.shape[1]
    length = int(inputs.context_lens[part.sequence])
    ids = inputs.block_table[part.sequence, : -(-length // block_size)]
    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.repeat(counts[inverse].astype(np.float64), block_size)[: len(part.keys)]


def _round_up(bound: Float64) -> Float64:
    """The next number of _BOUND_BITS significant bits: exact in float32, no last bits to differ."""
    fraction, exponent = np.frexp(bound)
    return np.ldexp(np.ceil(np.ldexp(fraction, _BOUND_BITS)), exponent - _BOUND_BITS)


def _abs_error(name: str, got: ArrayLike, want: Float64) -> Float64:
    """|got - want|: 0 for equal infinities, inf where only one is finite or got is NaN."""
    array = np.asarray(got)
    if array.dtype.kind not in "fV":  # numpy calls bfloat16 a void
        raise ValueError(f"{name} has dtype {array.dtype}: allowed are float dtypes")
    values = to_float64(array)
    if values.shape != want.shape:
        raise ValueError(f"{name} has shape {values.shape}: allowed is {want.shape}")
    with np.errstate(invalid="ignore"):
        error = np.where(values == want, 0.0, np.abs(values - want))
    return np.where(np.isnan(error), np.inf, error)


def _worst(rule: str, error: Float64, bound: NDArray) -> Worst:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(error == 0, 0.0, error / bound)
    at = np.unravel_index(int(np.argmax(ratio)), error.shape)
    return Worst(rule, float(error[at]), float(bound[at]), tuple(int(i) for i in at))
