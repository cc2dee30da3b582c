#include "tools/base/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/refusal.h"
#include "tests/support/small_disk.h"
#include "tools/base/append_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

using ::testing::HasSubstr;
using testing::SmallDisk;

template <class Action>
std::string device_error_of(Action&& action) {
  return testing::refusal_of(ErrorKind::device, action);
}

TEST(AtomicFile, ReplacesTheOldContentWhole) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  write_file_atomically(folder / "a", "new");
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_THROW(write_file_atomically(folder / "a",
                                     [](const fs::path& temporary) {
                                       std::ofstream(temporary) << "half";
                                       throw std::runtime_error("changed my mind");
                                     }),
               std::runtime_error);
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(AtomicFile, NamesWhatIsWrongAndWhatToDo) {
  EXPECT_EQ(device_error_of([] { write_file_atomically("/nowhere/a", "x"); }),
            "cannot write '/nowhere/a': the folder does not exist; create it first");
  const testing::TemporaryFolder folder;
  EXPECT_THROW((void)read_file(folder / "missing"), Error);
  EXPECT_THROW((void)read_file(folder.path()), Error);
}

TEST(AtomicFile, AWritersErrorNamesTheFileThatWasToBe) {
  const testing::TemporaryFolder folder;
  const auto refuse = [](const fs::path& file) { fail(ErrorKind::device, "cannot write '{}'", file.string()); };
  EXPECT_EQ(device_error_of([&] { write_file_atomically(folder / "a", refuse); }),
            "cannot write '" + (folder / "a").string() + "'");
  EXPECT_EQ(device_error_of([&] {
              write_folder_atomically(folder / "b", [&](const fs::path& temporary) { refuse(temporary / "part"); });
            }),
            "cannot write '" + (folder / "b/part").string() + "'");
}

TEST(AtomicFile, AFullDiskKeepsTheOldContent) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  write_file_atomically(disk / "a", "old");
  const auto message = device_error_of([&] { write_file_atomically(disk / "a", std::string(1 << 20, 'x')); });
  EXPECT_THAT(message, HasSubstr("the disk is full; free space or name another folder"));
  EXPECT_EQ(read_file(disk / "a"), "old");
  write_file_atomically(disk / "a", "and there is room again");  // the half-written file is gone
}

TEST(AtomicFile, AFullDiskKeepsTheOldFolder) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  const auto fill = [](const std::string& text) {
    return [text](const fs::path& folder) { write_file_atomically(folder / "part", text); };
  };
  write_folder_atomically(disk / "checkpoint", fill("old"));
  EXPECT_THAT(device_error_of([&] { write_folder_atomically(disk / "checkpoint", fill(std::string(1 << 20, 'x'))); }),
              HasSubstr("the disk is full"));
  EXPECT_EQ(read_file(disk / "checkpoint" / "part"), "old");
}

TEST(AtomicFile, AReadOnlyFolderSaysSo) {
  SmallDisk disk;
  if (!disk.is_mounted() || !disk.make_read_only()) GTEST_SKIP() << SmallDisk::kWhyNot;
  EXPECT_THAT(device_error_of([&] { write_file_atomically(disk / "a", "x"); }),
              HasSubstr("the folder is not writable; change its permissions or name another folder"));
}

TEST(AppendFile, TakesBackWhatDoesNotFit) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  AppendFile file(disk / "log");
  file.append("first line\n");
  EXPECT_THAT(device_error_of([&] { file.append(std::string(1 << 20, 'x')); }), HasSubstr("the disk is full"));
  file.append("second line\n");
  EXPECT_EQ(read_file(disk / "log"), "first line\nsecond line\n");
}

TEST(AtomicFile, AKillAtAnyInstantLeavesTheOldOrTheNewContent) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "state";
  const std::string contents[] = {std::string(200000, 'a'), std::string(300000, 'b')};
  write_file_atomically(path, contents[0]);
  for (int round = 0; round < 15; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i) write_file_atomically(path, contents[i % 2]);
    }
    ::usleep(static_cast<useconds_t>(500 + 977 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto found = read_file(path);
    ASSERT_TRUE(found == contents[0] || found == contents[1]) << "round " << round << ": " << found.size() << " bytes";
  }
}

TEST(AtomicFile, KnowsTheRoomThatIsLeft) { EXPECT_GT(free_bytes_at("/tmp/a/folder/that/is/not/there/yet"), 0u); }

TEST(AtomicFile, ThreadsThatWriteTheSameFileDoNotDisturbEachOther) {
  testing::TemporaryFolder folder;
  std::atomic<int> failures{0};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        try {
          write_file_atomically(folder / "same", std::string_view("the same content"));
        } catch (const Error&) {
          ++failures;
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(failures.load(), 0);
  EXPECT_EQ(read_file(folder / "same"), "the same content");
}

}  // namespace
}  // namespace melisma
