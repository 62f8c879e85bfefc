# SPDX-License-Identifier: Apache-2.0
"""Partial attention results, over disjoint sets of tokens, into one; in float64.

    lse = ln sum_p exp(lse_p)          out = sum_p exp(lse_p - lse) out_p

lse is a natural logarithm. A part that saw no token has lse = -inf; its out is not looked at and
may be anything, NaN too. If no part saw a token, out is 0 and lse is -inf.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ascend_attention_reference.attention import to_float64


def merge_states(outs: ArrayLike, lses: ArrayLike) -> tuple[NDArray, NDArray]:
    """The merged result.

    Args:
      outs: [parts, ..., head_dim], any float dtype; any number of parts, even none.
      lses: [parts, ...].

    Returns:
      out [..., head_dim] and lse [...], float64.

    Raises:
      ValueError: shapes that do not fit, or an lse that is NaN or +inf.
    """
    values, weights = to_float64(np.asarray(outs)), to_float64(np.asarray(lses))
    if values.shape[:-1] != weights.shape or weights.ndim == 0:
        raise ValueError(f"lses {weights.shape}: allowed is outs {values.shape} without head_dim")
    wrong = np.isnan(weights) | (weights == np.inf)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"lses[{at}] = {weights[at]}: allowed are numbers and -inf")
    seen = weights > -np.inf
    top = weights.max(axis=0, initial=-np.inf)
    finite_top = np.where(np.isfinite(top), top, 0.0)
    shares = np.where(seen, np.exp(weights - finite_top), 0.0)
    total = shares.sum(axis=0)
    with np.errstate(divide="ignore"):
        lse = finite_top + np.log(total)
    shares = shares / np.where(total > 0, total, 1.0)
    return (shares[..., None] * np.where(seen[..., None], values, 0.0)).sum(axis=0), lse
