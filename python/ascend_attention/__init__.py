# SPDX-License-Identifier: Apache-2.0
"""Paged-attention decode for Ascend A2 and for the virtual NPU.

Next: python/ascend_attention/decode.py - START HERE.
"""

from ascend_attention.cache import reshape_and_cache
from ascend_attention.decode import DecodeAttention, paged_attention
from ascend_attention.device_array import DeviceArray
from ascend_attention.merge import merge_states
from ascend_attention.planning import DecodePlan, WorkItem

__version__ = "0.1.0"

__all__ = [
    "DecodeAttention",
    "DecodePlan",
    "DeviceArray",
    "WorkItem",
    "merge_states",
    "paged_attention",
    "reshape_and_cache",
]
