// Stems of a song at one rate, decoded once into files that nobody keeps: any part of any channel can be read again,
// and memory does not grow with the song. Torch-free.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/audio/audio_writer.h"
#include "tools/base/scratch_folder.h"

namespace melisma {

struct StemChannel {
  std::string name;  // the file's, without its ending; ".left" and ".right" behind it if it has two channels
  std::size_t stem = 0;
  bool is_left = false, is_right = false;
  std::int64_t n_frames = 0;
  double lufs = 0;  // integrated loudness of the stem; minus infinity for silence
};

class StemStore {
 public:
  // Reads every file; channels beyond two are averaged to one. `progress` gets the number of files that are done.
  // Error(usage) for two stems of one name, Error(data) for a file that cannot be read.
  StemStore(const std::vector<std::filesystem::path>& stems, std::int64_t sample_rate_hz,
            const std::function<void(std::size_t)>& progress = {});

  [[nodiscard]] std::int64_t sample_rate_hz() const { return sample_rate_hz_; }
  [[nodiscard]] const std::vector<StemChannel>& channels() const { return channels_; }
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::int64_t n_frames() const { return n_frames_; }  // of the longest
  // Frames [first, first + out.size()) of a channel, zeros before its beginning and past its end.
  void read(std::size_t channel, std::int64_t first, std::span<float> out) const;

 private:
  void add(const std::filesystem::path& file, std::size_t stem);
  [[nodiscard]] std::filesystem::path file_of(std::size_t channel) const;
  std::int64_t sample_rate_hz_, n_frames_ = 0;
  ScratchFolder folder_;
  std::vector<StemChannel> channels_;
};

}  // namespace melisma
