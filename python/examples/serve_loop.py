# SPDX-License-Identifier: Apache-2.0
"""An engine's day: continuous batching on a paged KV cache, with a tiny decoder of random weights.

    export ASCEND_ATTENTION_TORCH=1                            # adds PyTorch to bazelw's Python
    ./bazelw run //python/examples:serve_loop                  # CPU tensors
    ./bazelw run //python/examples:serve_loop -- --device npu  # torch_npu, here on the virtual NPU

What to copy: `Engine.step`, one turn of the loop. It schedules, plans once, and in `_attend`, once
per layer, writes the new keys and values into the cache and attends. Around it a block allocator,
prompts in chunks, preemption when the blocks run out. At the end all logits and tokens are compared
with dense attention in float64.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import importlib.util
import math
import sys
from collections.abc import Callable, Sequence

from ascend_attention import vnpu

# Where there is no CANN the virtual NPU takes its place, before `import torch`, which imports
# torch_npu. In every process: children that are spawned do not inherit it.
VIRTUAL = vnpu.cann_home() is None
if VIRTUAL:
    vnpu.activate()

if importlib.util.find_spec("torch") is None:
    sys.exit("serve_loop needs PyTorch: set ASCEND_ATTENTION_TORCH=1 for ./bazelw run")
import torch  # noqa: E402
from ascend_attention.torch import DecodeAttention, reshape_and_cache  # noqa: E402
from torch.nn.functional import linear, rms_norm, silu  # noqa: E402

VOCABULARY, HIDDEN, MLP, NUM_LAYERS = 96, 128, 256, 2
NUM_HEADS, NUM_KV_HEADS, HEAD_DIM = 8, 2, 64
KV_BLOCK_SIZE, NUM_KV_BLOCKS, MAX_KV_BLOCKS = 16, 14, 6  # in tokens; of the pool; of a sequence
MAX_BATCH = 6  # sequences per step
MAX_Q_LEN = 16  # tokens of one sequence per step: a prompt is read in chunks of so many

# Of logits around 1: each layer rounds query, key, value and out to float16 (2^-11).
TOLERANCE = NUM_LAYERS * 4 * 2.0**-11

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Weights = dict[str, torch.Tensor]


def make_weights(generator: torch.Generator) -> Weights:
    """Returns random weights, float32, so that activations and logits are around 1."""

    def random(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) / math.sqrt(columns)

    weights = {
        "embedding": torch.randn(VOCABULARY, HIDDEN, generator=generator),
        "head": random(VOCABULARY, HIDDEN),
    }
    for layer in range(NUM_LAYERS):
        weights |= {
            f"{layer}.qkv": random((NUM_HEADS + 2 * NUM_KV_HEADS) * HEAD_DIM, HIDDEN),
            f"{layer}.out": random(HIDDEN, NUM_HEADS * HEAD_DIM),
            f"{layer}.gate_up": random(2 * MLP, HIDDEN),
            f"{layer}.down": random(HIDDEN, MLP),
        }
    return weights


def rope(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Rotates the halves of every head of x, [tokens, heads, head_dim], by its position."""
    half = HEAD_DIM // 2
    exponents = torch.arange(half, device=x.device, dtype=x.dtype) / half
    angles = positions[:, None, None] * 10000.0**-exponents
    first, second = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def decoder(
    weights: Weights, tokens: torch.Tensor, positions: torch.Tensor, attend: Attend
) -> torch.Tensor:
    """Returns hidden states, [tokens, HIDDEN]; `attend` has the cache, or has none."""
    x = weights["embedding"][tokens]
    positions = positions.to(x.dtype)
    for layer in range(NUM_LAYERS):
        qkv = linear(rms_norm(x, (HIDDEN,)), weights[f"{layer}.qkv"]).view(len(x), -1, HEAD_DIM)
        query, key, value = qkv.split([NUM_HEADS, NUM_KV_HEADS, NUM_KV_HEADS], dim=1)
        attended = attend(layer, rope(query, positions), rope(key, positions), value)
        x = x + linear(attended.flatten(1), weights[f"{layer}.out"])
        gate, up = linear(rms_norm(x, (HIDDEN,)), weights[f"{layer}.gate_up"]).chunk(2, -1)
        x = x + linear(silu(gate) * up, weights[f"{layer}.down"])
    return rms_norm(x, (HIDDEN,))


@dataclasses.dataclass(eq=False)
class Request:
    name: str
    prompt: list[int]
    num_new: int
    tokens: list[int] = dataclasses.field(default_factory=list)  # the prompt, then the new ones
    cached: int = 0  # of the tokens, how many have keys and values in the cache
    kv_blocks: list[int] = dataclasses.field(default_factory=list)
    logits: list[torch.Tensor] = dataclasses.field(default_factory=list)  # of the new tokens

    def __post_init__(self) -> None:
        self.tokens = list(self.prompt)

    @property
    def finished(self) -> bool:
        return len(self.tokens) == len(self.prompt) + self.num_new


class BlockAllocator:
    """Hands out the kv blocks of the pool; the one that came back last goes first."""

    def __init__(self, num_kv_blocks: int) -> None:
        self._free = list(reversed(range(num_kv_blocks)))
        self._used_before: set[int] = set()
        self.num_reused = 0

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take(self) -> int:
        block = self._free.pop()
        self.num_reused += block in self._used_before
        self._used_before.add(block)
        return block

    def give_back(self, blocks: list[int]) -> None:
        self._free.extend(blocks)


class Engine:
    """Serves requests in the order of their arrival, as many at once as there is room for."""

    def __init__(self, weights: Weights, device: str) -> None:
        self.device = device
        self.weights = {name: tensor.to(device) for name, tensor in weights.items()}
        cache = (NUM_LAYERS, NUM_KV_BLOCKS, KV_BLOCK_SIZE, NUM_KV_HEADS, HEAD_DIM)
        self.key_caches = torch.empty(cache, dtype=torch.float16, device=device)
        self.value_caches = torch.empty(cache, dtype=torch.float16, device=device)
        self.attention = DecodeAttention(  # one for all layers, as they have one shape
            batch=MAX_BATCH,
            num_heads=NUM_HEADS,
            num_kv_heads=NUM_KV_HEADS,
            head_dim=HEAD_DIM,
            kv_block_size=KV_BLOCK_SIZE,
            num_kv_blocks=NUM_KV_BLOCKS,
            max_kv_blocks=MAX_KV_BLOCKS,
            max_q_len=MAX_Q_LEN,
            device=device,
        )
        self.allocator = BlockAllocator(NUM_KV_BLOCKS)
        self.waiting: collections.deque[Request] = collections.deque()
        self.running: list[Request] = []  # the oldest first
        self.events: list[str] = []  # of this step
        self.num_preempted = 0

    def submit(self, request: Request) -> None:
        longest = len(request.prompt) + request.num_new
        if not request.prompt or longest > min(NUM_KV_BLOCKS, MAX_KV_BLOCKS) * KV_BLOCK_SIZE:
            raise ValueError(f"{request.name} has {longest} tokens; the cache cannot hold it")
        self.waiting.append(request)

    def step(self) -> list[Request]:
        """Computes one batch; returns the requests that it finished."""
        self.events = []
        batch = self._schedule()  # (request, how many of its tokens)
        q_lens = [count for _, count in batch]
        context_lens = [request.cached + count for request, count in batch]  # new ones included
        self.attention.plan(context_lens, q_lens)
        logits = self._forward(batch)
        finished = []
        for (request, count), row in zip(batch, logits.cpu(), strict=True):
            request.cached += count
            if request.cached < len(request.tokens):
                continue  # more of the prompt to read
            request.tokens.append(int(row.argmax()))
            request.logits.append(row)
            if request.finished:
                finished.append(request)
                self._leave(request, "is done")
        return finished

    def _schedule(self) -> list[tuple[Request, int]]:
        while self.waiting and len(self.running) < MAX_BATCH:
            request = self.waiting[0]
            if self.allocator.num_free < len(request.tokens) // KV_BLOCK_SIZE + 1:
                break
            self.running.append(self.waiting.popleft())
            self.events.append(f"{request.name} starts")
        batch = []
        for request in list(self.running):
            count = min(MAX_Q_LEN, len(request.tokens) - request.cached)
            while request in self.running and not self._reserve(request, request.cached + count):
                self._preempt(self.running[-1])  # the youngest, perhaps the request itself
            if request in self.running:
                batch.append((request, count))
        return batch

    def _reserve(self, request: Request, num_tokens: int) -> bool:
        """Makes sure that the request has kv blocks for so many tokens."""
        while len(request.kv_blocks) * KV_BLOCK_SIZE < num_tokens:
            if not self.allocator.num_free:
                return False
            request.kv_blocks.append(self.allocator.take())
        return True

    def _preempt(self, request: Request) -> None:
        """Takes the blocks away. The request keeps its tokens and reads them all again."""
        self._leave(request, "preempted")
        request.cached = 0
        self.waiting.appendleft(request)
        self.num_preempted += 1

    def _leave(self, request: Request, why: str) -> None:
        self.running.remove(request)
        self.allocator.give_back(request.kv_blocks)
        request.kv_blocks = []
        self.events.append(f"{request.name} {why}")

    def _forward(self, batch: list[tuple[Request, int]]) -> torch.Tensor:
        """Returns logits [len(batch), VOCABULARY], each of the last token of a request."""
        tokens, positions, slots, table = [], [], [], []
        for request, count in batch:
            blocks = request.kv_blocks
            new = range(request.cached, request.cached + count)
            tokens += request.tokens[new.start : new.stop]
            positions += new
            slots += [blocks[p // KV_BLOCK_SIZE] * KV_BLOCK_SIZE + p % KV_BLOCK_SIZE for p in new]
            table.append(blocks + [-1] * (MAX_KV_BLOCKS - len(blocks)))  # -1 is never read
        slot_mapping = torch.tensor(slots).to(self.device)
        block_table = torch.tensor(table, dtype=torch.int32).to(self.device)

        def attend(layer: int, *qkv: torch.Tensor) -> torch.Tensor:
            query, key, value = (x.half().contiguous() for x in qkv)
            keys, values = self.key_caches[layer], self.value_caches[layer]
            reshape_and_cache(key, value, keys, values, slot_mapping)
            return self.attention.run(query, keys, values, block_table).float()

        on_device = torch.tensor([tokens, positions]).to(self.device)
        hidden = decoder(self.weights, on_device[0], on_device[1], attend)
        last_rows = torch.tensor([count for _, count in batch]).cumsum(0) - 1
        return linear(hidden[last_rows.to(self.device)], self.weights["head"])


def dense_logits(weights: Weights, request: Request) -> torch.Tensor:
    """Returns what a decoder without cache, in float64, says for the request's new tokens."""

    def attend(_: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        key, value = (x.repeat_interleave(NUM_HEADS // NUM_KV_HEADS, 1) for x in (key, value))
        scores = torch.einsum("qhd,khd->hqk", query, key) / math.sqrt(HEAD_DIM)
        future = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
        probs = scores.masked_fill(future, -math.inf).softmax(-1)
        return torch.einsum("hqk,khd->qhd", probs, value)

    tokens = torch.tensor(request.tokens[:-1])
    exact = {name: tensor.double() for name, tensor in weights.items()}
    hidden = decoder(exact, tokens, torch.arange(len(tokens)), attend)
    return linear(hidden[len(request.prompt) - 1 :], exact["head"])


def verify(weights: Weights, requests: list[Request]) -> bool:
    """Compares all logits, and each token with the reference's choice after the same tokens."""
    wrong, error, num_equal, num_tokens = [], 0.0, 0, 0
    for request in requests:
        expected = dense_logits(weights, request)
        difference = float((torch.stack(request.logits) - expected).abs().max())
        tokens = torch.tensor(request.tokens[len(request.prompt) :])
        best, choice = expected.max(-1)
        lead = best - expected.gather(-1, tokens[:, None])[:, 0]
        # Two errors may turn the order of two tokens around, if they are as close as that.
        if not (difference <= TOLERANCE and bool((lead <= 2 * TOLERANCE).all())):
            wrong.append(request.name)
        error = max(error, difference)
        num_equal += int((tokens == choice).sum())
        num_tokens += len(tokens)
    print(
        f"{num_equal} of {num_tokens} tokens are the choice of dense attention in float64"
        f"{', the others a tie with it' if num_equal < num_tokens and not wrong else ''}; "
        f"largest error of a logit {error:.1e} (allowed {TOLERANCE:.1e})"
    )
    print(f"WRONG: {', '.join(wrong)}" if wrong else "OK")
    return not wrong


def make_arrivals(generator: torch.Generator) -> dict[int, list[Request]]:
    """Returns requests by the step in which they arrive."""
    arrivals = collections.defaultdict(list)
    shapes = [(0, 5, 12), (0, 37, 9), (1, 1, 20), (2, 50, 30), (4, 16, 17), (4, 64, 6), (5, 33, 22)]
    shapes += [(9, 8, 40), (12, 20, 3), (13, 48, 1), (14, 15, 18), (30, 2, 8)]
    for i, (step, prompt_len, num_new) in enumerate(shapes):
        prompt = torch.randint(VOCABULARY, (prompt_len,), generator=generator).tolist()
        arrivals[step].append(Request(f"r{i}", prompt, num_new))
    return arrivals


def serve(device: str, seed: int) -> bool:
    generator = torch.Generator().manual_seed(seed)
    weights, arrivals = make_weights(generator), make_arrivals(generator)
    engine = Engine(weights, device)
    print(f"on {engine.attention.device_name}, tensors on {device}")
    finished: list[Request] = []
    step = 0
    while arrivals or engine.waiting or engine.running:
        for request in arrivals.pop(step, []):
            engine.submit(request)
        if engine.waiting or engine.running:
            finished += engine.step()
        if engine.events:
            used = NUM_KV_BLOCKS - engine.allocator.num_free
            print(f"step {step:3}: {used:2} of {NUM_KV_BLOCKS} blocks; {', '.join(engine.events)}")
        step += 1
    print(
        f"{len(finished)} requests in {step} steps, {engine.num_preempted} preemptions, "
        f"{engine.allocator.num_reused} blocks used again"
    )
    return verify(weights, finished)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=["cpu", "npu"], default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="of weights and prompts")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # for tensors of this size
    if options.device == "npu" and VIRTUAL:
        vnpu.enable_aten()  # the virtual NPU has no operators but ours
    return 0 if serve(options.device, options.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
