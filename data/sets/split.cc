#include "data/sets/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

constexpr std::size_t kProblemsShown = 20;

// Recordings that move together, and where the seed puts them on the line from 0 to 1.
struct Unit {
  std::vector<std::size_t> items;
  std::string name;  // the first of theirs
  std::string speaker;
  double place = 0;
};

std::vector<Unit> units_of(std::span<const SplitItem> items, std::uint64_t seed) {
  std::map<std::int64_t, std::size_t> unit_of_group;
  std::vector<Unit> units;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& item = items[i];
    const auto found = item.group >= 0 ? unit_of_group.find(item.group) : unit_of_group.end();
    const auto at = found == unit_of_group.end() ? units.size() : found->second;
    if (at == units.size()) {
      units.push_back({{}, item.name, item.speaker, 0});
      if (item.group >= 0) unit_of_group.emplace(item.group, at);
    }
    units[at].items.push_back(i);
    if (item.name < units[at].name) {
      units[at].name = item.name;
      units[at].speaker = item.speaker;
    }
  }
  for (auto& unit : units) unit.place = RandomSource(seed_of(seed, "split/" + unit.name)).uniform();
  return units;
}

// How many of `sorted` each held-out split takes: those below its share, but at least one and, as few draws scatter
// widely, at most half as many again as its share; one is left to train.
struct Counts {
  std::size_t test = 0, validation = 0;
};
Counts counts_of(const std::vector<const Unit*>& sorted, const SplitShares& shares) {
  const auto n = sorted.size();
  const auto below = [&](double limit) {
    return static_cast<std::size_t>(
        std::count_if(sorted.begin(), sorted.end(), [limit](const Unit* unit) { return unit->place < limit; }));
  };
  const auto most = [n](double share) {
    return static_cast<std::size_t>(std::ceil(1.5 * share * static_cast<double>(n)));
  };
  if (n < 2) return {};
  if (n == 2) return {0, shares.validation > 0 ? std::size_t{1} : 0};
  Counts counts{below(shares.test), below(shares.test + shares.validation) - below(shares.test)};
  if (shares.test > 0) counts.test = std::max<std::size_t>(counts.test, 1);
  if (shares.validation > 0) counts.validation = std::max<std::size_t>(counts.validation, 1);
  counts.test = std::min(counts.test, most(shares.test));
  counts.validation = std::min(counts.validation, most(shares.validation));
  while (counts.test + counts.validation > n - 1)
    --(counts.test >= counts.validation ? counts.test : counts.validation);
  return counts;
}

std::string listing(const std::vector<std::string>& problems) {
  std::string text;
  for (std::size_t i = 0; i < std::min(problems.size(), kProblemsShown); ++i) text += "\n  " + problems[i];
  if (problems.size() > kProblemsShown) text += fmt::format("\n  and {} more", problems.size() - kProblemsShown);
  return text;
}

}  // namespace

std::vector<Split> split_recordings(std::span<const SplitItem> items, const SplitShares& shares) {
  const auto units = units_of(items, shares.seed);
  std::map<std::string, std::vector<const Unit*>> strata;
  for (const auto& unit : units) strata[unit.speaker].push_back(&unit);
  std::vector<const Unit*> pooled;
  std::erase_if(strata, [&](const auto& stratum) {
    if (stratum.second.size() >= 3) return false;
    pooled.insert(pooled.end(), stratum.second.begin(), stratum.second.end());
    return true;
  });
  // Too few to pool beside speakers who are held out already: they train.
  if (pooled.size() >= 3 || strata.empty()) strata.emplace(std::string(1, '\0'), pooled);

  std::vector<Split> sides(items.size(), Split::train);
  for (auto& [speaker, members] : strata) {
    std::sort(members.begin(), members.end(),
              [](const Unit* a, const Unit* b) { return std::tie(a->place, a->name) < std::tie(b->place, b->name); });
    const auto counts = counts_of(members, shares);
    for (std::size_t i = 0; i < counts.test + counts.validation; ++i) {
      for (const auto item : members[i]->items) sides[item] = i < counts.test ? Split::test : Split::validation;
    }
  }
  return sides;
}

std::vector<SplitListEntry> read_split_list(const std::filesystem::path& path) {
  std::istringstream text(read_file(path));
  std::vector<SplitListEntry> entries;
  std::vector<std::string> problems;
  std::int64_t number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] == '#') continue;
    const auto gap = line.find_first_of(" \t", start);
    const auto name_at = gap == std::string::npos ? gap : line.find_first_not_of(" \t", gap);
    if (name_at == std::string::npos) {
      problems.push_back(
          fmt::format("{}:{}: expected 'train|validation|test NAME', found '{}'", path.string(), number, line));
      continue;
    }
    try {
      const auto name_end = line.find_last_not_of(" \t");
      entries.push_back(
          {split_named(line.substr(start, gap - start)), line.substr(name_at, name_end + 1 - name_at), number});
    } catch (const Error& error) {
      problems.push_back(fmt::format("{}:{}: {}", path.string(), number, error.message()));
    }
  }
  if (!problems.empty()) fail(ErrorKind::config, "the split list cannot be used:{}", listing(problems));
  return entries;
}

std::vector<Split> split_by_list(std::span<const SplitItem> items, std::span<const SplitListEntry> entries,
                                 std::string_view source) {
  std::map<std::string, std::size_t> row_of;
  std::vector<std::string> known, problems;
  for (std::size_t i = 0; i < items.size(); ++i) {
    row_of.emplace(items[i].name, i);
    known.push_back(items[i].name);
  }
  std::vector<std::optional<Split>> chosen(items.size());
  for (const auto& entry : entries) {
    const auto found = row_of.find(entry.name);
    if (found == row_of.end()) {
      const auto near = nearest_names(entry.name, known);
      problems.push_back(fmt::format("{}:{}: no recording '{}'{}", source, entry.line, entry.name,
                                     near.empty() ? "" : "; did you mean '" + near.front() + "'?"));
    } else if (chosen[found->second]) {
      problems.push_back(fmt::format("{}:{}: '{}' is listed twice", source, entry.line, entry.name));
    } else {
      chosen[found->second] = entry.split;
    }
  }
  std::map<std::int64_t, std::size_t> first_of_group;
  std::vector<Split> sides(items.size(), Split::train);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!chosen[i]) {
      problems.push_back(fmt::format("{}: recording '{}' is not listed", source, items[i].name));
      continue;
    }
    sides[i] = *chosen[i];
    if (items[i].group < 0) continue;
    const auto [first, is_new] = first_of_group.emplace(items[i].group, i);
    if (!is_new && sides[first->second] != sides[i]) {
      problems.push_back(fmt::format("{}: '{}' ({}) and '{}' ({}) hold the same sound and must be on one side", source,
                                     items[first->second].name, name_of(sides[first->second]), items[i].name,
                                     name_of(sides[i])));
    }
  }
  if (!problems.empty()) fail(ErrorKind::config, "the split list does not fit the recordings:{}", listing(problems));
  return sides;
}

}  // namespace melisma
