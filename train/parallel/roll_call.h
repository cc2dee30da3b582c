// After a collective call broke: which ranks are lost, and why.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/parallel/group.h"

namespace melisma {

// Keys of the notes: a count that goes up while the rank lives; why it ended; that it noticed the break, and that it
// knows who is lost.
[[nodiscard]] std::string sign_of_life(std::int64_t rank);
[[nodiscard]] std::string reason_of_end(std::int64_t rank);
[[nodiscard]] std::string sign_of_notice(std::int64_t rank);
[[nodiscard]] std::string sign_of_knowing(std::int64_t rank);

struct Roll {
  struct Loss {
    std::int64_t rank = 0;
    std::string who;     // "host, pid 123"; empty where nobody can say
    std::string reason;  // in its own words; empty = it gave no more sign of life
  };
  std::vector<Loss> lost;
  std::int64_t size = 0, own_rank = 0, leader = -1;  // leader: the first rank that is left, as far as this one knows
  double timeout_seconds = 0, silence_seconds = 0;
  bool is_notes_keeper_lost = false;
  std::string meeting_place;

  [[nodiscard]] std::vector<std::int64_t> left() const;  // the ranks that are, but this one
  // What to tell people. `problem`: the network's own words.
  [[nodiscard]] std::string sentence(const std::string& problem) const;
};

// Looks at every rank's signs for a few times `beat_seconds`. Where the notes are out of reach, rank 0, which keeps
// them, counts as lost. Never throws; returns within half a minute.
[[nodiscard]] Roll roll_call(const Group& group, double beat_seconds);

}  // namespace melisma
