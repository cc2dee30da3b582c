#include "tools/base/media.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "tools/base/error.h"

namespace melisma {
namespace {

void append_little(std::string& bytes, std::uint32_t value, int n) {
  for (int i = 0; i < n; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

void append_big(std::string& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
}

const Bytef* zlib_bytes(std::string_view text) { return reinterpret_cast<const Bytef*>(text.data()); }

void append_chunk(std::string& png, std::string_view type, std::string_view content) {
  append_big(png, static_cast<std::uint32_t>(content.size()));
  const auto begin = png.size();
  png.append(type).append(content);
  const auto covered = std::string_view(png).substr(begin);
  append_big(png, static_cast<std::uint32_t>(crc32(0, zlib_bytes(covered), static_cast<uInt>(covered.size()))));
}

std::string deflated(std::string_view content) {
  auto size = compressBound(content.size());
  std::string packed(size, '\0');
  const int code = compress2(reinterpret_cast<Bytef*>(packed.data()), &size, zlib_bytes(content), content.size(), 6);
  if (code != Z_OK)
    fail(ErrorKind::internal, "cannot compress an image of {} bytes (zlib code {})", content.size(), code);
  packed.resize(size);
  return packed;
}

}  // namespace

std::string wav_bytes(std::span<const float> samples, std::int64_t sample_rate_hz) {
  const auto data_size = static_cast<std::uint32_t>(samples.size() * 2);
  const auto rate = static_cast<std::uint32_t>(sample_rate_hz);
  std::string wav = "RIFF";
  append_little(wav, 36 + data_size, 4);
  wav += "WAVEfmt ";
  append_little(wav, 16, 4);
  append_little(wav, 1, 2);  // PCM
  append_little(wav, 1, 2);  // channels
  append_little(wav, rate, 4);
  append_little(wav, rate * 2, 4);
  append_little(wav, 2, 2);
  append_little(wav, 16, 2);
  wav += "data";
  append_little(wav, data_size, 4);
  for (const float sample : samples) {
    const double clamped = std::isnan(sample) ? 0.0 : std::clamp<double>(sample, -1.0, 1.0);
    append_little(wav, static_cast<std::uint32_t>(static_cast<std::int32_t>(clamped * 32767.0)), 2);
  }
  return wav;
}

std::string png_bytes(std::span<const std::uint8_t> rgb, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || static_cast<std::int64_t>(rgb.size()) != height * width * 3) {
    fail(ErrorKind::internal, "an image of {} x {} has {} bytes", height, width, rgb.size());
  }
  std::string rows;
  rows.reserve(rgb.size() + static_cast<std::size_t>(height));
  const auto row_size = static_cast<std::size_t>(width) * 3;
  for (std::size_t row = 0; row < static_cast<std::size_t>(height); ++row) {
    rows.push_back('\0');  // filter "none"
    rows.append(reinterpret_cast<const char*>(rgb.data()) + row * row_size, row_size);
  }
  std::string header;
  append_big(header, static_cast<std::uint32_t>(width));
  append_big(header, static_cast<std::uint32_t>(height));
  header += std::string("\x08\x02\x00\x00\x00", 5);  // 8 bits, RGB, not interlaced
  std::string png = "\x89PNG\r\n\x1a\n";
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", deflated(rows));
  append_chunk(png, "IEND", "");
  return png;
}

}  // namespace melisma
