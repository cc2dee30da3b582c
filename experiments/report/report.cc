#include "experiments/report/report.h"

#include <fmt/format.h>

#include "experiments/report/html.h"
#include "experiments/report/sections.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string title_of(const ReportOptions& options, const std::vector<RunRecord>& records) {
  if (!options.title.empty()) return options.title;
  std::string names;
  for (const auto& record : records) names += (names.empty() ? "" : ", ") + record.run.name();
  return names;
}

Json export_report(const fs::path& path) {
  auto json = Json::parse(read_file(path), nullptr, false);
  if (!json.is_object()) fail(ErrorKind::data, "'{}' is not a quality report: expected a JSON object", path.string());
  json["_file"] = path.filename().string();
  return json;
}

std::string run_section(const RunRecord& record) {
  return fmt::format(R"(<section id="{0}"><h2>{0} <span class="state">{1}</span></h2>{2}{3}{4}{5}{6}</section>)",
                     html_escaped(record.run.id()), html_escaped(record.status.state), curves_section(record),
                     held_out_section(record), listening_section(record), exports_section(record.exports),
                     provenance_section(record));
}

}  // namespace

std::string_view report_style() {
  return R"css(
:root{color-scheme:light dark;--ink:#1d2430;--quiet:#5d6675;--paper:#fff;--panel:#f5f6f8;--line:#d9dde3;--accent:#0b5cad;
--good:#0a7a3c;--series-0:#0b5cad;--series-1:#c2410c;--series-2:#0a7a3c;--series-3:#8b3ab8;--series-4:#a16207;--series-5:#be185d}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--quiet:#9aa4b2;--paper:#14171c;--panel:#1c2027;--line:#353b46;
--accent:#6db3f8;--good:#4ade80;--series-0:#6db3f8;--series-1:#fb923c;--series-2:#4ade80;--series-3:#c99bf2;--series-4:#facc15;--series-5:#f472b6}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main,header,footer{max-width:68rem;margin:0 auto;padding:0 1.1rem}header{padding-top:2rem}h1{font-size:1.9rem;margin:0}
h2{margin:2.6rem 0 .6rem;padding-top:1rem;border-top:1px solid var(--line);font-size:1.4rem}h3{margin:2rem 0 .5rem}h4{margin:1.4rem 0 .3rem}
.caveat{border-left:.3rem solid var(--accent);padding:.2rem .8rem}.quiet,.interval{color:var(--quiet);font-weight:normal}.state{font-size:.8rem;vertical-align:middle;border:1px solid var(--line);
border-radius:1rem;padding:.1rem .7rem;color:var(--quiet)}figure{margin:0}.chart{background:var(--panel);border-radius:.6rem;padding:.7rem;margin:.6rem 0}
figcaption{font-weight:600}.chart svg{width:100%;height:auto;display:block;overflow:visible}.grid{stroke:var(--line);stroke-width:1}
.axis{stroke:var(--quiet);stroke-width:1}.tick{fill:var(--quiet);font-size:12px}.mark{fill:var(--ink);font-size:12px;font-weight:600}
.rule{stroke:var(--series-1);stroke-width:1.5;stroke-dasharray:5 4}.ring{fill:none;stroke:var(--ink);stroke-width:1.6}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.2rem 0;padding:0;font-size:.9rem}
.swatch{display:inline-block;width:1.1rem;height:.25rem;margin-right:.4rem;vertical-align:middle;border-radius:2px}
.grid-of-charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.6rem}.grid-of-charts .chart{margin:0}
.table{overflow-x:auto;margin:.7rem 0}table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;min-width:60%}
caption{text-align:left;color:var(--quiet);padding:.2rem 0}th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{border-bottom:2px solid var(--line)}tbody th{font-weight:500}abbr{text-decoration:none;border-bottom:1px dotted var(--quiet)}
.bar{width:7rem;height:1rem}.good{stroke:var(--good);fill:var(--good)}.unsure{stroke:var(--quiet);fill:var(--quiet)}.good-text{color:var(--good);font-weight:600}
.sounds{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:1rem}.sound{background:var(--panel);border-radius:.6rem;padding:.7rem}
.sound img{width:100%;height:8rem;display:block;border-radius:.3rem;margin:.4rem 0;object-fit:fill}audio{width:100%;height:2.4rem}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--accent)}pre{overflow-x:auto;background:var(--panel);padding:.8rem;border-radius:.6rem;font-size:.85rem}
code{font-size:.88em;overflow-wrap:anywhere}footer{margin:3rem auto 2rem;color:var(--quiet);font-size:.9rem}nav a{color:var(--accent);margin-right:1rem}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.interval{white-space:nowrap}
@media (max-width:40rem){.wide{overflow-x:auto}.wide svg{min-width:36rem}.wide .tick,.wide .mark{font-size:17px}}
@media print{audio,nav{display:none}details{display:block}section,.chart,.sound,tr{break-inside:avoid}body{font-size:11pt}}
)css";
}

std::string report_html(const ReportOptions& options) {
  if (options.runs.empty()) fail(ErrorKind::usage, "a report needs at least one run");
  std::vector<RunRecord> records;
  for (const auto& name : options.runs) records.push_back(read_run_record(Run::open(options.workspace, name)));
  const auto title = html_escaped(title_of(options, records));
  std::string body, links;
  for (const auto& record : records) {
    body += run_section(record);
    links += fmt::format(R"(<a href="#{0}">{0}</a>)", html_escaped(record.run.id()));
  }
  std::vector<Json> exports;
  for (const auto& path : options.exports) exports.push_back(export_report(path));
  if (!exports.empty()) body += "<section>" + exports_section(exports) + "</section>";
  return fmt::format(
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" )"
      R"(content="width=device-width,initial-scale=1"><title>{0}: Melisma report</title><style>{1}</style></head><body>)"
      R"(<header><h1>{0}</h1><p class="quiet">A Melisma report, {2}</p>{3}</header><main>{4}{5}{6}{7}</main>)"
      R"(<footer>Every number here is read from the files of the runs named above. Intervals are 95 % bootstrap intervals )"
      R"(over held-out recordings.</footer></body></html>)"
      "\n",
      title, report_style(), utc_now(), records.size() > 1 ? "<nav>" + links + "</nav>" : "", summary_section(records),
      comparison_section(records), body, sounds_section(options.sounds));
}

void write_report(const ReportOptions& options, const fs::path& output) {
  write_file_atomically(output, report_html(options));
}

}  // namespace melisma
