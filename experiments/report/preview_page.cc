#include "experiments/report/preview_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "experiments/report/chart.h"
#include "experiments/report/html.h"
#include "experiments/report/sections.h"
#include "experiments/report/spectrogram.h"
#include "tools/base/clock.h"
#include "tools/base/format.h"

namespace melisma {
namespace preview_detail {
namespace {

constexpr double kFramesPerSecond = 100;

ChartSeries curve_of(const std::string& name, const std::vector<float>& f0_hz) {
  ChartSeries series{.name = name};
  for (std::size_t t = 0; t < f0_hz.size(); ++t) {
    const auto seconds = static_cast<double>(t) / kFramesPerSecond;
    const double hz = f0_hz[t] > 0 ? f0_hz[t] : std::numeric_limits<double>::quiet_NaN();
    series.points.push_back({seconds, hz, fmt::format("{:.2f} s: {:.0f} Hz", seconds, hz)});
  }
  return series;
}

std::string sound_html(const std::string& name, const PreviewSound& sound) {
  return fmt::format(R"(<img src="{0}" alt="Spectrogram of {1}"><audio controls preload="metadata" src="{2}" )"
                     R"(aria-label="{1}"></audio>)",
                     data_uri("image/png", spectrogram_png(sound.wave)), html_escaped(name),
                     data_uri(sound.media_type, sound.bytes));
}

std::string pitch_chart(const PreviewPage& page, const PreviewVoice& voice) {
  Chart chart{.title = fmt::format("Pitch of {}, Hz", voice.name), .x_label = "s", .width = 480, .height = 180};
  chart.series.push_back(curve_of("phrase", page.phrase.f0_hz));
  chart.series.push_back(curve_of("voice", voice.sound.f0_hz));
  return to_svg(chart);
}

std::string voice_figure(const PreviewPage& page, const PreviewVoice& voice) {
  return fmt::format(
      R"(<figure class="sound"><figcaption>{} <span class="quiet">{:.1f} s</span></figcaption>{}{}</figure>)",
      html_escaped(voice.name), voice.sound.wave.seconds(), sound_html(voice.name, voice.sound),
      pitch_chart(page, voice));
}

// A row for every voice; the columns are all facts any voice has, in the order they first appear.
std::string facts_table(const PreviewPage& page) {
  std::vector<std::string> columns;
  for (const auto& voice : page.voices) {
    for (const auto& [fact, value] : voice.facts) {
      if (std::ranges::find(columns, fact) == columns.end()) columns.push_back(fact);
    }
  }
  std::vector<std::vector<std::string>> rows{{"voice", "result"}};
  for (const auto& column : columns) rows[0].push_back(html_escaped(column));
  for (const auto& voice : page.voices) {
    auto& row = rows.emplace_back();
    row.push_back(html_escaped(voice.name));
    row.push_back(voice.error.empty() ? R"(<span class="good-text">spoke</span>)"
                                      : "<strong>failed</strong>: " + html_escaped(voice.error));
    for (const auto& column : columns) {
      const auto found = std::ranges::find(voice.facts, column, &std::pair<std::string, std::string>::first);
      row.push_back(found == voice.facts.end() ? "" : html_escaped(found->second));
    }
  }
  return html_table(rows, "What each model is, and what it made of the phrase");
}

}  // namespace
}  // namespace preview_detail

std::string preview_html(const PreviewPage& page) {
  using namespace preview_detail;
  const auto n_failed = std::ranges::count_if(page.voices, [](const auto& voice) { return !voice.error.empty(); });
  std::string figures;
  for (const auto& voice : page.voices) {
    if (voice.error.empty()) figures += voice_figure(page, voice);
  }
  return fmt::format(
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" )"
      R"(content="width=device-width,initial-scale=1"><title>{0}: Melisma preview</title><style>{1}</style></head><body>)"
      R"(<header><h1>{0}</h1><p class="quiet">A Melisma preview, {2}: {3}, {4} failed</p></header><main>)"
      R"(<section><h2>The phrase</h2><figure class="sound"><figcaption>{5} <span class="quiet">{6:.1f} s</span>)"
      R"(</figcaption>{7}</figure></section><section><h2>The voices</h2>{8}<p class="quiet">Time runs to the right, mel )"
      R"(frequency up to 11 kHz, 70 dB from dark to light.</p><div class="sounds">{9}</div></section></main>)"
      R"(<footer>Each voice says the phrase with its own content features and pitch method, untransposed, as its first )"
      R"(speaker, unless the table says otherwise.</footer></body></html>)"
      "\n",
      html_escaped(page.title), report_style(), utc_now(),
      format_amount(static_cast<double>(page.voices.size()), "voices"), n_failed, html_escaped(page.phrase_name),
      page.phrase.wave.seconds(), sound_html(page.phrase_name, page.phrase), facts_table(page), figures);
}

}  // namespace melisma
