// The table of commands, in the order `melisma --help` shows them.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "tools/cli/command.h"

namespace melisma {

std::function<int()> define_prepare(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_import(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_dataset(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_train(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_config(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_convert(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_pitch(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_effects(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_match(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_mix(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_bench(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_engine(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_index(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_inspect(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_fuse(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_compare(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_edit_info(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_preview(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_extract(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_models(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_runs(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_jobs(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_sweep(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_evaluate(CLI::App& app, const GlobalOptions& global);
std::function<int()> define_report(CLI::App& app, const GlobalOptions& global);

inline constexpr std::array kCommands{
    Command{"prepare", "recordings become a dataset: clips, features, held-out splits", define_prepare},
    Command{"import", "an experiment folder of Applio or RVC-WebUI becomes a dataset and a run that trains on",
            define_import},
    Command{"dataset", "what is in a dataset, and which there are", define_dataset},
    Command{"train", "a recipe and a dataset become a run: checkpoints, numbers, a voice", define_train},
    Command{"convert", "a recording, or a folder of them, in another voice", define_convert},
    Command{"index", "the training frames of a dataset as a feature index, for convert and the RVC tools",
            define_index},
    Command{"inspect", "what a model, feature index or recording is: sizes, norms, loudness, pitch", define_inspect},
    Command{"pitch", "the pitch curve of a recording: found, edited, summed up, written", define_pitch},
    Command{"effects", "a recording, or a folder of them, through a chain of sound effects", define_effects},
    Command{"match", "a recording in the sound of another: its level and spectrum, and a limiter", define_match},
    Command{"mix", "stems to a mix: by a model or by loudness, every parameter shown and changeable", define_mix},
    Command{"extract", "the voice of a run or checkpoint as one file, in fp32, fp16, bf16 or int8", define_extract},
    Command{"models", "published weights: listed, fetched, verified; rows of your own", define_models},
    Command{"fuse", "one voice of several, and one feature index of theirs", define_fuse},
    Command{"edit-info", "name, author and description of a model file, its weights untouched", define_edit_info},
    Command{"preview", "every voice of a folder says the same, on one page to listen to", define_preview},
    Command{"bench", "benchmarks against what users would pick instead", define_bench},
    Command{"engine", "numeric libraries and fast paths in force on this machine", define_engine},
    Command{"runs", "trainings of the workspace: what they are, where they stand, how they differ", define_runs},
    Command{"jobs", "command lines that run by themselves: queued, worked off, watched, cancelled", define_jobs},
    Command{"sweep", "trainings that differ in settings: all, some at random, or the best for longer", define_sweep},
    Command{"evaluate", "a voice over held-out recordings, with intervals and baselines", define_evaluate},
    Command{"compare", "two voices by their weights, and over the same held-out recordings", define_compare},
    Command{"report", "one self-contained page about one or more runs", define_report},
    Command{"config", "settings explained, checked and listed", define_config},
};

// Parses argv and runs the command; returns the exit code.
int run_program(int argc, char** argv);

// Throws Error(usage) if run_program would refuse these words (those after `melisma`); nothing is run.
void check_command_line(std::vector<std::string> words);

// Ends the process with what was written to stdout and stderr, without taking libraries down: LibTorch's tables of
// operators alone would take a third of the time of a short command, and the system takes everything back anyway.
[[noreturn]] void end_program(int exit_code);

}  // namespace melisma
