#!/usr/bin/env python3
"""Matchering's own chain on given recordings, for `melisma bench match` to be measured against.

    pip install matchering==2.0.6 scipy==1.17.1
    match_matchering.py TARGET.wav REFERENCE.wav REPEATS RESULT.npy
    match_matchering.py TARGET.wav REFERENCE.wav files OUT.wav

Both are stereo at 44.1 kHz. The first form prints JSON: CPU and wall seconds of the fastest of REPEATS calls on arrays in
memory, and writes the limited result as doubles [samples, 2]. The second goes from file to file once and prints the most
memory that was resident, in MB.
"""
import json
import sys
import time

import matchering
import numpy as np
import soundfile
from matchering import stages


def time_arrays(target, reference, repeats):
    target, _ = soundfile.read(target, always_2d=True)
    reference, _ = soundfile.read(reference, always_2d=True)
    cpu = wall = float("inf")
    for _ in range(repeats):
        cpu_begin, wall_begin = time.process_time(), time.perf_counter()
        result, _, _ = stages.main(target, reference, matchering.Config())
        cpu = min(cpu, time.process_time() - cpu_begin)
        wall = min(wall, time.perf_counter() - wall_begin)
    np.save(sys.argv[4], result)
    return {"cpu_seconds": cpu, "wall_seconds": wall}


# Of this program alone: its rusage would also count what the one that started it ever had.
def peak_megabytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def main():
    target, reference, repeats = sys.argv[1:4]
    if repeats == "files":
        matchering.process(target=target, reference=reference, results=[matchering.pcm16(sys.argv[4])])
        answer = {"peak_megabytes": peak_megabytes()}
    else:
        answer = time_arrays(target, reference, int(repeats))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
