// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78): the checksum of TensorBoard's record files.
#pragma once
#include <cstdint>
#include <string_view>

namespace melisma {

[[nodiscard]] std::uint32_t crc32c(std::string_view bytes);

// As record files store it: rotated right by 15 bits plus 0xa282ead8, so that a checksum of data that holds checksums
// stays a good one.
[[nodiscard]] std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace melisma
