// What a step has already changed when it cannot be finished, so that the run can be saved where the step began.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "train/engine/checkpoint.h"

namespace melisma {

// Where ranks train together, a step may break between two networks' turns because a rank is lost. keep() is called
// before each update but the last one; restore() takes those updates back.
class StepBackup {
 public:
  // Remembers the network's parameters and its optimizer's state as they are now.
  void keep(const Turn& turn);
  // Puts back what was kept since forget().
  void restore();
  // The step is whole: nothing is put back any more. The memory is kept for the next step.
  void forget() { n_kept_ = 0; }

 private:
  struct Copy {
    at::Tensor live, saved;
  };
  std::vector<Copy> copies_;  // the first n_kept_ count
  std::size_t n_kept_ = 0;
};

}  // namespace melisma
