// The names a PyTorch pickle may refer to, and what each stands for. Nothing outside this list is accepted.
#pragma once
#include <string>
#include <vector>

#include "models/weights/pickle_reader.h"
#include "models/weights/pickle_value.h"

namespace melisma {

// "module.name" if the name is on the list; Error(checkpoint) naming it otherwise.
[[nodiscard]] std::string allowed_global(const std::string& module, const std::string& name);

// What ('storage', type, key, location, count[, view]) asks for; Error(checkpoint) if it is not of that form.
[[nodiscard]] StorageRequest storage_request(const PickleValue& id);

// The value a call of an allowed global makes: a tensor from its storage, a shape, a number. Error(checkpoint) if the
// arguments are not those PyTorch writes, or if a tensor reaches outside its storage.
[[nodiscard]] PickleValue call_global(const std::string& global, const std::vector<PickleValue>& arguments);

}  // namespace melisma
