#include "experiments/runs/job_note.h"

#include <cstdlib>

#include "tools/base/atomic_file.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr const char* kNote = "run.txt";

}  // namespace

fs::path own_job_folder() {
  const char* folder = std::getenv(kJobFolderVariable);
  return folder == nullptr ? fs::path() : fs::path(folder);
}

void note_run_of_job(const fs::path& run_folder) {
  const auto job = own_job_folder();
  if (!job.empty()) write_file_atomically(job / kNote, fs::absolute(run_folder).lexically_normal().string());
}

fs::path run_noted_in(const fs::path& job_folder) {
  const auto note = job_folder / kNote;
  return fs::exists(note) ? fs::path(read_file(note)) : fs::path();
}

}  // namespace melisma
