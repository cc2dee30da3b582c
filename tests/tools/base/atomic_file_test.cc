#include "tools/base/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/golden.h"
#include "tools/base/append_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

using ::testing::HasSubstr;

template <class Action>
std::string device_error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_EQ(error.exit_code(), 5);
    return error.message();
  }
  return "no error";
}

// A file system of 64 KiB, where this process may make one.
class SmallDisk {
 public:
  SmallDisk() { is_mounted_ = ::mount("none", folder_.path().c_str(), "tmpfs", 0, "size=64k") == 0; }
  ~SmallDisk() {
    if (is_mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool is_mounted() const { return is_mounted_; }
  bool make_read_only() { return ::mount("none", folder_.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0; }
  [[nodiscard]] fs::path operator/(std::string_view name) const { return folder_ / name; }

 private:
  testing::TemporaryFolder folder_;
  bool is_mounted_ = false;
};

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

TEST(AtomicFile, AFullDiskKeepsTheOldContent) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "this process may not mount a small disk";
  write_file_atomically(disk / "a", "old");
  const auto message = device_error_of([&] { write_file_atomically(disk / "a", std::string(1 << 20, 'x')); });
  EXPECT_THAT(message, HasSubstr("the disk is full; free space or name another folder"));
  EXPECT_EQ(read_file(disk / "a"), "old");
  write_file_atomically(disk / "a", "and there is room again");  // the half-written file is gone
}

TEST(AtomicFile, AFullDiskKeepsTheOldFolder) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "this process may not mount a small disk";
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
  if (!disk.is_mounted() || !disk.make_read_only()) GTEST_SKIP() << "this process may not mount a small disk";
  EXPECT_THAT(device_error_of([&] { write_file_atomically(disk / "a", "x"); }),
              HasSubstr("the folder is not writable; change its permissions or name another folder"));
}

TEST(AppendFile, TakesBackWhatDoesNotFit) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "this process may not mount a small disk";
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
