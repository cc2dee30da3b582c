// workspace.db: an SQLite file that several processes use at once, in parts with a schema version each.
//
//   Database database(workspace / "workspace.db");
//   database.bring_up_to_date("jobs", kJobsSchema);
//   database.run("UPDATE jobs SET state = ? WHERE id = ?", "done", 3);
//   auto rows = database.query("SELECT id, name FROM jobs WHERE state = ?", "queued");
//   while (rows.next()) use(rows.integer(0), rows.text(1));
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

struct sqlite3;
struct sqlite3_stmt;

namespace melisma {

// The answer to a query, a row at a time. Columns count from 0. The database must outlive it.
class Rows {
 public:
  // Goes on to the next row; false after the last one. Throws as Database.
  bool next();
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double number(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  struct Finish {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Rows(sqlite3_stmt* statement) : statement_(statement) {}
  void bind(int index, std::int64_t value);
  void bind(int index, double value);
  void bind(int index, std::string_view value);
  void bind_null(int index);

  template <class Value>
  void bind_any(int index, const Value& value) {
    if constexpr (std::is_same_v<Value, std::nullopt_t>) {
      bind_null(index);
    } else if constexpr (std::is_floating_point_v<Value>) {
      bind(index, static_cast<double>(value));
    } else if constexpr (std::is_integral_v<Value>) {
      bind(index, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_convertible_v<Value, std::string_view>) {
      bind(index, std::string_view(value));
    } else {
      value ? bind_any(index, *value) : bind_null(index);
    }
  }
  std::unique_ptr<sqlite3_stmt, Finish> statement_;
};

// Throws Error(data) for a file that is damaged or somebody else's, Error(device) where the disk refuses, each naming
// the file and what to do. Not to be used in a fork of the process that opened it.
class Database {
 public:
  // Opens `path`, made if absent, with its folder. Waits up to half a minute where another process is writing.
  explicit Database(std::filesystem::path path);

  // Runs the steps (SQL) of the schema called `part` that the file has not had yet; its version is how many it has had.
  // Error(data) if it has had more of them than there are: a later program's.
  void bring_up_to_date(std::string_view part, std::span<const std::string_view> steps);

  // Values are integers, numbers, text, std::nullopt or optionals of these.
  template <class... Values>
  [[nodiscard]] Rows query(std::string_view sql, const Values&... values) const {
    auto rows = prepare(sql);
    int index = 0;
    (rows.bind_any(++index, values), ...);
    return rows;
  }
  // For what gives no rows: returns how many were changed.
  template <class... Values>
  std::int64_t run(std::string_view sql, const Values&... values) {
    auto rows = query(sql, values...);
    (void)rows.next();
    return n_changed();
  }
  // The key of the row inserted last.
  [[nodiscard]] std::int64_t last_key() const;

  // All of what `action` writes, or nothing if it throws. No other process writes meanwhile.
  template <class Action>
  decltype(auto) transaction(Action&& action) {
    Transaction scope(*this);
    if constexpr (std::is_void_v<std::invoke_result_t<Action>>) {
      std::forward<Action>(action)();
      scope.commit();
    } else {
      auto result = std::forward<Action>(action)();
      scope.commit();
      return result;
    }
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  class Transaction {
   public:
    explicit Transaction(Database& database);
    ~Transaction();
    void commit();

   private:
    Database& database_;
    bool is_open_ = true;
  };
  [[nodiscard]] Rows prepare(std::string_view sql) const;
  [[nodiscard]] std::int64_t n_changed() const;
  void use_write_ahead_log();
  void claim_for_melisma();
  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace melisma
