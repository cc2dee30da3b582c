// workspace.db: what goes in comes out, several processes write, other files are refused.
#include "tools/database/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::refusal_of;
using testing::TemporaryFolder;

constexpr std::array<std::string_view, 1> kFirst{"CREATE TABLE songs (id INTEGER PRIMARY KEY, name TEXT, length REAL)"};
constexpr std::array<std::string_view, 2> kSecond{kFirst[0], "ALTER TABLE songs ADD COLUMN singer TEXT"};

std::int64_t number_of(const Database& database, std::string_view sql) {
  auto rows = database.query(sql);
  EXPECT_TRUE(rows.next());
  return rows.integer(0);
}

// Exit code of a fork of this process that does `action`.
int in_fork(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
      ::_exit(0);
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(Database, GivesBackWhatWasPutIn) {
  const TemporaryFolder folder;
  Database database(folder / "deep/workspace.db");
  database.bring_up_to_date("songs", kFirst);
  EXPECT_EQ(database.run("INSERT INTO songs (name, length) VALUES (?, ?)", std::string("it's \"é\" ; --"), 2.5), 1);
  EXPECT_EQ(database.last_key(), 1);
  database.run("INSERT INTO songs (id, name, length) VALUES (?, ?, ?)", std::int64_t{1} << 40, std::nullopt,
               std::optional<double>());
  auto rows = database.query("SELECT id, name, length FROM songs ORDER BY id");
  ASSERT_TRUE(rows.next());
  EXPECT_EQ(rows.text(1), "it's \"é\" ; --");
  EXPECT_EQ(rows.number(2), 2.5);
  ASSERT_TRUE(rows.next());
  EXPECT_EQ(rows.integer(0), std::int64_t{1} << 40);
  EXPECT_TRUE(rows.is_null(1) && rows.is_null(2));
  EXPECT_FALSE(rows.next());
}

TEST(Database, ATransactionThatThrowsLeavesNothing) {
  const TemporaryFolder folder;
  Database database(folder / "workspace.db");
  database.bring_up_to_date("songs", kFirst);
  EXPECT_EQ(refusal_of(ErrorKind::usage,
                       [&] {
                         database.transaction([&] {
                           database.run("INSERT INTO songs (name) VALUES ('a')");
                           fail(ErrorKind::usage, "no");
                         });
                       }),
            "no");
  EXPECT_EQ(number_of(database, "SELECT count(*) FROM songs"), 0);
  EXPECT_EQ(database.transaction([&] { return database.run("INSERT INTO songs (name) VALUES ('a')"); }), 1);
}

TEST(Database, SeveralProcessesMakeItAndWriteAtOnce) {
  const TemporaryFolder folder;
  std::vector<pid_t> writers;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        Database database(folder / "workspace.db");
        database.bring_up_to_date("songs", kFirst);
        for (int n = 0; n < 25; ++n) database.run("INSERT INTO songs (name) VALUES (?)", i);
        ::_exit(0);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        ::_exit(1);
      }
    }
    writers.push_back(child);
  }
  for (const auto writer : writers) {
    int status = 0;
    ::waitpid(writer, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(number_of(Database(folder / "workspace.db"), "SELECT count(*) FROM songs"), 100);
}

TEST(Database, AWriterThatIsKilledLeavesAllOfATransactionOrNothing) {
  const TemporaryFolder folder;
  Database(folder / "workspace.db").bring_up_to_date("songs", kFirst);
  EXPECT_NE(in_fork([&] {
              Database database(folder / "workspace.db");
              database.run("INSERT INTO songs (name) VALUES ('whole')");
              database.transaction([&] {
                database.run("INSERT INTO songs (name) VALUES ('half')");
                ::kill(::getpid(), SIGKILL);
              });
            }),
            0);
  EXPECT_EQ(number_of(Database(folder / "workspace.db"), "SELECT count(*) FROM songs"), 1);
}

TEST(Database, PartsAreBroughtUpToDateAndLaterOnesRefused) {
  const TemporaryFolder folder;
  Database(folder / "workspace.db").bring_up_to_date("songs", kFirst);
  Database later(folder / "workspace.db");
  later.bring_up_to_date("songs", kSecond);
  later.run("INSERT INTO songs (singer) VALUES ('mara')");
  const auto refused =
      refusal_of(ErrorKind::data, [&] { Database(folder / "workspace.db").bring_up_to_date("songs", kFirst); });
  EXPECT_THAT(refused, HasSubstr("its songs are of schema 2, this program knows up to 1"));
}

TEST(Database, FilesThatAreNoneOfOursAreRefusedAndStayAsTheyAre) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "text.db",
                        "a text that is no database, and long enough to be taken for a page of one");
  EXPECT_THAT(refusal_of(ErrorKind::data, [&] { Database(folder / "text.db"); }), HasSubstr("text.db' is no database"));
  write_file_atomically(folder / "empty.db", "");
  Database(folder / "empty.db").bring_up_to_date("songs", kFirst);  // SQLite's own way to begin
  fs::copy_file(folder / "empty.db", folder / "other.db");
  {
    Database database(folder / "other.db");
    database.run("PRAGMA application_id = 7");
  }
  const auto before = read_file(folder / "other.db");
  EXPECT_THAT(refusal_of(ErrorKind::data, [&] { Database(folder / "other.db"); }), HasSubstr("of another program"));
  EXPECT_EQ(read_file(folder / "other.db"), before);
}

TEST(Database, AFolderWhereNothingCanBeWrittenIsNamed) {
  EXPECT_THAT(refusal_of(ErrorKind::device, [] { Database("/proc/nowhere/workspace.db"); }),
              HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace melisma
