// Line charts as inline SVG: no script, sharp at any size, the value under the pointer as a hover title.
#pragma once
#include <string>
#include <vector>

namespace melisma {

struct ChartPoint {
  double x = 0, y = 0;
  std::string title;  // shown on hover
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  // by rising x; points that are not finite are gaps
  bool has_dots = false;
};

// A vertical line with words, or a ringed point.
struct ChartMark {
  double x = 0;
  double y = 0;  // of a ring
  std::string label;
  bool is_ring = false;
};

struct Chart {
  std::string title;    // also what a screen reader says
  std::string x_label;  // "step"
  std::vector<ChartSeries> series;
  std::vector<ChartMark> marks;
  int width = 1000, height = 300;  // of the drawing; the page scales it
};

// A <figure> with caption and legend. Colours are the CSS variables --series-0 ... --series-5, so that the page's theme
// decides. Without a finite point: a sentence that says so.
[[nodiscard]] std::string to_svg(const Chart& chart);

// Up to about `wanted` round numbers that span [low, high].
[[nodiscard]] std::vector<double> round_ticks(double low, double high, int wanted);

}  // namespace melisma
