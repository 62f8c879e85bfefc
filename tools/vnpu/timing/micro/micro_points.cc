// SPDX-License-Identifier: Apache-2.0
#include "tools/vnpu/timing/micro/micro_points.h"

#include <cmath>
#include <memory>

#include "tools/vnpu/core/device.h"
#include "tools/vnpu/timing/recorder.h"
#include "tools/vnpu/timing/simulator.h"

namespace vnpu {
namespace {

using vnpu_micro::Request;
using vnpu_micro::Which;

constexpr double kTolerance = 0.10;
constexpr uint32_t kStream = 16;  // instructions of a stream
constexpr uint64_t kGmBytes = 512 << 10;

bool OnCube(Which which) { return which <= Which::kL1ToFb; }

// Runs the request once or, for a warm L2, twice; false with *error.
bool Record(const Request& request, TimingRecorder* recorder, std::string* error) {
  const std::string name = OnCube(request.which) ? "micro_cube" : "micro_vector";
  const auto module = KernelModule::LoadFile("tools/vnpu/timing/micro/" + name + ".so", error);
  if (module == nullptr) return false;
  DeviceConfig config;
  config.host_threads = 1;
  Device device(config);
  device.AddObserver(recorder);
  const struct {
    void* gm;
    Request request;
  } args = {device.Allocate(kGmBytes), request};
  const LaunchResult result = device.Launch(*module->Find(name + "_0"), 1, &args, sizeof(args));
  *error = result.text;
  return result.fault == FaultKind::kNone;
}

// The last `count` spans of the one pipe that worked.
std::vector<Span> LastSpans(const Timeline& timeline, size_t count) {
  std::vector<Span> spans;
  for (const Span& span : timeline.spans) {
    if (timeline.lanes[span.lane].pipe != static_cast<uint8_t>(Pipe::kS)) spans.push_back(span);
  }
  return std::vector<Span>(spans.end() - static_cast<std::ptrdiff_t>(count), spans.end());
}

struct SizePoint {
  uint32_t kib;
  double cycles;
};

void AddSizes(const std::string& id, Which which, MicroFigure figure,
              const std::vector<SizePoint>& sizes, const std::string& source,
              std::vector<MicroPoint>* points) {
  for (const SizePoint& size : sizes) {
    points->push_back({id + "/" + std::to_string(size.kib) + "KiB",
                       Request{which, {size.kib << 10, 0, 0}, 1}, figure, size.cycles, source});
  }
}

void AddTransfers(std::vector<MicroPoint>* points) {
  const std::string b3 = "mskpp tables, 910B3 [hw]", b1 = "mskpp tables, 910B1 [hw]";
  AddSizes("gm_l1", Which::kGmToL1, MicroFigure::kAloneWarm,
           {{1, 173},
            {2, 192},
            {4, 234},
            {8, 237},
            {16, 295},
            {32, 373},
            {64, 623},
            {96, 768},
            {128, 945},
            {192, 1329},
            {256, 1681}},
           b3, points);
  // The table's 52 and 116 KiB are outliers of its own and left out.
  AddSizes(
      "gm_l1_nd2nz", Which::kNd2Nz, MicroFigure::kAloneWarm,
      {{4, 781}, {8, 787}, {16, 794}, {32, 784}, {64, 824}, {96, 1040}, {128, 1149}, {192, 1612}},
      b3, points);
  AddSizes("gm_ub_hit", Which::kGmToUb, MicroFigure::kAloneWarm,
           {{1, 216},
            {4, 238},
            {8, 239},
            {16, 300},
            {32, 485},
            {64, 747},
            {96, 971},
            {128, 1229},
            {192, 1765}},
           b3, points);
  AddSizes("gm_ub_miss", Which::kGmToUb, MicroFigure::kAlone,
           {{1, 235},
            {2, 255},
            {4, 291},
            {8, 321},
            {16, 404},
            {32, 712},
            {64, 1426},
            {128, 2799},
            {192, 4202}},
           b1, points);
  AddSizes("ub_gm", Which::kUbToGm, MicroFigure::kAlone,
           {{1, 151}, {2, 155}, {4, 181}, {8, 237}, {16, 316}, {32, 507}, {64, 993}}, b3, points);
  AddSizes("fixpipe", Which::kFixpipe, MicroFigure::kAlone,
           {{1, 80}, {2, 82}, {4, 83}, {8, 85}, {16, 135}, {32, 273}, {64, 559}, {128, 1116}}, b3,
           points);
  AddSizes("fixpipe_nd", Which::kFixpipeNd, MicroFigure::kAlone, {{1, 92}, {16, 138}, {32, 279}},
           b3, points);
}

void AddCube(std::vector<MicroPoint>* points) {
  const std::string mskpp = "mskpp tables, 910B3 [hw]";
  const auto stream = MicroFigure::kBackToBack;
  const struct {
    uint32_t fractals;
    double l0a, l0b;
  } kLoads[] = {{1, 4.0, 4.9}, {4, 8.8, 16.6}, {16, 32, 63}, {128, 250, 499}};
  for (const auto& load : kLoads) {
    const std::string r = "/" + std::to_string(load.fractals);
    points->push_back({"l1_l0a" + r, Request{Which::kL1ToL0a, {load.fractals, 0, 0}, 1}, stream,
                       load.l0a, mskpp});
    points->push_back({"l1_l0b" + r, Request{Which::kL1ToL0b, {load.fractals, 0, 0}, 1}, stream,
                       load.l0b, mskpp});
  }
  const struct {
    uint32_t n;
    double cycles;
  } kMads[] = {{16, 4.9}, {128, 18.1}, {1024, 130}};
  for (const auto& mad : kMads) {
    points->push_back({"mad_f16/32x16x" + std::to_string(mad.n),
                       Request{Which::kMadF16, {32, 16, mad.n}, 1}, stream, mad.cycles, mskpp});
  }
  points->push_back({"mad_f16_alone/128x128x128", Request{Which::kMadF16, {128, 128, 128}, 1},
                     MicroFigure::kAlone, 512 + 23, mskpp});
  points->push_back({"mad_s8/128x128x128", Request{Which::kMadS8, {128, 128, 128}, 1}, stream,
                     256 + 2, "32 of k per fractal, CANN docs [doc]"});
  points->push_back({"mad_f32/64x64x64", Request{Which::kMadF32, {64, 64, 64}, 1}, stream, 256 + 2,
                     "quarter rate, 87 against 328 TFLOPS [hw]"});
  points->push_back(
      {"l1_bt/1KiB", Request{Which::kL1ToBt, {1024, 0, 0}, 1}, stream, 1 + 1024 / 35.0, mskpp});
  points->push_back(
      {"l1_fb/2KiB", Request{Which::kL1ToFb, {2048, 0, 0}, 1}, stream, 15 + 2048 / 33.0, mskpp});
}

struct VectorPoint {
  const char* name;
  Which which;
  double slope, floor;      // back to back; slope 0: not published
  double head, head_slope;  // alone; head 0: not published
};

const VectorPoint kVector[] = {
    {"vadd_f32", Which::vadd_f32, 2, 3, 24, 2.1},
    {"vadd_f16", Which::vadd_f16, 2, 6, 24, 2.1},
    {"vsub_f32", Which::vsub_f32, 2, 3, 24, 2.1},
    {"vmul_f32", Which::vmul_f32, 2, 3, 25, 2},
    {"vmax_f32", Which::vmax_f32, 2, 3, 24, 2},
    {"vmin_f32", Which::vmin_f32, 2, 3, 24, 2},
    {"vdiv_f32", Which::vdiv_f32, 4, 3, 31, 4},
    {"vdiv_f16", Which::vdiv_f16, 4, 8, 31, 4},
    {"vmla_f32", Which::vmla_f32, 6, 3, 0, 0},
    {"vmadd_f32", Which::vmadd_f32, 6, 3, 0, 0},
    {"vabs_f32", Which::vabs_f32, 1, 3, 29, 1},
    {"vrelu_f32", Which::vrelu_f32, 1, 3, 23, 1},
    {"vexp_f32", Which::vexp_f32, 2, 3, 31, 2},
    {"vexp_f16", Which::vexp_f16, 4, 3, 0, 0},
    {"vln_f32", Which::vln_f32, 2, 3, 33, 2},
    {"vln_f16", Which::vln_f16, 4, 3, 0, 0},
    {"vsqrt_f32", Which::vsqrt_f32, 2, 3, 39, 2},
    {"vsqrt_f16", Which::vsqrt_f16, 4, 3, 0, 0},
    {"vrec_f32", Which::vrec_f32, 1, 3, 0, 0},
    {"vrsqrt_f32", Which::vrsqrt_f32, 1, 3, 24, 1.1},
    {"vadds_f32", Which::vadds_f32, 1, 3, 31, 1},
    {"vmuls_f32", Which::vmuls_f32, 1, 3, 26, 1},
    {"vmaxs_f32", Which::vmaxs_f32, 1, 3, 23, 1},
    {"vmins_f32", Which::vmins_f32, 1, 3, 30, 1},
    {"vlrelu_f32", Which::vlrelu_f32, 1, 3, 0, 0},
    {"vaxpy_f32", Which::vaxpy_f32, 2, 3, 0, 0},
    {"vand_u16", Which::vand_u16, 2, 3, 20, 2},
    {"vor_u16", Which::vor_u16, 2, 3, 20, 2},
    {"vnot_u16", Which::vnot_u16, 1, 3, 20, 2},
    {"vshl_s32", Which::vshl_s32, 1, 4, 0, 0},
    {"vcadd_f32", Which::vcadd_f32, 0, 0, 46, 7},
    {"vcadd_f16", Which::vcadd_f16, 7, 3, 0, 0},
    {"vcmax_f16", Which::vcmax_f16, 7, 3, 0, 0},
    {"vcmax_f32", Which::vcmax_f32, 7, 3, 0, 0},
    {"vcmin_f32", Which::vcmin_f32, 7, 3, 0, 0},
    {"vcgadd_f32", Which::vcgadd_f32, 1, 3, 38, 1},
    {"vcgadd_f16", Which::vcgadd_f16, 7, 3, 0, 0},
    {"vcgmax_f32", Which::vcgmax_f32, 1, 3, 31, 1},
    {"vcgmax_f16", Which::vcgmax_f16, 7, 3, 0, 0},
    {"vcpadd_f32", Which::vcpadd_f32, 1, 3, 0, 0},
    {"vector_dup_f32", Which::vector_dup_f32, 1, 3, 24, 1},
    {"vcopy_u32", Which::vcopy_u32, 1, 3, 24, 1},
    {"vsel_f32", Which::vsel_f32, 2, 3, 27, 2},
    {"vcmpv_lt_f32", Which::vcmpv_lt_f32, 2, 7, 36, 2},
    {"vcmpvs_lt_f32", Which::vcmpvs_lt_f32, 1, 7, 0, 0},
    {"vconv_f322f16", Which::vconv_f322f16, 1, 6, 32, 2},
    {"vconv_f162f32", Which::vconv_f162f32, 1, 3, 32, 2},
    {"vgather_u32", Which::vgather_u32, 12, 3, 0, 0},
    {"vgather_u16", Which::vgather_u16, 24, 3, 0, 0},
    {"vgatherb_u32", Which::vgatherb_u32, 2, 11, 0, 0},
    {"vreducev2_u32", Which::vreducev2_u32, 14, 3, 34, 14},
};

void AddVector(std::vector<MicroPoint>* points) {
  const std::string mskpp = "mskpp tables [hw]", pto = "PTO cost model, 910B3 [hw fit]";
  for (const VectorPoint& v : kVector) {
    for (const uint32_t repeats : {1u, 8u, 48u}) {
      const std::string id = std::string(v.name) + "/" + std::to_string(repeats);
      const Request request{v.which, {repeats, 0, 0}, 1};
      if (v.slope != 0) {
        points->push_back(
            {id, request, MicroFigure::kBackToBack, std::max(v.floor, v.slope * repeats), mskpp});
      }
      if (v.head != 0) {
        points->push_back(
            {id + "_alone", request, MicroFigure::kAlone, v.head + v.head_slope * repeats, pto});
      }
    }
  }
  const std::string banks = "hiascend, UB bank conflicts [doc]";
  points->push_back({"vadd_f32_block_stride_8", Request{Which::vadd_f32_stride8, {8, 0, 0}, 1},
                     MicroFigure::kBackToBack, 4 * 8, banks});
  points->push_back({"vadd_f32_block_stride_16", Request{Which::vadd_f32_stride16, {8, 0, 0}, 1},
                     MicroFigure::kBackToBack, 8 * 8, banks});
  points->push_back(
      {"vbrcb_u32/1_alone", Request{Which::vbrcb_u32, {1, 0, 0}, 1}, MicroFigure::kAlone, 18, pto});
  points->push_back(
      {"vbrcb_u32/8", Request{Which::vbrcb_u32, {8, 0, 0}, 1}, MicroFigure::kBackToBack, 8, mskpp});
  points->push_back({"ub_ub/16KiB", Request{Which::kUbToUb, {16 << 10, 0, 0}, 1},
                     MicroFigure::kBackToBack, 64, mskpp});
}

}  // namespace

std::vector<MicroPoint> MicroTable() {
  std::vector<MicroPoint> points;
  AddTransfers(&points);
  AddCube(&points);
  AddVector(&points);
  return points;
}

double RunMicroPoint(const MicroPoint& point, const Parameters& parameters, std::string* error) {
  Request request = point.request;
  request.count = point.figure == MicroFigure::kBackToBack ? kStream : 1;
  TimingRecorder recorder;
  if (!Record(request, &recorder, error)) return NAN;
  L2State l2;
  Timeline timeline;
  const int launches = point.figure == MicroFigure::kAloneWarm ? 2 : 1;
  for (int i = 0; i < launches; ++i) {
    if (!Simulate(recorder.recording(), parameters, &l2, &timeline, error)) return NAN;
  }
  const std::vector<Span> spans = LastSpans(timeline, request.count);
  const Span &first = spans.front(), &last = spans.back();
  const auto ps =
      static_cast<double>(point.figure == MicroFigure::kBackToBack ? last.begin_ps - first.begin_ps
                                                                   : last.done_ps - first.begin_ps);
  const double steps = point.figure == MicroFigure::kBackToBack ? kStream - 1 : 1;
  return ps / steps / parameters.cycle_ps();
}

std::vector<CalibrationPoint> MicroPoints(std::string* error) {
  std::vector<CalibrationPoint> points;
  Parameters parameters;
  if (!ParametersOf("Ascend910B1", &parameters, error)) return points;
  for (const MicroPoint& point : MicroTable()) {
    const double cycles = RunMicroPoint(point, parameters, error);
    if (std::isnan(cycles)) {
      *error = point.id + ": " + *error;
      return {};
    }
    points.push_back({point.id, cycles, point.published, "cyc", kTolerance, point.source, ""});
  }
  return points;
}

}  // namespace vnpu
