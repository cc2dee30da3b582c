// Numbers as people read them: times, sizes, counts and rates. The one place that decides how.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace melisma {

// "85 ms", "4.2 s", "43 s", "3 min 05 s", "2 h 07 min", "4 d 03 h"; "?" for what is not a finite number of at least 0.
[[nodiscard]] std::string format_seconds(double seconds);

// "512 B", "1.5 KiB", "720 MiB", "3.2 GiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

// "1,234,567".
[[nodiscard]] std::string format_count(std::int64_t count);

// Four significant digits: "12.35", "0.0001", "1.235e+07", "nan".
[[nodiscard]] std::string format_value(double value);

// "3.2 steps/s"; below one in ten seconds "12.5 s/step" (the unit's plural s is dropped).
[[nodiscard]] std::string format_rate(double per_second, std::string_view unit);

// "1 file", "3 files": `unit` is the plural.
[[nodiscard]] std::string format_amount(double amount, std::string_view unit);

}  // namespace melisma
