#!/usr/bin/env python3
"""auraloss's multi-resolution STFT loss, value and gradient, for `melisma bench mix-losses` to be measured against.

    pip install torch==2.11.0 && pip install --no-deps auraloss==0.4.0
    mix_losses_auraloss.py ESTIMATE.f32 TARGET.f32 BATCH SAMPLES THREADS REPEATS

Both files hold floats [BATCH, 2, SAMPLES]. Prints JSON: for each configuration the value in double, and CPU and wall
seconds of the fastest of REPEATS calls of the loss and its gradient with respect to the estimate in float.
"""
import json
import sys
import time

import numpy as np
import torch
from auraloss.freq import MultiResolutionSTFTLoss

CONFIGURATIONS = {
    "default": {},
    "mixing": {
        "fft_sizes": [512, 2048, 8192],
        "hop_sizes": [256, 1024, 4096],
        "win_lengths": [512, 2048, 8192],
        "w_sc": 0.0,
        "w_lin_mag": 1.0,
        "w_log_mag": 1.0,
    },
}


def measure(loss, estimate, target, repeats):
    cpu = wall = float("inf")
    for _ in range(repeats + 1):
        cpu_begin, wall_begin = time.process_time(), time.perf_counter()
        value = loss(estimate, target)
        estimate.grad = None
        value.backward()
        cpu = min(cpu, time.process_time() - cpu_begin)
        wall = min(wall, time.perf_counter() - wall_begin)
    with torch.no_grad():  # in float its norms of millions of bins lose four digits
        value = loss(estimate.double(), target.double())
    return {"value": value.item(), "cpu": cpu, "wall": wall}


def main():
    batch, samples, threads, repeats = (int(word) for word in sys.argv[3:7])
    torch.set_num_threads(threads)
    estimate, target = (
        torch.from_numpy(np.fromfile(path, np.float32).reshape(batch, 2, samples)) for path in sys.argv[1:3]
    )
    estimate.requires_grad_(True)
    answer = {}
    for name, options in CONFIGURATIONS.items():
        answer[name] = measure(MultiResolutionSTFTLoss(**options), estimate, target, repeats)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
