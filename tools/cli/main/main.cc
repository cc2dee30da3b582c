// The program: Torch-free, so that help and look-ups answer in milliseconds.
#include "tools/cli/commands.h"

int main(int argc, char** argv) { melisma::end_program(melisma::run_program(argc, argv)); }
