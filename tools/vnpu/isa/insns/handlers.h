// SPDX-License-Identifier: Apache-2.0
// The handlers that isa/insns.inc names, by file.
#ifndef VNPU_ISA_INSNS_HANDLERS_H_
#define VNPU_ISA_INSNS_HANDLERS_H_

namespace vnpu {

class Exec;

namespace insns {

// core/sync.cc
void SetFlag(Exec& x);
void WaitFlag(Exec& x);
void PipeBarrier(Exec& x);
void CrossCoreSet(Exec& x);
void CrossCoreWait(Exec& x);
void DataSyncBarrier(Exec& x);
void DataCacheClean(Exec& x);
void ScalarLoad(Exec& x);
void ScalarStore(Exec& x);
void LoadDevice(Exec& x);
void StoreDevice(Exec& x);
// system.cc
void GetBlockIdx(Exec& x);
void GetBlockNum(Exec& x);
void GetSubblockId(Exec& x);
void GetSubblockDim(Exec& x);
void GetSysCnt(Exec& x);
void GetCtrl(Exec& x);
void SetCtrl(Exec& x);
void SetVectorMask(Exec& x);
void SetMaskNorm(Exec& x);
void SetMaskCount(Exec& x);
void SetNdPara(Exec& x);
void SetPadding(Exec& x);
void SetQuantPre(Exec& x);
void SetFpc(Exec& x);
void SetLreluAlpha(Exec& x);
void SetMovPadVal(Exec& x);
void SetDeqscale(Exec& x);
void SetAtomicNone(Exec& x);
void SetAtomicAdd(Exec& x);
void SetAtomicMax(Exec& x);
void SetAtomicMin(Exec& x);
void SetAtomicType(Exec& x);
void SetFftsBase(Exec& x);
void SetVaReg(Exec& x);
void GetRsvdCnt(Exec& x);
void GetAccVal(Exec& x);
void GetMaxMinCnt(Exec& x);
void GetVms4Sr(Exec& x);
void Trap(Exec& x);
// unmodelled.cc
void Unmodelled(Exec& x);
// copy_gm_ub.cc
void CopyGmToUb(Exec& x);
void CopyUbToGm(Exec& x);
void CopyGmToUbAlign(Exec& x);
void CopyUbToGmAlign(Exec& x);
void CopyUbToUb(Exec& x);
// copy_gm_l1.cc
void CopyGmToL1(Exec& x);
void CopyL1ToGm(Exec& x);
void CopyGmToL1Nd2Nz(Exec& x);
// load_l0.cc
void LoadGm(Exec& x);
void LoadL1ToL0(Exec& x);
void LoadL1ToL0Transpose(Exec& x);
void CreateMatrix(Exec& x);
void CopyL1ToBt(Exec& x);
void CopyL1ToFb(Exec& x);
// mad.cc, fixpipe.cc
void Mad(Exec& x);
void Fixpipe(Exec& x);
// vec_binary.cc, vec_unary.cc
void VecBinary(Exec& x);
void VecUnary(Exec& x);
void VecScalar(Exec& x);
void VecShift(Exec& x);
// vec_move.cc
void VecDup(Exec& x);
void VecCopy(Exec& x);
void VecBroadcastBlock(Exec& x);
void VecGather(Exec& x);
void VecGatherBlock(Exec& x);
void VecGatherMask(Exec& x);
// vec_transpose.cc
void VecTranspose(Exec& x);
void VecTransposeList(Exec& x);
// vec_sort.cc
void VecSort32(Exec& x);
void VecMergeSort(Exec& x);
// vec_reduce.cc
void VecReduceExtreme(Exec& x);
void VecReduceAdd(Exec& x);
void VecReduceBlock(Exec& x);
void VecReducePair(Exec& x);
// vec_compare.cc
void VecCompare(Exec& x);
void VecCompareScalar(Exec& x);
void VecCompareToMask(Exec& x);
void VecSelect(Exec& x);
void SetCompareMask(Exec& x);
void GetCompareMask(Exec& x);
// vec_fused.cc
void VecConvertS4(Exec& x);
void VecConvertHalfBlock(Exec& x);
void VecFused(Exec& x);
// vec_convert.cc
void VecConvert(Exec& x);
void VecConvertDeq(Exec& x);

}  // namespace insns
}  // namespace vnpu

#endif  // VNPU_ISA_INSNS_HANDLERS_H_
