"""Soak: 20,000 reads and 2,000 writes in one session; memory and time per run must stay flat. About 6 minutes.

A tenth of the reads is followed by a write, as in training. Writes figures/soak.png. Exit code 1 if the last tenth is more
than 20 % slower than the first, or memory grows by more than 5 MB after the first tenth.
"""

import argparse
import sys
import time

import numpy as np
from report import ROOT

import plotting
from datasets import encode, load_mnist
from experiments import mnist_experiment
from readout import Reader, Writer
from simulation import NgspiceSession
from voltages_file import load_voltages

READS_PER_WRITE = 10


def resident():
    """Resident memory of this process in MB (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def soak(reads):
    """CPU time in s of each read and write, and resident memory in MB after each read, in one session."""
    experiment = mnist_experiment()
    images = encode(load_mnist("x_test", first=200)["x_test"])
    states = load_voltages(experiment.voltages_path("error-driven"), "mnist", 10, 100).states
    session = NgspiceSession()
    reader = Reader(session, experiment.network, experiment.schedule, 10)
    writer = Writer(session, experiment.network, experiment.schedule, 100)
    times, memory = {"read": [], "write": []}, []
    for k in range(reads):
        image = images[k % len(images)]
        start = time.process_time()
        reader.spikes(states, image, 2)
        times["read"].append(time.process_time() - start)
        if k % READS_PER_WRITE == 0:
            start = time.process_time()
            column, sign = k // READS_PER_WRITE % 10, 1 - k // (10 * READS_PER_WRITE) % 2 * 2
            states[column] = writer.write(states[column], image, sign, 10e-6)
            times["write"].append(time.process_time() - start)
        memory.append(resident())
    return times, np.array(memory)


def verdict(times, memory):
    """Ratios of the last tenth's median time to the first's, and memory growth in MB after the first tenth."""
    ratios = {kind: np.median(t[-len(t) // 10:]) / np.median(t[:len(t) // 10]) for kind, t in times.items()}
    return ratios, float(memory[-1] - memory[len(memory) // 10])


def main():
    """Run, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=20000, help="reads; a tenth as many writes (default: 20000)")
    times, memory = soak(parser.parse_args().reads)
    ratios, growth = verdict(times, memory)
    for kind, ratio in ratios.items():
        print(f"{kind}s: {len(times[kind])}, median {np.median(times[kind]) * 1e3:.2f} ms, last tenth / first tenth {ratio:.3f}")
    print(f"memory: {memory[len(memory) // 10]:.1f} MB after the first tenth, {memory[-1]:.1f} MB at the end ({growth:+.1f} MB)")
    print(f"wrote {plotting.save(plotting.soak(np.array(times['read']), memory), ROOT / 'figures', 'soak')}")
    return 0 if max(ratios.values()) < 1.2 and growth < 5 else 1


if __name__ == "__main__":
    sys.exit(main())
