#!/usr/bin/env python3
"""The pitch methods of librosa, pyworld and Praat with the settings of our pitch features, called as RVC calls the last two,
for `melisma bench pitch` to be measured against.

    pip install librosa pyworld praat-parselmouth
    pitch_peers.py FLOAT_WAVE_AT_16_KHZ REPEATS

The wave is raw 32-bit floats. Prints JSON, an entry a method whose package is there: the CPU seconds of the fastest of REPEATS
calls (after one that warms just-in-time compilers) and the f0 of each frame, 0 where unvoiced.
"""
import importlib.util
import json
import sys
import time

import numpy as np

RATE, HOP, LOWEST_HZ, HIGHEST_HZ = 16000, 160, 50, 1100


def pyin(samples):
    import librosa

    f0, _, _ = librosa.pyin(samples, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=RATE, hop_length=HOP, fill_na=0.0)
    return f0


def harvest(samples):
    import pyworld

    wave = samples.astype(np.float64)
    f0, times = pyworld.harvest(wave, RATE, f0_floor=LOWEST_HZ, f0_ceil=HIGHEST_HZ, frame_period=1000 * HOP / RATE)
    return pyworld.stonemask(wave, f0, times, RATE)


def dio(samples):
    import pyworld

    wave = samples.astype(np.float64)
    f0, times = pyworld.dio(wave, RATE, f0_floor=LOWEST_HZ, f0_ceil=HIGHEST_HZ, frame_period=1000 * HOP / RATE)
    return pyworld.stonemask(wave, f0, times, RATE)


def pm(samples):
    import parselmouth

    pitch = parselmouth.Sound(samples.astype(np.float64), RATE).to_pitch_ac(
        time_step=HOP / RATE, voicing_threshold=0.6, pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ)
    f0 = pitch.selected_array["frequency"]
    before = (len(samples) // HOP - len(f0) + 1) // 2
    return np.pad(f0, (before, len(samples) // HOP - len(f0) - before))


def main():
    samples = np.fromfile(sys.argv[1], dtype=np.float32)
    found = {}
    for method, package in ((pyin, "librosa"), (harvest, "pyworld"), (dio, "pyworld"), (pm, "parselmouth")):
        if importlib.util.find_spec(package) is None:
            continue
        method(samples[:RATE])
        fastest = float("inf")
        for _ in range(int(sys.argv[2])):
            begin = time.process_time()
            f0 = method(samples)
            fastest = min(fastest, time.process_time() - begin)
        found[method.__name__] = {"cpu_seconds": fastest, "f0_hz": np.round(f0, 6).tolist()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
