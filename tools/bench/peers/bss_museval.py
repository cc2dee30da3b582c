#!/usr/bin/env python3
"""museval's BSS Eval v4 of given stems, for `melisma bench separation` to be measured against.

    pip install museval
    bss_museval.py REFERENCES.npy ESTIMATES.npy RATE REPEATS

Both arrays are [sources, samples, channels]. Prints JSON: the CPU seconds of the fastest of REPEATS calls, and SDR, ISR, SIR
and SAR of each source and frame of one second.
"""
import json
import sys
import time

import museval.metrics
import numpy as np


def main():
    references, estimates = np.load(sys.argv[1]), np.load(sys.argv[2])
    rate = int(sys.argv[3])
    fastest = float("inf")
    for _ in range(int(sys.argv[4])):
        begin = time.process_time()
        sdr, isr, sir, sar, _ = museval.metrics.bss_eval(
            references, estimates, window=rate, hop=rate, compute_permutation=False, filters_len=512,
            framewise_filters=False, bsseval_sources_version=False)
        fastest = min(fastest, time.process_time() - begin)
    json.dump({"cpu_seconds": fastest, "sdr": sdr.tolist(), "isr": isr.tolist(), "sir": sir.tolist(),
               "sar": sar.tolist()}, sys.stdout)


if __name__ == "__main__":
    main()
