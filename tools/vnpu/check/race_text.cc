// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/check/race_text.h"

#include <cinttypes>
#include <cstdio>

#include "tools/vnpu/core/call_table.h"
#include "tools/vnpu/core/device.h"
#include "tools/vnpu/core/insn_table.h"

namespace vnpu {
namespace race {
namespace {

const char* kNames[] = {"race",         "missing barrier", "unpublished store", "unpublished store",
                        "lost update",  "stale cache",     "missing barrier",   "overlap",
                        "undrained end"};

class Writer {
 public:
  Writer(const Hazard& hazard, CoreOrder& order, const LaunchInfo& info)
      : h_(hazard), first_(hazard.first), second_(hazard.second), order_(order), info_(info) {}

  Finding Write() {
    Finding finding;
    finding.checker = "race";
    finding.kind = Kind();
    finding.headline = std::string(kNames[static_cast<int>(h_.kind)]) + ": " + Headline();
    finding.kernel = info_.kernel;
    finding.sites = {SiteOf(first_)};
    if (h_.kind != HazardKind::kUndrained) finding.sites.push_back(SiteOf(second_));
    Explain(&finding);
    return finding;
  }

 private:
  std::string Kind() const {
    switch (h_.kind) {
      case HazardKind::kRace:
        return !second_.write ? "read-after-write"
               : first_.write ? "write-after-write"
                              : "write-after-read";
      case HazardKind::kUnpublished:
      case HazardKind::kUnfenced:
        return "unpublished-store";
      case HazardKind::kLostUpdate:
        return "lost-update";
      case HazardKind::kStaleCache:
        return "stale-cache";
      case HazardKind::kUndrained:
        return "undrained-end";
      default:
        return "missing-barrier";
    }
  }

  static std::string PipeText(Pipe pipe) { return std::string("PIPE_") + PipeName(pipe); }

  // "V", or "FIX of AIC", or "MTE3 of AIV0 of block 2", as seen from the other.
  std::string Name(const Touch& touch, const Touch& other) const {
    std::string name =
        touch.place.pipe == Pipe::kS ? "the scalar unit" : PipeName(touch.place.pipe);
    const CoreId& core = touch.place.core;
    if (!touch.same_core(other)) name += std::string(" of ") + RoleName(core.role);
    if (core.block != other.place.core.block) name += " of block " + std::to_string(core.block);
    return name;
  }

  std::string GmText(uint64_t begin, uint64_t bytes) const {
    return std::to_string(bytes) + " bytes of GM at " + info_.device->Describe(begin);
  }
  std::string Bytes() const {
    if (second_.space == Space::kGm)
      return GmText(h_.common.begin, h_.common.end - h_.common.begin);
    return std::string(SpaceName(second_.space)) + " [" + std::to_string(h_.common.begin) + ", " +
           std::to_string(h_.common.end) + ")";
  }

  // The headline has said where they are.
  std::string TheseBytes() const {
    if (second_.space != Space::kGm) return Bytes();
    return "these " + std::to_string(h_.common.end - h_.common.begin) + " bytes";
  }

  std::string What(const Touch& touch) const {
    if (h_.kind == HazardKind::kFixRegister) {
      char text[64];
      std::snprintf(text, sizeof(text), "uses %s = 0x%" PRIx64, h_.reg,
                    &touch == &first_ ? h_.values[0] : h_.values[1]);
      return text;
    }
    const std::string verb = !touch.write   ? "reads "
                             : touch.atomic ? "updates atomically "
                                            : "writes ";
    if (touch.space != Space::kGm) {
      return verb + SpaceName(touch.space) + " " + ShapeText(touch.shape);
    }
    const Shape& s = touch.shape;
    std::string text = verb + GmText(s.begin, s.run * s.num_runs());
    if (!s.dense()) {
      text += ", " + std::to_string(s.run) + " of every " +
              std::to_string(s.dims[s.num_dims - 1].stride) + " bytes";
    }
    return text;
  }

  Site SiteOf(const Touch& touch) const {
    Site site;
    site.core = touch.place.core;
    site.pipe = touch.place.pipe;
    site.insn = touch.place.insn;
    site.sequence = touch.place.sequence;
    site.return_address = touch.place.return_address;
    site.what = What(touch);
    site.frames = info_.calls->Describe(touch.place.return_address);
    return site;
  }

  std::string Headline() const {
    const std::string one = Name(first_, second_), two = Name(second_, first_);
    switch (h_.kind) {
      case HazardKind::kRace:
        return two + (second_.write ? " overwrites " : " reads ") + Bytes() + " and " + one +
               " may not have " + (first_.write ? "written" : "read") + " it yet";
      case HazardKind::kMissingBarrier:
        return two + (second_.write ? " overwrites " : " reads ") + Bytes() +
               " while its own write to it may still be on the way";
      case HazardKind::kUnpublished:
        return two + " reads " + Bytes() + ", which " + one + " has stored in its data cache only";
      case HazardKind::kUnfenced:
        return two + (second_.write ? " overwrites " : " reads ") + Bytes() + ", which " + one +
               " wrote without a dsb before the signal";
      case HazardKind::kLostUpdate:
        return one + " and " + two + " both write the 64-byte line of " + Bytes() +
               ", one of them through the data cache";
      case HazardKind::kStaleCache:
        return two + " loads " + Bytes() + ", which " + one +
               " has written, and its data cache may hold the old ones";
      case HazardKind::kUndrained:
        return "the kernel ends and " + one + " may not have " +
               (first_.write ? "written " : "read ") +
               GmText(first_.shape.begin, first_.shape.run * first_.shape.num_runs()) + " yet";
      default:
        return std::string("FIX takes another value of ") + h_.reg +
               " while an earlier fixpipe may still use the old one";
    }
  }

  void Explain(Finding* f) const {
    switch (h_.kind) {
      case HazardKind::kRace:
        return first_.same_core(second_) ? ExplainFlag(f) : ExplainCores(f);
      case HazardKind::kMissingBarrier:
        f->missing = Name(second_, first_) +
                     " may start an instruction before those in front of it "
                     "are complete: no barrier lies between the two";
        f->fix = "pipe_barrier(" + PipeText(second_.place.pipe) + ") between them";
        return;
      case HazardKind::kFixRegister:
        f->missing = std::string("the fixpipe that uses the old ") + h_.reg +
                     " is not known to be complete: no barrier lies between the two";
        f->fix = "pipe_barrier(PIPE_FIX) between them";
        return;
      case HazardKind::kUnpublished:
        f->missing = "no dcci of that line between the store and the read";
        f->fix =
            "dcci(address, SINGLE_CACHE_LINE, CACHELINE_OUT) after the store, before the reader "
            "is told; or st_dev instead of the store";
        return;
      case HazardKind::kUnfenced:
        f->missing =
            "strict visibility: no dsb(DSB_DDR) between the end of the store and the signal";
        f->fix = "pipe_barrier(" + PipeText(first_.place.pipe) +
                 "); dsb(DSB_DDR); pipe_barrier(PIPE_ALL) before ffts_cross_core_sync";
        return;
      case HazardKind::kLostUpdate:
        f->missing =
            "the line goes to memory as a whole, and no order keeps the other write out "
            "between its load and its dcci";
        f->fix =
            "a 64-byte line for each writer; or st_dev, or a copy by MTE3, instead of the store";
        return;
      case HazardKind::kStaleCache:
        f->missing = "no dcci of that line between the wait for the write and the load";
        f->fix =
            "dcci(address, SINGLE_CACHE_LINE, CACHELINE_OUT) after the wait, before the load; "
            "or ld_dev";
        return;
      case HazardKind::kUndrained:
        f->missing = "the scalar unit does not wait for " + Name(first_, second_) +
                     ", and the next kernel of the stream waits for the scalar unit";
        f->fix = "pipe_barrier(PIPE_ALL) as the last statement";
        return;
      case HazardKind::kSelfOverlap:
        return;  // written by race_overlap.cc
    }
  }

  const char* FirstDone() const { return first_.write ? "write" : "read"; }
  const char* SecondNext() const { return second_.write ? "write" : "read"; }
  // A second slot helps where a buffer is used again too soon.
  std::string OrSlot() const {
    return first_.write ? "" : "; or a second slot, with an event of its own";
  }

  // Two pipes of one core.
  void ExplainFlag(Finding* f) const {
    const Pipe src = first_.place.pipe, dst = second_.place.pipe;
    const std::string pair = std::string(PipeName(src)) + "->" + PipeName(dst);
    f->missing = Name(second_, first_) + " is not told that " + Name(first_, second_) +
                 " is done with " + TheseBytes() + ": ";
    const LastFlag& last = order_.last_flag(src, dst);
    if (last.any) {
      f->missing += "the last flag " + pair + " that it waited for, EVENT_ID" +
                    std::to_string(last.event) + ", was set at instruction " +
                    std::to_string(last.set_sequence) + ", before the " + FirstDone();
    } else {
      f->missing += "no flag " + pair + " and no barrier lies between the two";
    }
    const std::string args = PipeText(src) + ", " + PipeText(dst) + ", id)";
    f->fix = "set_flag(" + args + " after the " + FirstDone() + " and wait_flag(" + args +
             " before the " + SecondNext() + OrSlot();
  }

  // The latest signal that `second`'s core took from `first`'s.
  const Place* LastSignal(SignalRef* signal) const {
    const CoreId& from = first_.place.core;
    for (auto it = order_.taken.rbegin(); it != order_.taken.rend(); ++it) {
      for (const Place& place : (*it)->places) {
        if (place.core.block != from.block || place.core.role != from.role) continue;
        *signal = *it;
        return &place;
      }
    }
    return nullptr;
  }

  std::string LastSignalText(const Place& place, const Signal& signal) const {
    std::string text = "the last signal that it took from " +
                       std::string(RoleName(place.core.role)) + ", flag " +
                       std::to_string(signal.flag) + ", was queued on " + PipeName(place.pipe);
    if (place.sequence < first_.place.sequence) return text + " before the " + FirstDone();
    if (place.pipe != first_.place.pipe) {
      return text + ", which does not wait for " + PipeName(first_.place.pipe);
    }
    return text + ", but the " + SecondNext() + " was issued before the wait for it";
  }

  bool one_block() const { return first_.place.core.block == second_.place.core.block; }
  std::string Who() const {
    const CoreId& core = second_.place.core;
    return one_block() ? RoleName(core.role) : "block " + std::to_string(core.block);
  }

  // Two cores.
  void ExplainCores(Finding* f) const {
    SignalRef signal;
    const Place* place = LastSignal(&signal);
    const CoreId& from = first_.place.core;
    const bool polled = order_.polled.count({from.block, from.role}) != 0;
    f->missing = Who() + " is not told that " + Name(first_, second_) + " is done with " +
                 TheseBytes() + ": ";
    if (place != nullptr) {
      f->missing += LastSignalText(*place, *signal);
    } else if (polled) {
      f->missing +=
          std::string("the word that it polled was stored before the end of the ") + FirstDone();
    } else {
      f->missing += one_block() ? std::string("it has taken no signal from ") + RoleName(from.role)
                                : "no barrier of all cores lies between the two";
    }
    f->fix = place == nullptr ? FixWithoutSignal(polled) : FixSignal(*place);
  }

  std::string FixWithoutSignal(bool polled) const {
    const Pipe pipe = first_.place.pipe;
    if (polled && pipe != Pipe::kS) {
      return "set_flag(" + PipeText(pipe) + ", PIPE_S, id) after the " + FirstDone() +
             " and wait_flag before the word is stored";
    }
    if (second_.place.insn == VNPU_INSN_scalar_load && SmallStore(first_)) {
      return "wait for a signal before the load; a poll needs a dcci of the line before each look, "
             "or ld_dev";
    }
    if (first_.write && second_.write && !one_block()) {
      return "one writer for these bytes; or a barrier of all cores (mode 0) between the writes";
    }
    return NewSignal();
  }

  std::string FixSignal(const Place& last) const {
    const Pipe pipe = first_.place.pipe;
    if (last.sequence < first_.place.sequence || pipe == Pipe::kS) return NewSignal();
    if (last.pipe == pipe)
      return std::string("issue the ") + SecondNext() + " behind wait_flag_dev";
    return "move ffts_cross_core_sync to " + PipeText(pipe);
  }

  std::string NewSignal() const {
    const Pipe pipe = first_.place.pipe;
    if (pipe == Pipe::kS) {
      return first_.write ? "publish the store (dcci, or st_dev and dsb) before the signal that " +
                                Who() + " waits for"
                          : "raise the signal that " + Who() + " waits for after the read";
    }
    const bool aivs =
        first_.place.core.role != CoreRole::kAic && second_.place.core.role != CoreRole::kAic;
    const char* mode = !one_block() ? "mode 0) on all cores" : aivs ? "mode 1)" : "mode 2)";
    return "ffts_cross_core_sync(" + PipeText(pipe) + ", " + mode + " after the " + FirstDone() +
           " and wait_flag_dev on " + Who() + " before the " + SecondNext() + OrSlot();
  }

  const Hazard& h_;
  const Touch& first_;
  const Touch& second_;
  CoreOrder& order_;
  const LaunchInfo& info_;
};

}  // namespace

Finding Compose(const Hazard& hazard, CoreOrder& order, const LaunchInfo& info) {
  return Writer(hazard, order, info).Write();
}

Finding ComposeSetAgain(const FlagSetAgain& again, const LaunchInfo& info) {
  const std::string src = PipeName(again.event.src), dst = PipeName(again.event.dst);
  const std::string flag = src + "->" + dst + " EVENT_ID" + std::to_string(again.event.id);
  const auto site = [&info](const Place& place, std::string what) {
    return Site{place.core,
                place.pipe,
                place.insn,
                place.sequence,
                place.return_address,
                std::move(what),
                info.calls->Describe(place.return_address)};
  };
  Finding finding;
  finding.checker = "race";
  finding.kind = "flag-set-again";
  finding.headline = "flag set twice: " + flag + " is one bit, and is set again before its wait";
  finding.kernel = info.kernel;
  finding.sites = {site(again.wait, "waits for " + flag), site(again.set, "sets " + flag)};
  finding.missing = "no order between the wait of " + dst + " and the next set by " + src;
  finding.fix = "another event, or a flag from " + dst + " to " + src + " behind the wait";
  return finding;
}

}  // namespace race
}  // namespace vnpu
