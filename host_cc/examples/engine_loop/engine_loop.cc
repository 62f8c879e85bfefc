// SPDX-License-Identifier: Apache-2.0
// The loop of a serving engine around the library: requests of different lengths
// come, are decoded together, and go. Each step appends the new tokens to the
// paged cache, plans the batch, decodes it and samples the next tokens. Runs on
// an NPU, or on the virtual one if there is none; exits with 1 if an output
// differs from a plain double loop (toy_model.h).
#include <algorithm>

#include "decode_step.h"
#include "setup.h"

using namespace ascend_attention;  // NOLINT: short example

struct Request {
  std::vector<int> tokens;  // the prompt, then what was sampled
  size_t stop_at;           // tokens
  size_t num_cached = 0;
  std::vector<int32_t> blocks = {};
};

class BlockAllocator {
 public:
  // Takes all blocks that the request will ever need, or none.
  bool Admit(Request& request) {
    const size_t count = (request.stop_at + kKvBlockSize - 1) / kKvBlockSize;
    if (count > free_.size()) return false;
    for (size_t i = 0; i < count; ++i) {
      request.blocks.push_back(free_.back());
      free_.pop_back();
    }
    return true;
  }
  void Release(const Request& request) {
    free_.insert(free_.end(), request.blocks.begin(), request.blocks.end());
  }

 private:
  std::vector<int32_t> free_ = {3, 8, 1, 6, 0, 9, 4, 7, 2, 5};  // kNumKvBlocks, in any order
};

void AddRow(const std::vector<uint16_t>& weights, size_t size, int token,
            std::vector<uint16_t>& rows) {
  const uint16_t* row = &weights[static_cast<size_t>(token) * size];
  rows.insert(rows.end(), row, row + size);
}

// Writes keys and values of the tokens that are not in the cache yet: the whole
// prompt at first, then one token per step.
void Append(const toy::Model& model, std::vector<Request>& batch, toy::Setup& npu) {
  std::vector<uint16_t> key, value;
  std::vector<int64_t> slots;
  for (Request& request : batch) {
    for (size_t& token = request.num_cached; token < request.tokens.size(); ++token) {
      AddRow(model.key, toy::Model::kKvRow, request.tokens[token], key);
      AddRow(model.value, toy::Model::kKvRow, request.tokens[token], value);
      const size_t block = static_cast<size_t>(request.blocks[token / kKvBlockSize]);
      const size_t slot = block * kKvBlockSize + token % kKvBlockSize;
      slots.push_back(static_cast<int64_t>(slot));
    }
  }
  CacheWriteTensors tensors;
  tensors.num_tokens = static_cast<int64_t>(slots.size());
  tensors.key = npu.key.Fill(key);
  tensors.value = npu.value.Fill(value);
  tensors.slot_mapping = npu.slots.Fill(slots);
  tensors.key_cache = npu.key_cache.data();
  tensors.value_cache = npu.value_cache.data();
  toy::OrDie(npu.writer.Run(tensors, npu.stream.handle()));
}

// The same step by the C API; an engine in C++ has no need of it.
std::vector<uint16_t> DecodeInC(const std::vector<int32_t>& context_lens,
                                const DecodeTensors& tensors, size_t out_size, toy::Setup& npu) {
  DecodeStep step = {};
  step.context_lens = context_lens.data();
  step.batch = context_lens.size();
  step.workspace = npu.workspace.data();
  step.workspace_size = npu.workspace_bytes;
  step.stream = npu.stream.handle();
  step.tensors.query = tensors.query;
  step.tensors.key_cache = tensors.key_cache;
  step.tensors.value_cache = tensors.value_cache;
  step.tensors.block_table = tensors.block_table;
  step.tensors.out = npu.out_from_c.data();
  if (RunDecodeStep(&step) == ASCEND_ATTENTION_OK) return npu.out_from_c.Read(out_size);
  std::fprintf(stderr, "from C: %s\n", ascend_attention_last_error());
  std::exit(1);
}

// Attention of the last token of each request: rows of toy::Model::kQueryRow.
std::vector<uint16_t> Decode(const toy::Model& model, const std::vector<Request>& batch,
                             toy::Setup& npu) {
  std::vector<uint16_t> query;
  std::vector<int32_t> context_lens;
  std::vector<int32_t> block_table(batch.size() * kMaxKvBlocks, -1);
  for (size_t i = 0; i < batch.size(); ++i) {
    AddRow(model.query, toy::Model::kQueryRow, batch[i].tokens.back(), query);
    context_lens.push_back(static_cast<int32_t>(batch[i].tokens.size()));
    std::copy(batch[i].blocks.begin(), batch[i].blocks.end(), &block_table[i * kMaxKvBlocks]);
  }
  DecodeTensors tensors;
  tensors.query = npu.query.Fill(query);
  tensors.key_cache = npu.key_cache.data();
  tensors.value_cache = npu.value_cache.data();
  tensors.block_table = npu.block_table.Fill(block_table);
  tensors.out = npu.out.data();
  // Plan once per step, Run once per layer.
  const PreparedPlan plan = toy::OrDie(npu.decode.Plan(context_lens, npu.workspace.data(),
                                                       npu.workspace_bytes, npu.stream.handle()));
  toy::OrDie(npu.decode.Run(plan, tensors, npu.stream.handle()));
  toy::OrDie(npu.stream.Synchronize());
  const std::vector<uint16_t> out = npu.out.Read(query.size());
  if (DecodeInC(context_lens, tensors, out.size(), npu) == out) return out;
  std::fprintf(stderr, "the C API gives another result\n");
  std::exit(1);
}

Request Prompt(int length, size_t num_new_tokens) {
  std::vector<int> tokens;
  for (int i = 0; i < length; ++i) tokens.push_back((length + 17 * i) % kVocabulary);
  return {tokens, tokens.size() + num_new_tokens};
}

int main() {
  const toy::Model model;
  toy::Setup npu;
  BlockAllocator blocks;
  std::vector<Request> waiting = {Prompt(40, 3), Prompt(1, 9), Prompt(17, 6), Prompt(75, 5)};
  std::vector<Request> batch;
  double max_error = 0;
  int steps = 0;
  for (; !waiting.empty() || !batch.empty(); ++steps) {
    while (!waiting.empty() && batch.size() < kMaxBatch && blocks.Admit(waiting.back())) {
      batch.push_back(std::move(waiting.back()));
      waiting.pop_back();
    }
    Append(model, batch, npu);
    const std::vector<uint16_t> out = Decode(model, batch, npu);
    for (size_t i = 0; i < batch.size(); ++i) {
      const uint16_t* row = &out[i * toy::Model::kQueryRow];
      const double error = model.MaxError(batch[i].tokens, row);
      if (!(error <= max_error)) max_error = error;  // NaN stays
      batch[i].tokens.push_back(model.Sample(row));
    }
    const auto done = std::stable_partition(
        batch.begin(), batch.end(), [](const Request& r) { return r.tokens.size() < r.stop_at; });
    for (auto request = done; request != batch.end(); ++request) {
      blocks.Release(*request);
      std::printf("request of %zu tokens is done; the last one is %d\n", request->tokens.size(),
                  request->tokens.back());
    }
    batch.erase(done, batch.end());
  }
  std::printf("%s: %d steps, max error %.1e\n", npu.runtime->description().c_str(), steps,
              max_error);
  return max_error <= 1e-3 ? 0 : 1;
}
