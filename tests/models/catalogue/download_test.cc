#include "models/catalogue/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/file_server.h"
#include "tests/support/golden.h"
#include "tests/support/small_disk.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {
using testing::FileServer;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

std::string some_bytes(std::size_t n) {
  std::string bytes(n, 0);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  return bytes;
}

class DownloadTest : public ::testing::Test {
 protected:
  Download wanted(const std::vector<std::string>& paths) const {
    Download wanted{folder_ / "weights.pt", {}, server_.content().size(), sha256(server_.content())};
    for (const auto& path : paths) wanted.urls.push_back(server_.address() + path);
    return wanted;
  }
  void get(const std::vector<std::string>& paths) const { download(wanted(paths), quick_, {}); }
  // The error that fetching from these paths gives.
  Error error_of(const std::vector<std::string>& paths) const {
    try {
      get(paths);
    } catch (const Error& error) {
      EXPECT_FALSE(std::filesystem::exists(folder_ / "weights.pt"));
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {ErrorKind::internal, ""};
  }
  std::string fetched() const { return read_file(folder_ / "weights.pt"); }
  std::filesystem::path part() const { return folder_ / "weights.pt.part"; }

  TemporaryFolder folder_;
  FileServer server_{some_bytes(10'000)};
  DownloadOptions quick_{.attempts = 2, .pause_seconds = 0.01, .stall_seconds = 5};
};

TEST_F(DownloadTest, BringsTheFileAndLeavesNothingElse) {
  double last = 0;
  download(wanted({"/good"}), quick_, [&](double done) { last = done; });
  EXPECT_EQ(fetched(), server_.content());
  EXPECT_EQ(last, 10'000);
  EXPECT_FALSE(std::filesystem::exists(part()));
  EXPECT_EQ(server_.n_requests(), 1);
}

TEST_F(DownloadTest, AConnectionThatEndsEarlyIsContinuedWhereItEnded) {
  get({"/cut"});
  EXPECT_EQ(fetched(), server_.content());
  EXPECT_EQ(server_.n_requests(), 10);
  EXPECT_EQ(server_.n_continued(), 9);
}

TEST_F(DownloadTest, WhatAnEarlierRunLeftIsContinued) {
  write_file_atomically(part(), server_.content().substr(0, 9000));
  get({"/good"});
  EXPECT_EQ(fetched(), server_.content());
  EXPECT_EQ(server_.n_continued(), 1);
}

TEST_F(DownloadTest, APartOfAnotherFileIsFetchedAnew) {
  write_file_atomically(part(), std::string(9000, 'x'));
  get({"/good"});
  EXPECT_EQ(fetched(), server_.content());
  write_file_atomically(part(), std::string(11'000, 'x'));
  get({"/good"});
  EXPECT_EQ(fetched(), server_.content());
}

TEST_F(DownloadTest, AServerThatCannotContinueStartsFromTheBeginning) {
  write_file_atomically(part(), server_.content().substr(0, 5000));
  get({"/whole"});
  EXPECT_EQ(fetched(), server_.content());
}

TEST_F(DownloadTest, RedirectsAreFollowedUntilTheyGoRound) {
  get({"/moved"});
  EXPECT_EQ(fetched(), server_.content());
  std::filesystem::remove(folder_ / "weights.pt");
  const auto error = error_of({"/round"});
  EXPECT_EQ(error.kind(), ErrorKind::network);
  EXPECT_THAT(error.message(), HasSubstr("redirects"));
}

TEST_F(DownloadTest, OtherBytesAreRefusedAndNotKept) {
  const auto error = error_of({"/other"});
  EXPECT_EQ(error.kind(), ErrorKind::network);
  EXPECT_THAT(error.message(), HasSubstr("its SHA-256 is "));
  EXPECT_THAT(error.message(), HasSubstr("not " + sha256(server_.content())));
  EXPECT_FALSE(std::filesystem::exists(part()));
}

TEST_F(DownloadTest, AFileThatIsTooLongIsRefused) {
  EXPECT_THAT(error_of({"/long"}).message(), HasSubstr("it has more than 10000 bytes"));
  EXPECT_FALSE(std::filesystem::exists(part()));
}

TEST_F(DownloadTest, MirrorsAreTriedInTurnAndEachIsNamed) {
  get({"/missing", "/busy", "/other", "/good"});
  EXPECT_EQ(fetched(), server_.content());
  EXPECT_EQ(server_.n_requests(), 1 + 2 + 1 + 1);
  std::filesystem::remove(folder_ / "weights.pt");
  const auto message = error_of({"/missing", "/busy"}).message();
  EXPECT_THAT(message, HasSubstr(server_.address() + "/missing: the server answers 404"));
  EXPECT_THAT(message, HasSubstr(server_.address() + "/busy: the server answers 503"));
}

TEST_F(DownloadTest, ABrokenConnectionKeepsItsPart) {
  write_file_atomically(part(), server_.content().substr(0, 4000));
  const auto error = error_of({"/busy"});
  EXPECT_THAT(error.message(), HasSubstr("3.9 KiB of 9.8 KiB are kept, the same command continues"));
  EXPECT_EQ(read_file(part()), server_.content().substr(0, 4000));
}

TEST_F(DownloadTest, AServerThatIsNotThereIsSaid) {
  auto nobody = wanted({});
  nobody.urls = {"http://127.0.0.1:1/x"};
  try {
    download(nobody, quick_, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::network);
    EXPECT_THAT(error.message(), HasSubstr("http://127.0.0.1:1/x: Failed to connect"));
  }
}

TEST_F(DownloadTest, AStopLeavesThePart) {
  try {
    download(wanted({"/good"}), quick_, [](double done) {
      if (done >= 2000) request_stop(SIGINT);
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 130);
    EXPECT_THAT(error.message(), HasSubstr("the same command continues"));
  }
  request_stop(0);
  EXPECT_GE(std::filesystem::file_size(part()), 2000u);
  get({"/good"});
  EXPECT_EQ(fetched(), server_.content());
}

TEST_F(DownloadTest, ADiskWithoutRoomIsSaidBeforeTheFirstByte) {
  const testing::SmallDisk disk("64k");
  if (!disk.is_mounted()) GTEST_SKIP() << testing::SmallDisk::kWhyNot;
  auto large = wanted({"/good"});
  large.target = disk.path() / "weights.pt";
  large.size = 1 << 20;
  try {
    download(large, quick_, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.message(), HasSubstr("needs 1.0 MiB more, but its disk has 64 KiB free"));
  }
  EXPECT_EQ(server_.n_requests(), 0);
}

TEST(Mirror, ReplacesSchemeAndHost) {
  EXPECT_EQ(at_mirror("https://a.org/b/c.pt", "http://d:80"), "http://d:80/b/c.pt");
  EXPECT_EQ(at_mirror("https://a.org/b/c.pt", "https://e.org/f/"), "https://e.org/f/b/c.pt");
}

}  // namespace
}  // namespace melisma
