// Which parameters a setting like freeze.generator = ["enc_p", "dec.ups.0"] means.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "models/layers/module.h"

namespace melisma {

// Names of the parameters of `module` that `patterns` mean, in the module's order, each once. A pattern means the
// parameters whose names begin with its parts, dot by dot; * in a part stands for any letters. Throws Error(config)
// naming `setting` for a pattern that means nothing (with did-you-mean), and if nothing is left to train.
[[nodiscard]] std::vector<std::string> parameters_meant(const Module& module, const std::vector<std::string>& patterns,
                                                        std::string_view setting);

}  // namespace melisma
