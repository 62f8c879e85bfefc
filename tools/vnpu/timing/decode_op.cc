// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/decode_op.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tools/vnpu/core/insn_table.h"
#include "tools/vnpu/isa/arch_a2.h"
#include "tools/vnpu/isa/runtime_abi.h"

namespace vnpu {
namespace {

constexpr uint32_t kBankGroups = 16;
constexpr int kBlocksPerRepeat = 8;

// Where a row of the instruction table keeps what costs depend on.
struct Layout {
  OpKind kind = OpKind::kScalar;
  int repeat = -1;
  int num_sources = 0;
  int source[2] = {-1, -1};  // address arguments in UB
  int source_stride[2] = {-1, -1};
  int target = -1;
  int target_stride = -1;
  int bursts = -1, burst_length = -1;
  uint32_t width = 0;           // bytes of the widest element; 0: of the type
  bool counts_repeats = false;  // also in counter mode
};

bool Contains(const char* text, const char* part) { return std::strstr(text, part) != nullptr; }

int ArgNamed(const InsnRow& row, const char* name) {
  for (int i = 0; i < row.num_args; ++i) {
    if (row.args[i].name == name) return i;
  }
  return -1;
}

OpKind SystemKind(uint32_t insn) {
  switch (insn) {
    case VNPU_INSN_set_flag:
      return OpKind::kSetFlag;
    case VNPU_INSN_wait_flag:
      return OpKind::kWaitFlag;
    case VNPU_INSN_pipe_barrier:
      return OpKind::kPipeBarrier;
    case VNPU_INSN_ffts_cross_core_sync:
      return OpKind::kSignal;
    case VNPU_INSN_wait_flag_dev:
      return OpKind::kWaitSignal;
    case VNPU_INSN_dsb:
      return OpKind::kDataBarrier;
    case VNPU_INSN_dcci:
      return OpKind::kCacheClean;
    case VNPU_INSN_ld_dev:
      return OpKind::kLoadDevice;
    case VNPU_INSN_st_dev:
      return OpKind::kStoreDevice;
    case VNPU_INSN_scalar_load:
      return OpKind::kScalarLoad;
    case VNPU_INSN_scalar_store:
      return OpKind::kScalarStore;
    case VNPU_INSN_scalar_load_ub:
    case VNPU_INSN_scalar_store_ub:
      return OpKind::kScalarUb;
    case VNPU_INSN_get_sys_cnt:
      return OpKind::kSystemCount;
    default:
      return OpKind::kScalar;
  }
}

// The memories of a move tell its path.
OpKind MoveKind(const InsnRow& row) {
  const int dst = ArgNamed(row, "dst"), src = ArgNamed(row, "src");
  const Space to = dst < 0 ? Space::kGm : row.args[dst].space;
  const Space from = src < 0 ? Space::kGm : row.args[src].space;
  if (from == Space::kGm) return to == Space::kUb ? OpKind::kGmToUb : OpKind::kGmToL1;
  return from == Space::kUb ? OpKind::kUbToGm : OpKind::kL1ToGm;
}

OpKind L1LoadKind(const InsnRow& row) {
  const int dst = ArgNamed(row, "dst");
  if (dst >= 0 && row.args[dst].space == Space::kL0a) return OpKind::kL1ToL0a;
  if (dst >= 0 && row.args[dst].space == Space::kL0b) return OpKind::kL1ToL0b;
  return OpKind::kL1ToTable;
}

OpKind KindOf(uint32_t insn, const InsnRow& row) {
  switch (row.cost) {
    case CostClass::kScalar:
    case CostClass::kSync:
      return SystemKind(insn);
    case CostClass::kDmaIn:
    case CostClass::kDmaOut:
      return MoveKind(row);
    case CostClass::kDmaNd2Nz:
      return OpKind::kGmToL1Nd2Nz;
    case CostClass::kL1Load:
    case CostClass::kL1LoadTranspose:
      return L1LoadKind(row);
    case CostClass::kFill:
      return OpKind::kFill;
    case CostClass::kMad:
      return OpKind::kMad;
    case CostClass::kFixpipe: {
      const int dst = ArgNamed(row, "dst");
      return dst >= 0 && row.args[dst].space == Space::kL1 ? OpKind::kFixpipeToL1
                                                           : OpKind::kFixpipeToGm;
    }
    case CostClass::kVectorCopy:
      return OpKind::kUbToUb;
    default:
      return OpKind::kVector;
  }
}

// Conversions are named by their types and count by the wider one.
uint32_t WidthByName(const InsnRow& row) {
  if (row.cost != CostClass::kVectorConvert) return 0;
  if (Contains(row.name, "s64")) return 8;
  return Contains(row.name, "32") ? 4 : 2;
}

Layout MakeLayout(uint32_t insn) {
  const InsnRow& row = RowOf(insn);
  Layout layout;
  layout.kind = KindOf(insn, row);
  layout.repeat = ArgNamed(row, "repeat");
  layout.bursts = ArgNamed(row, "nBurst");
  layout.burst_length = ArgNamed(row, "lenBurst");
  layout.width = WidthByName(row);
  layout.counts_repeats = insn == VNPU_INSN_vcopy || insn == VNPU_INSN_vreducev2;
  layout.target = ArgNamed(row, "dst");
  layout.target_stride = ArgNamed(row, "dstBlk");
  static const char* const kSources[][2] = {
      {"src", "srcBlk"}, {"src0", "src0Blk"}, {"src1", "src1Blk"}};
  for (const auto& [address, stride] : kSources) {
    const int at = ArgNamed(row, address);
    if (at < 0 || !row.args[at].is_address || layout.num_sources == 2) continue;
    layout.source[layout.num_sources] = at;
    layout.source_stride[layout.num_sources++] = ArgNamed(row, stride);
  }
  return layout;
}

const Layout& LayoutOf(uint32_t insn) {
  static const std::vector<Layout>* table = [] {
    auto* layouts = new std::vector<Layout>;
    for (uint32_t i = 0; i < VNPU_INSN_COUNT; ++i) layouts->push_back(MakeLayout(i));
    return layouts;
  }();
  return (*table)[insn];
}

uint32_t ElementBytes(uint32_t type) {
  switch (type) {
    case VNPU_T_s8:
    case VNPU_T_u8:
      return 1;
    case VNPU_T_s16:
    case VNPU_T_u16:
    case VNPU_T_f16:
    case VNPU_T_bf16:
      return 2;
    case VNPU_T_s64:
    case VNPU_T_u64:
      return 8;
    default:
      return 4;
  }
}

uint32_t CeilDiv(uint64_t a, uint64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }

bool IsCounterMode(const Instruction& in) { return (in.spr->ctrl >> kCtrlCounterMode & 1) != 0; }

uint32_t Repeats(const Instruction& in, const Layout& layout) {
  if (in.insn == VNPU_INSN_vmrgsort4) return static_cast<uint32_t>(in.args[6]) & 0xff;
  const uint32_t said = layout.repeat < 0 ? 1 : static_cast<uint32_t>(in.args[layout.repeat]);
  // Operations without strides do not look at the mask.
  if (!IsCounterMode(in) || layout.num_sources == 0 || layout.source_stride[0] < 0) return said;
  const uint32_t width = layout.width != 0 ? layout.width : ElementBytes(in.type);
  const uint32_t counted = CeilDiv(in.spr->mask[0] & 0xffffffffu, kRepeatBytes / width);
  return layout.counts_repeats ? said * counted : counted;
}

// 0 and 1 are the strides of nearly all instructions, and free of conflicts
// beyond what the figures of two-source operations hold already.
uint32_t ConflictOf(const Instruction& in, const Layout& layout) {
  bool plain = layout.target_stride < 0 || in.args[layout.target_stride] <= 1;
  for (int i = 0; i < layout.num_sources; ++i) {
    plain &= layout.source_stride[i] < 0 || in.args[layout.source_stride[i]] <= 1;
  }
  if (plain) return 1;
  uint32_t worst = 1;
  BankOperand sources[2];
  int count = 0;
  for (int i = 0; i < layout.num_sources; ++i) {
    if (layout.source_stride[i] < 0) continue;
    sources[count++] = BankOperand{static_cast<uint64_t>(in.args[layout.source[i]]),
                                   static_cast<uint64_t>(in.args[layout.source_stride[i]])};
  }
  worst = std::max(worst, BankConflict(sources, count));
  if (layout.target >= 0 && layout.target_stride >= 0) {
    const BankOperand target{static_cast<uint64_t>(in.args[layout.target]),
                             static_cast<uint64_t>(in.args[layout.target_stride])};
    worst = std::max(worst, BankConflict(&target, 1));
  }
  return worst;
}

uint32_t FillBytes(const Instruction& in) {
  const auto config = static_cast<uint64_t>(in.args[1]);
  const uint64_t block = in.insn == VNPU_INSN_create_cbuf_matrix ? kBlockBytes : kFractalBytes;
  return static_cast<uint32_t>((config & 0x7fff) * (config >> 16 & 0x7fff) * block);
}

// Bytes of L0C that a fixpipe instruction reads.
uint32_t FixpipeBytes(const Instruction& in, bool row_major) {
  const uint64_t matrices = row_major ? in.spr->nd_para & 0xffff : 1;
  return static_cast<uint32_t>(matrices * static_cast<uint64_t>(in.args[3] * in.args[4]) * 4);
}

uint32_t TableBytes(const Instruction& in, const Layout& layout) {
  const uint64_t unit = in.insn == VNPU_INSN_copy_cbuf_to_fbuf ? 128 : 64;
  return static_cast<uint32_t>(static_cast<uint64_t>(in.args[layout.bursts]) *
                               static_cast<uint64_t>(in.args[layout.burst_length]) * unit);
}

void SetNd2NzFigures(const Instruction& in, Op* op) {
  const uint32_t element = in.insn == VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b8    ? 1
                           : in.insn == VNPU_INSN_copy_gm_to_cbuf_multi_nd2nz_b16 ? 2
                                                                                  : 4;
  op->figure[0] = static_cast<uint32_t>(in.args[5]) * element;
  op->figure[1] = static_cast<uint32_t>(in.args[4]);
  op->figure[2] = static_cast<uint32_t>(in.args[7]) * element;
}

void SetL0Figures(const Instruction& in, const Layout& layout, Op* op) {
  const bool transposed = RowOf(in.insn).cost == CostClass::kL1LoadTranspose;
  // A transposed repeat is a square: two fractals unless elements have 16 bits.
  const uint32_t per_repeat = transposed && ElementBytes(in.type) != 2 ? 2 : 1;
  op->figure[0] = layout.repeat < 0 ? 1 : static_cast<uint32_t>(in.args[layout.repeat]);
  op->figure[0] *= per_repeat;
  op->figure[1] = transposed ? 1 : 0;
}

void SetSyncFigures(const Instruction& in, Op* op) {
  switch (op->kind) {
    case OpKind::kSetFlag:
    case OpKind::kWaitFlag:
      for (int i = 0; i < 3; ++i) op->figure[i] = static_cast<uint32_t>(in.args[i]);
      break;
    case OpKind::kSignal:
      op->figure[0] = static_cast<uint32_t>(in.args[1] >> 4 & 3);
      op->figure[1] = static_cast<uint32_t>(in.args[1] >> 8 & 15);
      break;
    case OpKind::kWaitSignal:
      op->figure[0] = static_cast<uint32_t>(in.args[0]);
      break;
    case OpKind::kCacheClean:
      op->figure[0] = static_cast<uint32_t>(in.args[1]);
      break;
    default:
      break;
  }
}

void SetVectorFigures(const Instruction& in, const Layout& layout, Op* op) {
  op->figure[0] = Repeats(in, layout);
  op->figure[1] = IsCounterMode(in) && layout.num_sources == 2 ? 1 : 0;
  op->conflict = static_cast<uint8_t>(ConflictOf(in, layout));
}

}  // namespace

uint32_t BankConflict(const BankOperand* operands, int count) {
  uint64_t rows[2 * kBlocksPerRepeat];
  int num_rows = 0;
  for (int i = 0; i < count; ++i) {
    for (int block = 0; block < kBlocksPerRepeat; ++block) {
      const uint64_t row =
          operands[i].base / kBlockBytes + static_cast<uint64_t>(block) * operands[i].stride;
      if (std::find(rows, rows + num_rows, row) == rows + num_rows) rows[num_rows++] = row;
    }
  }
  uint32_t load[kBankGroups] = {};
  uint32_t worst = 0;
  for (int i = 0; i < num_rows; ++i) worst = std::max(worst, ++load[rows[i] % kBankGroups]);
  return worst;
}

Op DecodeOp(const Instruction& in) {
  const Layout& layout = LayoutOf(in.insn);
  Op op = {};
  op.sequence = static_cast<uint32_t>(in.sequence);
  op.insn = in.insn;
  op.kind = layout.kind;
  op.pipe = in.pipe;
  op.type = in.type;
  switch (op.kind) {
    case OpKind::kGmToL1Nd2Nz:
      SetNd2NzFigures(in, &op);
      break;
    case OpKind::kFixpipeToGm:
      op.figure[1] = in.args[11] != 0 ? 1 : 0;
      op.figure[0] = FixpipeBytes(in, op.figure[1] != 0);
      break;
    case OpKind::kFixpipeToL1:
      op.figure[0] = FixpipeBytes(in, in.args[11] != 0);
      break;
    case OpKind::kL1ToL0a:
    case OpKind::kL1ToL0b:
      SetL0Figures(in, layout, &op);
      break;
    case OpKind::kL1ToTable:
      op.figure[0] = TableBytes(in, layout);
      op.figure[1] = in.insn == VNPU_INSN_copy_cbuf_to_fbuf ? 1 : 0;
      break;
    case OpKind::kFill:
      op.figure[0] = FillBytes(in);
      op.figure[1] = static_cast<uint32_t>(RowOf(in.insn).args[0].space);
      break;
    case OpKind::kMad:
      for (int i = 0; i < 3; ++i) op.figure[i] = static_cast<uint32_t>(in.args[3 + i]);
      break;
    case OpKind::kVector:
      SetVectorFigures(in, layout, &op);
      break;
    case OpKind::kUbToUb:
      op.figure[0] = static_cast<uint32_t>(in.args[layout.bursts] * in.args[layout.burst_length] *
                                           static_cast<int64_t>(kBlockBytes));
      break;
    default:
      SetSyncFigures(in, &op);
  }
  return op;
}

}  // namespace vnpu
