# SPDX-License-Identifier: Apache-2.0
"""What checkers and clock cost: host time of one decode case, one host thread, with and without.

    ./bazelw run //python/bench:bench_checkers -- [CASE] [--json]

These are times of the host that simulates, not of an NPU. Copies and planning are left out.
"""

import argparse
import json
import os
import time

_CASE = "decode:b8:h32:kv8:d128:bs128:ctx4096:f16:seed1"
_SETTINGS = {
    "race": {"checks": ["race"], "timing": False},
    "memory": {"checks": ["memory"], "timing": False},
    "all checkers": {"checks": "all", "timing": False},
    "clock": {"checks": "none", "timing": True},
    "all checkers and clock": {"checks": "all", "timing": True},
}


def main() -> None:
    """Prints a table, and with --json one object in the last line."""
    os.environ.setdefault("ASCEND_ATTENTION_ACL_LIBRARY", "vnpu")
    os.environ["ASCEND_ATTENTION_VNPU_THREADS"] = "1"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", default=_CASE)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()

    import ascend_attention_reference as reference  # after the environment is set
    from ascend_attention import DecodeAttention, DeviceArray, vnpu
    from ascend_attention.cli.case_problem import shape_arguments

    case = reference.parse_case(args.case)
    inputs = reference.make_inputs(case)
    op = DecodeAttention(
        **shape_arguments(case, len(inputs.key_cache)), softmax_scale=inputs.softmax_scale
    )
    tensors = [
        DeviceArray(array)
        for array in (inputs.query, inputs.key_cache, inputs.value_cache, inputs.block_table)
    ]
    op.plan(inputs.context_lens)
    kv_bytes = 2 * case.num_kv_heads * case.head_dim * 2 * sum(int(n) for n in inputs.context_lens)

    def best(settings: dict) -> float:
        seconds = []
        for _ in range(args.repeat):
            with vnpu.session(**settings):
                begin = time.perf_counter()
                op.run(*tensors)
                seconds.append(time.perf_counter() - begin)
        return min(seconds)

    def plain() -> float:
        seconds = []
        for _ in range(args.repeat):
            begin = time.perf_counter()
            op.run(*tensors)
            seconds.append(time.perf_counter() - begin)
        return min(seconds)

    plain()  # maps the buffers
    figures = {"functional": plain()}
    for name, settings in _SETTINGS.items():
        figures[name] = best(settings)
    base = figures["functional"]
    print(f"{case}, {kv_bytes / 1e6:.1f} MB of keys and values, one host thread")
    for name, seconds in figures.items():
        rate = kv_bytes / seconds / 1e6
        print(f"{name:<24}{seconds * 1e3:9.1f} ms {rate:8.0f} MB/s {seconds / base:6.2f}x")
    if args.json:
        rows = {
            name: {"seconds": s, "kv_mb_per_s": kv_bytes / s / 1e6, "ratio": s / base}
            for name, s in figures.items()
        }
        print(json.dumps({"case": str(case), "kv_bytes": kv_bytes, "host": rows}))


if __name__ == "__main__":
    main()
