#include "tools/database/database.h"

#include <sqlite3.h>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::int64_t kApplicationId = 0x4d4c534d;  // "MLSM": whose file it is, in SQLite's header
constexpr int kBusyMilliseconds = 30000;

[[noreturn]] void fail_in(sqlite3* handle, int code) {
  const char* name = handle == nullptr ? nullptr : sqlite3_db_filename(handle, "main");
  const std::string file = name == nullptr ? "workspace.db" : name;
  const std::string cause = handle == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle);
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      fail(ErrorKind::data,
           "'{}' is no database or damaged ({}); move it away, with its -wal and -shm, and a new one is made", file,
           cause);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      fail(ErrorKind::device, "'{}' has been locked by another process for {} s ({}); end that process or wait", file,
           kBusyMilliseconds / 1000, cause);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_FULL:
    case SQLITE_IOERR:
      fail(ErrorKind::device, "cannot use '{}': {}; look for free space and the right to write there", file, cause);
    default:
      fail(ErrorKind::internal, "'{}': {} (SQLite {})", file, cause, code);
  }
}

void check(sqlite3* handle, int code) {
  if (code != SQLITE_OK) fail_in(handle, code);
}

}  // namespace

void Rows::Finish::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* handle) const { sqlite3_close(handle); }

bool Rows::next() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail_in(sqlite3_db_handle(statement_.get()), code);
  return false;
}

std::int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
double Rows::number(int column) const { return sqlite3_column_double(statement_.get(), column); }
bool Rows::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
std::string Rows::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void Rows::bind(int index, std::int64_t value) {
  check(sqlite3_db_handle(statement_.get()), sqlite3_bind_int64(statement_.get(), index, value));
}
void Rows::bind(int index, double value) {
  check(sqlite3_db_handle(statement_.get()), sqlite3_bind_double(statement_.get(), index, value));
}
void Rows::bind(int index, std::string_view value) {
  check(sqlite3_db_handle(statement_.get()),
        sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
void Rows::bind_null(int index) {
  check(sqlite3_db_handle(statement_.get()), sqlite3_bind_null(statement_.get(), index));
}

Database::Database(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.has_parent_path()) make_folders(path_.parent_path(), "name another --workspace");
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path_.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail_in(handle, code);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  use_write_ahead_log();
  (void)query("PRAGMA synchronous = FULL").next();
  (void)query("PRAGMA foreign_keys = ON").next();
  claim_for_melisma();
}

// It lets readers read while somebody writes. Where the file system cannot share memory SQLite keeps its older journal,
// which is right, too. Two processes that change a fresh file's journal at once are told that it is busy without delay.
void Database::use_write_ahead_log() {
  for (int wait_ms = 1;; wait_ms *= 2) {
    const int code = sqlite3_exec(handle_.get(), "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (code != SQLITE_BUSY || wait_ms > kBusyMilliseconds) return check(handle_.get(), code);
    sqlite3_sleep(wait_ms);
  }
}

// A fresh file becomes ours; a file of another program stays as it is.
void Database::claim_for_melisma() {
  const auto application = [&] {
    auto rows = query("PRAGMA application_id");
    return rows.next() ? rows.integer(0) : 0;
  };
  if (application() == kApplicationId) return;
  transaction([&] {
    const auto found = application();
    if (found == kApplicationId) return;  // another process was quicker
    auto tables = query("SELECT count(*) FROM sqlite_master");
    (void)tables.next();
    if (found != 0 || tables.integer(0) != 0) {
      fail(ErrorKind::data, "'{}' is a database of another program; name another --workspace, or move it away",
           path_.string());
    }
    run("CREATE TABLE parts (name TEXT PRIMARY KEY, version INTEGER NOT NULL)");
    run(fmt::format("PRAGMA application_id = {}", kApplicationId));
  });
}

void Database::bring_up_to_date(std::string_view part, std::span<const std::string_view> steps) {
  const auto n_known = static_cast<std::int64_t>(steps.size());
  const auto version = [&] {
    auto rows = query("SELECT version FROM parts WHERE name = ?", part);
    return rows.next() ? rows.integer(0) : 0;
  };
  if (version() == n_known) return;
  transaction([&] {
    const auto found = version();
    if (found > n_known) {
      fail(ErrorKind::data,
           "'{}' was written by a later version of Melisma: its {} are of schema {}, this program knows up to {}; use "
           "that version, or another --workspace",
           path_.string(), part, found, n_known);
    }
    for (auto step = found; step < n_known; ++step) {
      const std::string sql(steps[static_cast<std::size_t>(step)]);
      check(handle_.get(), sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr));
    }
    run("INSERT INTO parts (name, version) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        part, n_known);
  });
}

Rows Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  check(handle_.get(),
        sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr));
  return Rows(statement);
}

std::int64_t Database::n_changed() const { return sqlite3_changes(handle_.get()); }
std::int64_t Database::last_key() const { return sqlite3_last_insert_rowid(handle_.get()); }

Database::Transaction::Transaction(Database& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }
Database::Transaction::~Transaction() {
  if (is_open_) sqlite3_exec(database_.handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}
void Database::Transaction::commit() {
  database_.run("COMMIT");
  is_open_ = false;
}

}  // namespace melisma
