# SPDX-License-Identifier: Apache-2.0
"""What the two routes of an int8 cache add to the rounding errors of tolerance.py.

Write an element as s (i + o) c: the int8 i, the channel's scale s and offset o, the token's scale c
(1 where there is none). Both routes multiply integers exactly and fold the scales into the other
operand, which they round:

    score_t   = scale (c_t sum_d q'_d i_td + sum_d q'_d o_d)      q'_d = q_d s_d       of K
    out_i     = s_i (sum_t p'_t i_ti / sum_t p_t + o_i)           p'_t = p_t c_t       of V

route    q'_d is rounded by at most                p'_t is rounded by at most
dequant  max(u |q'_d|, 2 s max_d |q'_d|)           max(u p'_t, s max_t p'_t)     16-bit floats
limbs    max_d |q'_d| / (2 * 127 * 254)            max_t p'_t / (2 * 127 * 254)  two int8 limbs

with u and s of tolerance.py, if rows are normalised before they are rounded: by their maximum or by
a power of two, the probabilities per tile. Two limbs h + l / 254 of x / (max / 127), |l| <= 127,
leave half a unit of the second one.

Limbs of p' may be dithered: one of the two multiples of a unit next to p', by the token's place, so
that many equal p' below a unit are not all off the same way. One error is then below a whole unit,
its variance between 0 and 3 times what is assumed here, twice on average over all p'. The bound is
not widened for it: a unit counts where one token dominates, and there the bounds are 4 standard
deviations and more.

The error of p'_t is one per token, as in tolerance.py. Whether it cancels in the denominator is
left to the kernel (sums of rounded or of exact probabilities), so the largest of (v - out)^2, v^2
and (v - s o)^2 multiplies it.

The error e_d of q'_d is one per channel, shared by all tokens: it moves score_t by scale c_t i_td
e_d, hence, to first order,

    out_i by  sum_d scale e_d C_di       C_di = sum_t p_t (c_t i_td - mean_d) (v_ti - out_i)
    lse   by  sum_d scale e_d mean_d     mean_d = sum_t p_t c_t i_td

A row's mean square error has fewer independent terms than the row has channels if C has few
directions that matter: n = tr(B)^2 / tr(B^2) with B the covariance of those errors.

Next: tolerance.py - the bounds made of it.
"""

import dataclasses

import numpy as np

from ascend_attention_reference.attention import Attended, Float64, Int8Tokens, to_float64
from ascend_attention_reference.inputs import DecodeInputs

ROUTES = ("dequant", "limbs")
_LIMB_STEPS = 2 * 127 * 254


@dataclasses.dataclass(frozen=True)
class QueryNoise:
    """Variances that rounding the scaled query causes.

    Attributes:
      out: [heads, head_dim].
      lse: [heads].
      shares: [heads] 1 / (independent terms of a row's mean square error).
    """

    out: Float64
    lse: Float64
    shares: Float64


def routes_of(inputs: DecodeInputs) -> tuple[str, ...]:
    """The routes that a result may have taken."""
    return ROUTES if inputs.route == "auto" else (inputs.route,)


def prob_rounding(
    values: Int8Tokens, route: str, probs: Float64, roundoff: float, tiny: float
) -> Float64:
    """[heads, tokens] variance of p_t that rounding p'_t causes."""
    scaled = probs * values.token_scale
    largest = scaled.max(axis=1, keepdims=True)
    if route == "limbs":
        error = np.broadcast_to(largest / _LIMB_STEPS, scaled.shape)
    else:
        error = np.maximum(roundoff * scaled, tiny * largest)
    return (error / values.token_scale) ** 2 / 3


def value_spread(part: Attended, token_var: Float64) -> Float64:
    """[heads, head_dim] sum over tokens of their variance times what it multiplies."""
    assert part.int8_values is not None
    shifted = part.values - part.int8_values.channel_scale * part.int8_values.offset
    square = token_var @ part.values**2
    centred = square - 2 * part.out * (token_var @ part.values)
    centred += part.out**2 * token_var.sum(axis=1, keepdims=True)
    return np.maximum(np.maximum(square, centred), token_var @ shifted**2)


def query_noise(
    inputs: DecodeInputs, part: Attended, route: str, probs: Float64, roundoff: float, tiny: float
) -> QueryNoise:
    """What rounding q' does to the rows of a part."""
    keys = part.int8_keys
    assert keys is not None
    query = to_float64(inputs.query[part.row, part.head_begin : part.head_end])
    error_var = _operand_variance(query * keys.channel_scale, route, roundoff, tiny)
    error_var *= inputs.softmax_scale**2
    factors = keys.ints * keys.token_scale[:, None]
    out, lse, shares = (np.zeros(shape) for shape in (part.out.shape, len(query), len(query)))
    for head, weights in enumerate(probs):
        mean = weights @ factors
        moves = ((factors - mean) * weights[:, None]).T @ (part.values - part.out[head])
        moves *= np.sqrt(error_var[head])[:, None]
        out[head] = (moves**2).sum(axis=0)
        lse[head] = error_var[head] @ mean**2
        shares[head] = _share(moves @ moves.T)
    return QueryNoise(out, lse, shares)


def largest_key(keys: Int8Tokens) -> float:
    """The largest norm of what a key's score is summed from."""
    sizes = (np.abs(keys.ints) + np.abs(keys.offset)) * keys.channel_scale
    return float(np.sqrt(((sizes * keys.token_scale[:, None]) ** 2).sum(axis=1).max()))


def _operand_variance(operand: Float64, route: str, roundoff: float, tiny: float) -> Float64:
    largest = np.abs(operand).max(axis=1, keepdims=True)
    if route == "limbs":
        return np.broadcast_to((largest / _LIMB_STEPS) ** 2 / 3, operand.shape).copy()
    return np.maximum(roundoff * np.abs(operand), 2 * tiny * largest) ** 2 / 3


def _share(covariance: Float64) -> float:
    trace = np.trace(covariance)
    return float((covariance**2).sum() / trace**2) if trace > 0 else 0.0
