// Arrays of numpy in a pickle, made of their bytes: always doubles, whatever they were.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "models/weights/pickle_value.h"

namespace melisma {

// What numpy's _reconstruct begins with: no elements yet.
[[nodiscard]] at::Tensor empty_numpy_array();

// Fills it from the state (version, shape, dtype, is_fortran, bytes) that follows. Error(checkpoint) for another form,
// for elements that are no numbers, and if the bytes are not as many as the shape says.
void fill_numpy_array(at::Tensor& array, const PickleValue& state);

// _frombuffer(bytes, dtype, shape, order): the same in one call, as protocol 5 has it.
[[nodiscard]] at::Tensor numpy_array_of(const PickleValue& bytes, const PickleValue& type, const PickleValue& shape,
                                        bool is_fortran);

}  // namespace melisma
