#!/usr/bin/env python3
"""transformers' HubertModel over given clips, for `melisma bench features` to be measured against.

    pip install torch transformers
    hubert_transformers.py WEIGHTS.safetensors CLIPS.f32 FEATURES.npy THREADS REPEATS LENGTH...

CLIPS.f32 holds the clips one after the other, 32-bit floats at 16 kHz, of LENGTH samples each. The sizes are those of HuBERT
base. Clips go through the model one at a time, as the RVC tools extract features: the model's group norm makes padded batches
inexact. Prints JSON: the CPU and wall seconds of the fastest of REPEATS passes over all clips; writes the last layer, [rows,
768].
"""
import json
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import HubertConfig, HubertModel


def main():
    weights, clips_file, features_file = sys.argv[1:4]
    threads, repeats = int(sys.argv[4]), int(sys.argv[5])
    lengths = [int(length) for length in sys.argv[6:]]
    torch.set_num_threads(threads)
    model = HubertModel(HubertConfig()).eval()
    loaded = model.load_state_dict(load_file(weights), strict=False)
    unexpected = [name for name in loaded.unexpected_keys if not name.startswith("final_proj")]
    if unexpected or loaded.missing_keys not in ([], ["masked_spec_embed"]):
        sys.exit(f"the weights do not fit: {unexpected} {loaded.missing_keys}")
    clips = torch.from_numpy(np.fromfile(clips_file, dtype=np.float32)).split(lengths)
    cpu = wall = float("inf")
    with torch.inference_mode():
        model(clips[0].unsqueeze(0))
        for _ in range(repeats):
            cpu_begin, wall_begin = time.process_time(), time.perf_counter()
            features = [model(clip.unsqueeze(0)).last_hidden_state[0] for clip in clips]
            cpu, wall = min(cpu, time.process_time() - cpu_begin), min(wall, time.perf_counter() - wall_begin)
    np.save(features_file, torch.cat(features).numpy())
    json.dump({"cpu_seconds": cpu, "wall_seconds": wall}, sys.stdout)


if __name__ == "__main__":
    main()
