#!/usr/bin/env python3
"""A twin of the RVC tools' preprocessing, for `melisma bench prepare` to be measured against.

The same steps on the same libraries (librosa, soxr, scipy, soundfile) in the same order as Applio's preprocessing of one
file with its defaults, written for this purpose: load, mono, resample (soxr_vhq), high-pass, silence slicer, 3 s windows,
level each slice, write it as float at the dataset's rate and, resampled again, at 16 kHz.

    pip install librosa soxr scipy soundfile
    preprocess_twin.py INPUT_FILE OUTPUT_FOLDER RATE
"""
import os
import sys

import librosa
import numpy as np
import soundfile
from scipy import signal

THRESHOLD = 10 ** (-42 / 20)
HOP_S, MIN_LENGTH_S, MIN_INTERVAL_S, KEPT_S = 0.015, 1.5, 0.4, 0.5
WINDOW_S, OVERLAP_S = 3.0, 0.3


def load(path, rate):
    samples, file_rate = soundfile.read(path)
    if samples.ndim > 1:
        samples = librosa.to_mono(samples.T)
    if file_rate != rate:
        samples = librosa.resample(samples, orig_sr=file_rate, target_sr=rate, res_type="soxr_vhq")
    return samples


def frame_levels(samples, window, hop):
    padded = np.pad(samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.sqrt(np.mean(np.abs(frames) ** 2, axis=-1))


def silences(levels, min_length, min_interval, kept):
    """Runs of frames to leave out, as [first, last)."""
    found, since, begin = [], None, 0
    for i, level in enumerate(levels):
        if level < THRESHOLD:
            since = i if since is None else since
            continue
        if since is None:
            continue
        if (since == 0 and i > kept) or (i - since >= min_interval and i - begin >= min_length):
            if i - since <= kept:
                first = last = since + int(np.argmin(levels[since : i + 1]))
            else:
                first = since + int(np.argmin(levels[since : since + kept + 1]))
                last = i - kept + int(np.argmin(levels[i - kept : i + 1]))
            found.append((0 if since == 0 else first, last))
            begin = last
        since = None
    if since is not None and len(levels) - since >= min_interval:
        found.append((since + int(np.argmin(levels[since : since + kept + 1])), len(levels)))
    return found


def slices(samples, rate):
    hop = round(rate * HOP_S)
    levels = frame_levels(samples, min(round(rate * MIN_INTERVAL_S), 4 * hop), hop)
    frames = [round(rate * seconds / hop) for seconds in (MIN_LENGTH_S, MIN_INTERVAL_S, KEPT_S)]
    begin = 0
    for first, last in silences(levels, *frames) + [(len(levels), len(levels))]:
        piece = samples[begin * hop : first * hop]
        begin = last
        start = 0
        while len(piece) > start:
            if len(piece) - start <= (WINDOW_S + OVERLAP_S) * rate:
                yield piece[start:]
                break
            yield piece[start : start + int(WINDOW_S * rate)]
            start += int((WINDOW_S - OVERLAP_S) * rate)


def main(path, folder, rate):
    for name in ("full", "16k"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    b, a = signal.butter(N=5, Wn=48, btype="high", fs=rate)
    samples = signal.lfilter(b, a, load(path, rate))
    for index, piece in enumerate(slices(samples, rate)):
        peak = np.abs(piece).max()
        if peak == 0 or peak > 2.5:
            continue
        piece = (piece / peak * 0.675 + 0.25 * piece).astype(np.float32)
        soundfile.write(os.path.join(folder, "full", f"{index}.wav"), piece, rate, subtype="FLOAT")
        low = librosa.resample(piece, orig_sr=rate, target_sr=16000, res_type="soxr_vhq")
        soundfile.write(os.path.join(folder, "16k", f"{index}.wav"), low, 16000, subtype="FLOAT")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
