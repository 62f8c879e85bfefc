// SPDX-License-Identifier: Apache-2.0
// Why the cores of a block cannot go on: who waits for whom.
#ifndef VNPU_CORE_DEADLOCK_H_
#define VNPU_CORE_DEADLOCK_H_

#include <functional>
#include <string>

namespace vnpu {

class Block;
class Core;

// Lines "  AIC scalar unit waits for cross-core flag 3, which AIV0 ...", closed
// by a line "fix     ...": the cycle if there is one, else the chain up to
// somebody who has ended. Empty if nothing waits or the chain leaves the block.
// `at_barrier`: the flag is one of mode 0, for which other blocks answer.
std::string DescribeCycle(Block* block,
                          const std::function<bool(const Core&, int flag)>& at_barrier);

}  // namespace vnpu

#endif  // VNPU_CORE_DEADLOCK_H_
