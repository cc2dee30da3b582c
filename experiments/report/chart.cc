#include "experiments/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/report/html.h"

namespace melisma {
namespace {

constexpr double kLeft = 62, kRight = 14, kTop = 18, kBottom = 40;
constexpr int kColours = 6;

// Where data lie and where they are drawn.
struct Frame {
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low;
  double y_low = x_low, y_high = -x_low;
  double width = 0, height = 0;

  void hold(double x, double y) {
    x_low = std::min(x_low, x), x_high = std::max(x_high, x);
    y_low = std::min(y_low, y), y_high = std::max(y_high, y);
  }
  [[nodiscard]] bool is_empty() const { return !(x_low <= x_high); }
  // Room around the data; a constant gets a range of its own.
  void widen(bool has_ring) {
    if (x_low == x_high) x_low -= .5, x_high += .5;
    const double room = y_low == y_high ? std::max(std::abs(y_low) * .05, 1e-6) : (y_high - y_low) * .07;
    y_low -= (has_ring ? 2.6 : 1) * room, y_high += room;  // a ring's words stand below it
  }
  [[nodiscard]] double px(double x) const { return kLeft + (x - x_low) / (x_high - x_low) * (width - kLeft - kRight); }
  [[nodiscard]] double py(double y) const {
    return height - kBottom - (y - y_low) / (y_high - y_low) * (height - kTop - kBottom);
  }
};

Frame frame_of(const Chart& chart) {
  Frame frame;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (std::isfinite(point.x) && std::isfinite(point.y)) frame.hold(point.x, point.y);
    }
  }
  if (frame.is_empty()) return frame;
  for (const auto& mark : chart.marks) frame.hold(mark.x, mark.is_ring ? mark.y : frame.y_low);
  frame.widen(std::any_of(chart.marks.begin(), chart.marks.end(), [](const auto& mark) { return mark.is_ring; }));
  frame.width = chart.width, frame.height = chart.height;
  return frame;
}

std::string axes(const Frame& frame, const Chart& chart) {
  std::string svg;
  for (const double y : round_ticks(frame.y_low, frame.y_high, 5)) {
    svg += fmt::format(R"(<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)", kLeft,
                       frame.width - kRight, frame.py(y), frame.py(y));
    svg += fmt::format(R"(<text class="tick" text-anchor="end" x="{:.1f}" y="{:.1f}">{:.6g}</text>)", kLeft - 8,
                       frame.py(y) + 4, y);
  }
  for (const double x : round_ticks(frame.x_low, frame.x_high, 6)) {
    svg += fmt::format(R"(<text class="tick" text-anchor="middle" x="{:.1f}" y="{:.1f}">{:.6g}</text>)", frame.px(x),
                       frame.height - kBottom + 17, x);
  }
  svg += fmt::format(R"(<line class="axis" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)", kLeft,
                     frame.width - kRight, frame.height - kBottom, frame.height - kBottom);
  svg += fmt::format(R"(<text class="tick" text-anchor="middle" x="{:.1f}" y="{:.1f}">{}</text>)",
                     (kLeft + frame.width - kRight) / 2, frame.height - 5, html_escaped(chart.x_label));
  return svg;
}

std::string drawn(const ChartSeries& series, const Frame& frame, std::size_t index) {
  const auto colour = fmt::format("var(--series-{})", index % kColours);
  std::string path, dots;
  bool pen_down = false;
  const bool has_dots = series.has_dots || series.points.size() == 1;
  for (const auto& point : series.points) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f},{:.1f}", pen_down ? "L" : "M", frame.px(point.x), frame.py(point.y));
    pen_down = true;
    dots += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"{}><title>{}</title></circle>)",
                        frame.px(point.x), frame.py(point.y), has_dots ? 3 : 6, colour,
                        has_dots ? "" : R"( fill-opacity="0")", html_escaped(point.title));
  }
  const char* dash = index >= kColours ? R"( stroke-dasharray="6 4")" : "";
  return fmt::format(R"(<path d="{}" fill="none" stroke="{}" stroke-width="1.8" stroke-linejoin="round"{}/>{})", path,
                     colour, dash, dots);
}

std::string drawn(const ChartMark& mark, const Frame& frame) {
  const double x = frame.px(mark.x);
  const bool is_right = x > frame.width * .6;
  const char* anchor = is_right ? "end" : "start";
  const double shift = is_right ? -6 : 6;
  if (mark.is_ring) {
    const double y = frame.py(mark.y);
    return fmt::format(R"(<circle class="ring" cx="{0:.1f}" cy="{1:.1f}" r="7"/><text class="mark" text-anchor="{2}" )"
                       R"(x="{3:.1f}" y="{4:.1f}">{5}</text>)",
                       x, y, anchor, x + (is_right ? 7 : -7), y + 23, html_escaped(mark.label));
  }
  return fmt::format(R"(<line class="rule" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/><text class="mark" )"
                     R"(text-anchor="{3}" x="{4:.1f}" y="{5:.1f}">{6}</text>)",
                     x, kTop, frame.height - kBottom, anchor, x + shift, kTop - 6, html_escaped(mark.label));
}

std::string legend(const Chart& chart) {
  if (chart.series.size() < 2) return {};
  std::string html = R"(<ul class="legend">)";
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    html += fmt::format(R"html(<li><span class="swatch" style="background:var(--series-{})"></span>{}</li>)html",
                        i % kColours, html_escaped(chart.series[i].name));
  }
  return html + "</ul>";
}

}  // namespace

std::vector<double> round_ticks(double low, double high, int wanted) {
  if (!(high > low)) return {low};
  const double raw = (high - low) / std::max(1, wanted);
  const double decade = std::pow(10, std::floor(std::log10(raw)));
  const double share = raw / decade;
  const double step = decade * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
  std::vector<double> ticks;
  for (double k = std::ceil(low / step); k * step <= high + 1e-9 * step; ++k) ticks.push_back(k == 0 ? 0 : k * step);
  return ticks;
}

std::string to_svg(const Chart& chart) {
  const auto title = html_escaped(chart.title);
  const auto frame = frame_of(chart);
  if (frame.is_empty()) return fmt::format(R"(<p class="quiet">{}: nothing recorded.</p>)", title);
  std::string svg;
  for (std::size_t i = 0; i < chart.series.size(); ++i) svg += drawn(chart.series[i], frame, i);
  for (const auto& mark : chart.marks) svg += drawn(mark, frame);
  return fmt::format(R"(<figure class="chart{6}"><figcaption>{0}</figcaption>{1}<svg viewBox="0 0 {2} {3}" role="img" )"
                     R"(aria-label="{0}">{4}{5}</svg></figure>)",
                     title, legend(chart), chart.width, chart.height, axes(frame, chart), svg,
                     chart.width > 600 ? " wide" : "");
}

}  // namespace melisma
