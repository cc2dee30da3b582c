#include "tools/cli/engine_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tools/base/error.h"

namespace melisma {

const EngineActions& engine(const GlobalOptions& global) {
  static const EngineActions* actions = [&global] {
    // libgomp reads these once, when it is loaded: spinning threads on a busy machine cost more than they gain.
    setenv("OMP_WAIT_POLICY", "passive", 0);
    if (global.threads > 0) {
      const auto text = std::to_string(global.threads);
      setenv("OMP_NUM_THREADS", text.c_str(), 1);
      setenv("MKL_NUM_THREADS", text.c_str(), 1);
    }
    const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const auto library = folder / "libmelisma_engine.so";
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      fail(ErrorKind::internal, "cannot open '{}': {}; run tools/setup to build it again", library.string(), dlerror());
    }
    using EntryPoint = const EngineActions* (*)();
    const auto entry = reinterpret_cast<EntryPoint>(dlsym(handle, kEngineEntryPoint));
    if (entry == nullptr)
      fail(ErrorKind::internal, "'{}' has no entry point; run tools/setup to build it again", library.string());
    return entry();
  }();
  return *actions;
}

}  // namespace melisma
