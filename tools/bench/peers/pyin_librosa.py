#!/usr/bin/env python3
"""librosa's pyin with the settings of our pitch features, for `melisma bench pitch` to be measured against.

    pip install librosa
    pyin_librosa.py WAVE_AT_16_KHZ REPEATS

Prints JSON: the CPU seconds of the fastest of REPEATS calls (after one that warms the just-in-time compiler) and the f0 of
each frame, 0 where unvoiced.
"""
import json
import sys
import time

import librosa
import numpy as np

RATE, HOP, LOWEST_HZ, HIGHEST_HZ = 16000, 160, 50, 1100


def pitch(samples):
    f0, _, _ = librosa.pyin(samples, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=RATE, hop_length=HOP, fill_na=0.0)
    return f0


def main():
    samples, rate = librosa.load(sys.argv[1], sr=None)
    assert rate == RATE, f"expected {RATE} Hz, got {rate}"
    pitch(samples[:RATE])
    fastest = float("inf")
    for _ in range(int(sys.argv[2])):
        begin = time.process_time()
        f0 = pitch(samples)
        fastest = min(fastest, time.process_time() - begin)
    json.dump({"cpu_seconds": fastest, "f0_hz": np.round(f0, 4).tolist()}, sys.stdout)


if __name__ == "__main__":
    main()
