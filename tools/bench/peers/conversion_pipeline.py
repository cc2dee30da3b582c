#!/usr/bin/env python3
"""The RVC tools' conversion of a song in PyTorch, for `melisma bench conversion` to be measured against.

Written for this purpose on what those tools use: transformers' HubertModel, faiss, PyTorch's own layers. The song is cut every
38 s with a second of padding on each side, as they cut it; pitch is heard on the whole of it, as they hear it.

    pip install torch transformers librosa faiss-cpu
    conversion_pipeline.py FOLDER THREADS SEED

FOLDER holds song.f32 (mono floats at 16 kHz), voice.pth (v2, 40 kHz, extracted), hubert.safetensors and voice.index. Random
weights of RMVPE go to FOLDER/rmvpe.pt, or are read from it, and the result to FOLDER/theirs.f32. Prints JSON: the wall and CPU
seconds of the conversion alone, models loaded and warm, and the peak memory of the process in MB.
"""
import json
import math
import os
import resource
import sys
import time

import faiss
import numpy as np
import torch
import torch.nn.functional as F
from pitch_networks import RmvpeTwin
from safetensors.torch import load_file
from transformers import HubertConfig, HubertModel

RATE, HOP = 16000, 160
PAD, CENTRE, QUERY = 1, 38, 6  # s


def folded(weights):
    """Every weight-normed pair as the weight it stands for."""
    plain = {}
    for name, tensor in weights.items():
        if name.endswith("weight_v"):
            g = weights[name[:-1] + "g"].float()
            v = tensor.float()
            norm = v.flatten(1).norm(dim=1).view([-1] + [1] * (v.dim() - 1))
            plain[name[:-2]] = v * (g / norm)
        elif not name.endswith("weight_g"):
            plain[name] = tensor.float()
    return plain


class Part:
    """Weights under a common prefix."""

    def __init__(self, weights, prefix=""):
        self.weights, self.prefix = weights, prefix

    def __getitem__(self, name):
        return Part(self.weights, f"{self.prefix}{name}.")

    def __call__(self, name):
        return self.weights.get(self.prefix + name)

    def conv(self, x, **options):
        return F.conv1d(x, self("weight"), self("bias"), **options)

    def linear(self, x):
        return F.linear(x, self("weight"), self("bias"))


def channel_norm(x, part):
    return F.layer_norm(x.transpose(1, 2), (x.shape[1],), part("gamma"), part("beta"), 1e-5).transpose(1, 2)


def relative_scores(scores):
    """[H, T, 2T - 1] by distance -> [H, T, T] by place."""
    heads, length, _ = scores.shape
    flat = F.pad(F.pad(scores, (0, 1)).flatten(1), (0, length - 1))
    return flat.view(heads, length + 1, 2 * length - 1)[:, :length, length - 1:]


def relative_weights(weights):
    """[H, T, T] by place -> [H, T, 2T - 1] by distance."""
    heads, length, _ = weights.shape
    flat = F.pad(F.pad(weights, (0, length - 1)).flatten(1), (length, 0))
    return flat.view(heads, length, 2 * length)[:, :, 1:]


def embeddings(table, length, window=10):
    pad = max(length - window - 1, 0)
    start = max(window + 1 - length, 0)
    return F.pad(table, (0, 0, pad, pad))[:, start:start + 2 * length - 1]


def attention(x, part, heads=2):
    length, width = x.shape[2], x.shape[1] // heads
    q, k, v = (part[f"conv_{n}"].conv(x).view(heads, width, length).transpose(1, 2) for n in "qkv")
    q = q / math.sqrt(width)
    scores = q @ k.transpose(1, 2)
    scores = scores + relative_scores(q @ embeddings(part("emb_rel_k"), length).transpose(1, 2))
    weights = scores.softmax(-1)
    y = weights @ v + relative_weights(weights) @ embeddings(part("emb_rel_v"), length)
    return part["conv_o"].conv(y.transpose(1, 2).reshape(1, -1, length))


def encode(features, bins, part):
    x = part["emb_phone"].linear(features) + F.embedding(bins, part("emb_pitch.weight"))
    x = F.leaky_relu(x * math.sqrt(192), 0.1).transpose(1, 2)
    inner = part["encoder"]
    for i in range(6):
        x = channel_norm(x + attention(x, inner[f"attn_layers.{i}"]), inner[f"norm_layers_1.{i}"])
        forward = inner[f"ffn_layers.{i}"]
        y = forward["conv_2"].conv(F.relu(forward["conv_1"].conv(x, padding=1)), padding=1)
        x = channel_norm(x + y, inner[f"norm_layers_2.{i}"])
    return part["proj"].conv(x).chunk(2, 1)


def wavenet(x, speaker, part, layers=3):
    condition = part["cond_layer"].conv(speaker)
    out = torch.zeros_like(x)
    for i in range(layers):
        y = part[f"in_layers.{i}"].conv(x, padding=2) + condition[:, 384 * i:384 * (i + 1)]
        y = part[f"res_skip_layers.{i}"].conv(torch.tanh(y[:, :192]) * torch.sigmoid(y[:, 192:]))
        if i + 1 < layers:
            x, out = x + y[:, :192], out + y[:, 192:]
        else:
            out = out + y
    return out


def flow_back(z, speaker, part):
    for i in (6, 4, 2, 0):
        z = z.flip(1)
        layer = part[f"flows.{i}"]
        first, second = z.chunk(2, 1)
        second = second - layer["post"].conv(wavenet(layer["pre"].conv(first), speaker, layer["enc"]))
        z = torch.cat((first, second), 1)
    return z


def excitation(f0, part, hop, rate):
    f0 = f0.repeat_interleave(hop, 1)
    sine = 0.1 * torch.sin(2 * math.pi * torch.cumsum(f0.double() / rate, 1).fmod(1).float())
    voiced = (f0 > 0).float()
    noise = (voiced * 0.003 + (1 - voiced) * 0.1 / 3) * torch.randn_like(sine)
    return torch.tanh(part["l_linear"].linear((sine * voiced + noise).unsqueeze(2))).transpose(1, 2)


def decode(z, f0, speaker, part, rates=(10, 10, 2, 2), kernels=(16, 16, 4, 4), rate=40000):
    source = excitation(f0, part["m_source"], math.prod(rates), rate)
    x = part["conv_pre"].conv(z, padding=3) + part["cond"].conv(speaker)
    for i, (stride, kernel) in enumerate(zip(rates, kernels)):
        up, beside = part[f"ups.{i}"], part[f"noise_convs.{i}"]
        x = F.conv_transpose1d(F.leaky_relu(x, 0.1), up("weight"), up("bias"), stride, (kernel - stride) // 2)
        step = math.prod(rates[i + 1:])
        x = x + (beside.conv(source, stride=step, padding=step // 2) if i + 1 < len(rates) else beside.conv(source))
        total = 0
        for j, size in enumerate((3, 7, 11)):
            y, block = x, part[f"resblocks.{3 * i + j}"]
            for k, dilation in enumerate((1, 3, 5)):
                a = block[f"convs1.{k}"].conv(F.leaky_relu(y, 0.1), dilation=dilation, padding=dilation * (size - 1) // 2)
                y = y + block[f"convs2.{k}"].conv(F.leaky_relu(a, 0.1), padding=(size - 1) // 2)
            total = total + y
        x = total / 3
    return torch.tanh(part["conv_post"].conv(F.leaky_relu(x), padding=3))


def pitch_of(salience):
    """Hz of each frame: the cents around the largest of 360 bins, weighed by the salience."""
    cents = F.pad(torch.arange(360) * 20 + 1997.3794084376191, (4, 4))
    centre = salience.argmax(1)
    near = centre[:, None] + torch.arange(9)
    weights = F.pad(salience, (4, 4)).gather(1, near)
    found = (weights * cents[near]).sum(1) / weights.sum(1)
    f0 = 10 * torch.exp2(found / 1200)
    return torch.where(salience.max(1).values > 0.03, f0, torch.zeros_like(f0))


def coarse(f0):
    mel = 1127 * torch.log1p(f0 / 700)
    low, high = 1127 * math.log1p(50 / 700), 1127 * math.log1p(1100 / 700)
    return torch.where(mel > 0, (mel - low) * 254 / (high - low) + 1, mel).clamp(1, 255).round().long()


class Pipeline:
    def __init__(self, folder):
        self.rmvpe = RmvpeTwin().eval()
        path = os.path.join(folder, "rmvpe.pt")
        if os.path.exists(path):
            self.rmvpe.load_state_dict(torch.load(path, weights_only=True))
        else:
            torch.save(self.rmvpe.state_dict(), path)
        self.hubert = HubertModel(HubertConfig()).eval()
        self.hubert.load_state_dict(load_file(os.path.join(folder, "hubert.safetensors")), strict=False)
        self.index = faiss.read_index(os.path.join(folder, "voice.index"))
        self.vectors = self.index.reconstruct_n(0, self.index.ntotal)
        self.voice = Part(folded(torch.load(os.path.join(folder, "voice.pth"), weights_only=True)["weight"]))

    def content(self, wave, rate=0.5):
        features = self.hubert(wave[None]).last_hidden_state
        queries = features[0].numpy()
        score, rows = self.index.search(queries, 8)
        weights = np.square(1 / score)
        weights /= weights.sum(1, keepdims=True)
        found = torch.from_numpy((self.vectors[rows] * weights[:, :, None]).sum(1))
        features = rate * found[None] + (1 - rate) * features
        return F.interpolate(features.transpose(1, 2), scale_factor=2).transpose(1, 2)

    def piece(self, wave, f0):
        features = self.content(wave)
        n = min(features.shape[1], wave.shape[0] // HOP, f0.shape[0])
        f0 = f0[None, :n]
        speaker = self.voice("emb_g.weight")[0].view(1, -1, 1)
        mean, log_std = encode(features[:, :n], coarse(f0), self.voice["enc_p"])
        z = mean + torch.exp(log_std) * torch.randn_like(mean) * 0.66666
        return decode(flow_back(z, speaker, self.voice["flow"]), f0, speaker, self.voice["dec"])[0, 0]

    def convert(self, wave):
        cuts = [0]
        loudness = F.avg_pool1d(wave.abs()[None, None], HOP, 1, HOP // 2)[0, 0]
        while wave.shape[0] - cuts[-1] > (CENTRE + QUERY // 2) * RATE:
            centre = cuts[-1] + CENTRE * RATE
            around = loudness[centre - QUERY * RATE:min(centre + QUERY * RATE, wave.shape[0])]
            cuts.append((centre - QUERY * RATE + int(around.argmin())) // HOP * HOP)
        cuts.append(wave.shape[0])
        padded = F.pad(wave[None, None], (PAD * RATE, PAD * RATE), mode="reflect")[0, 0]
        f0 = pitch_of(self.rmvpe(padded))
        made = []
        for first, last in zip(cuts, cuts[1:]):
            part = padded[first:last + 2 * PAD * RATE]
            voice = self.piece(part, f0[first // HOP:])
            made.append(voice[PAD * 40000:PAD * 40000 + (last - first) * 5 // 2])
        return torch.cat(made)


def main():
    folder, threads, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    torch.manual_seed(seed)
    wave = torch.from_numpy(np.fromfile(os.path.join(folder, "song.f32"), dtype=np.float32))
    with torch.inference_mode():
        pipeline = Pipeline(folder)
        pipeline.convert(wave[:3 * RATE])
        wall, cpu = time.perf_counter(), time.process_time()
        made = pipeline.convert(wave)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    made.numpy().tofile(os.path.join(folder, "theirs.f32"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump({"wall_seconds": wall, "cpu_seconds": cpu, "peak_megabytes": peak}, sys.stdout)


if __name__ == "__main__":
    main()
