// Models of full size with random weights, as files: what benchmarks run where no published weights are at hand.
#pragma once
#include <cstdint>
#include <filesystem>

namespace melisma {

// HuBERT base, Hugging Face's names.
void write_random_hubert(const std::filesystem::path& path);
// An RVC v2 voice at 40 kHz in fp16, as Applio extracts it.
void write_random_voice(const std::filesystem::path& path);
// An index of `rows` vectors of 768 columns.
void write_random_index(const std::filesystem::path& path, std::int64_t rows);

}  // namespace melisma
