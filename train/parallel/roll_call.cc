#include "train/parallel/roll_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <thread>

namespace melisma {
namespace {

constexpr double kBeatsOfSilence = 3;   // so many without a sign, and a rank is lost
constexpr double kPatienceSeconds = 5;  // for answers, beside the silence waited for

std::map<std::int64_t, std::string> signs_of_all(Group::Notes& notes, std::int64_t size) {
  std::map<std::int64_t, std::string> signs;
  for (std::int64_t rank = 0; rank < size; ++rank) signs[rank] = notes.read(sign_of_life(rank)).value_or("");
  return signs;
}

void look(Group::Notes& notes, double silence_seconds, Roll& roll) {
  notes.write(sign_of_notice(roll.own_rank), "yes");
  const auto before = signs_of_all(notes, roll.size);
  std::this_thread::sleep_for(std::chrono::duration<double>(silence_seconds));
  const auto after = signs_of_all(notes, roll.size);
  for (std::int64_t rank = 0; rank < roll.size; ++rank) {
    if (rank == roll.own_rank) continue;
    const auto reason = notes.read(reason_of_end(rank));
    if (!reason && (before.at(rank) != after.at(rank) || notes.read(sign_of_notice(rank)))) continue;
    roll.lost.push_back({rank, notes.read(fmt::format("who/{}", rank)).value_or(""), reason.value_or("")});
  }
  notes.write(sign_of_knowing(roll.own_rank), "yes");
}

Roll blank(const Group& group, double silence_seconds) {
  Roll roll;
  roll.size = group.place().size;
  roll.own_rank = group.place().rank;
  roll.timeout_seconds = group.timeout_seconds();
  roll.silence_seconds = silence_seconds;
  roll.meeting_place = group.meeting_place();
  return roll;
}

// Rank 0 keeps the notes: without them only it is known to be lost, and rank 1 goes before the others.
Roll without_notes(Roll roll) {
  roll.lost = {{0, roll.meeting_place, ""}};
  roll.is_notes_keeper_lost = true;
  roll.leader = 1;
  return roll;
}

}  // namespace

std::string sign_of_life(std::int64_t rank) { return fmt::format("life/{}", rank); }
std::string reason_of_end(std::int64_t rank) { return fmt::format("end/{}", rank); }
std::string sign_of_knowing(std::int64_t rank) { return fmt::format("knows/{}", rank); }
std::string sign_of_notice(std::int64_t rank) { return fmt::format("notice/{}", rank); }

std::vector<std::int64_t> Roll::left() const {
  std::vector<std::int64_t> ranks;
  for (std::int64_t rank = 0; rank < size; ++rank) {
    const auto is_lost = std::ranges::any_of(lost, [rank](const auto& loss) { return loss.rank == rank; });
    if (rank != own_rank && !is_lost) ranks.push_back(rank);
  }
  return ranks;
}

std::string Roll::sentence(const std::string& problem) const {
  if (lost.empty()) {
    return fmt::format("no rank is lost, but they did not come together within {:g} s; raise distributed.timeout ({})",
                       timeout_seconds, problem);
  }
  std::string text;
  for (const auto& loss : lost) {
    if (!text.empty()) text += "; ";
    text += fmt::format("rank {} of {}", loss.rank, size);
    if (!loss.who.empty()) text += fmt::format(" ({})", loss.who);
    if (!loss.reason.empty()) {
      text += " failed: " + loss.reason;
    } else if (is_notes_keeper_lost) {
      text += " is gone or out of reach";
    } else {
      text += fmt::format(" is gone or hangs: no sign of life for {:.1g} s", silence_seconds);
    }
  }
  return fmt::format("{} ({})", text, problem);
}

// On a thread of its own, which is left behind if the notes never answer: a connection that is cut does not say so.
Roll roll_call(const Group& group, double beat_seconds) {
  const auto silence = kBeatsOfSilence * beat_seconds;
  auto roll = blank(group, silence);
  std::promise<Roll> promise;
  auto answer = promise.get_future();
  std::thread([notes = group.notes(), silence, roll, promise = std::move(promise)]() mutable {
    try {
      const auto own = notes->again();
      look(*own, silence, roll);
      const auto others = roll.left();
      roll.leader = others.empty() ? roll.own_rank : std::min(roll.own_rank, others.front());
      promise.set_value(roll);
    } catch (const std::exception&) {
      promise.set_value(without_notes(roll));
    }
  }).detach();
  if (answer.wait_for(std::chrono::duration<double>(silence + kPatienceSeconds)) == std::future_status::ready) {
    return answer.get();
  }
  return without_notes(roll);
}

}  // namespace melisma
