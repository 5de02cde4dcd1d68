"""Soak: 20,000 reads and 2,000 writes in one session; memory and time per run must stay flat. About 6 minutes.

A tenth of the reads is followed by a write, as in training. Writes figures/soak.png, where no other number of reads is asked
for. Exit code 1 if the last tenth is more than 20 % slower than the first, or memory grows by more than 5 MB after the first
tenth.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

import plotting
from benchmarks.report import options_of
from datasets import encode, load_mnist
from memristive.cli.command_line import whole_number
from memristive.cli.experiments import mnist_experiment
from memristive.io.files import ROOT
from memristive.io.voltages import load_voltages
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.spice.session import NgspiceSession
from plotting import SKY, VERMILLION, WIDTH

READS, READS_PER_WRITE = 20000, 10
FEWEST = 10 * READS_PER_WRITE  # reads: a tenth of the writes is one


def resident() -> float:
    """Resident memory of this process in MB (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def soak(reads: int) -> tuple[dict[str, list[float]], np.ndarray]:
    """CPU time in s of each read and write, and resident memory in MB after each read, in one session."""
    experiment = mnist_experiment()
    images = encode(load_mnist("x_test", first=200)["x_test"])
    states = load_voltages(experiment.voltages_path("error-driven"), "mnist", 10, 100).states
    session = NgspiceSession()
    reader = Reader(session, experiment.network, experiment.schedule, 10)
    writer = Writer(session, experiment.network, experiment.schedule, 100)
    times: dict[str, list[float]] = {"read": [], "write": []}
    memory = []
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


def verdict(times: dict[str, list[float]], memory: np.ndarray) -> tuple[dict[str, float], float]:
    """Ratios of the last tenth's median time to the first's, and memory growth in MB after the first tenth."""
    ratios = {kind: float(np.median(t[-len(t) // 10:]) / np.median(t[:len(t) // 10])) for kind, t in times.items()}
    return ratios, float(memory[-1] - memory[len(memory) // 10])


def soak_figure(seconds: np.ndarray, memory: np.ndarray) -> Figure:
    """Time of each read (s) and resident memory after it (MB), in the order of the reads."""
    count = np.arange(1, len(seconds) + 1)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 4.5), sharex=True)
    top.semilogy(count, np.asarray(seconds) * 1e3, ".", color=SKY, markersize=1.5, rasterized=True)
    tenths = np.array_split(np.arange(len(seconds)), 10)
    top.plot([count[part].mean() for part in tenths], [np.median(np.asarray(seconds)[part]) * 1e3 for part in tenths],
             "o-", color=VERMILLION, label="median of a tenth of the reads")
    top.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
    top.set(ylabel="time of a read (ms)", title="Time and memory of one session")
    top.legend(loc="lower right", bbox_to_anchor=(1, 1))
    bottom.plot(count, memory)
    bottom.set(xlabel="reads (number)", ylabel="resident memory (MB)", ylim=(0, 1.15 * np.max(memory)))
    return figure


def main(arguments: list[str] | None = None) -> int:
    """Run, print, draw."""
    parser = options_of(__doc__)
    parser.add_argument("--reads", type=whole_number(FEWEST, 10**6), default=READS, metavar="N",
                        help=f"reads; a tenth as many writes (default: {READS}, which are drawn)")
    reads = parser.parse_args(arguments).reads
    times, memory = soak(reads)
    ratios, growth = verdict(times, memory)
    for kind, ratio in ratios.items():
        print(f"{kind}s: {len(times[kind])}, median {np.median(times[kind]) * 1e3:.2f} ms, last tenth / first tenth {ratio:.3f}")
    print(f"memory: {memory[len(memory) // 10]:.1f} MB after the first tenth, {memory[-1]:.1f} MB at the end ({growth:+.1f} MB)")
    if reads == READS:
        print(f"wrote {plotting.save(soak_figure(np.array(times['read']), memory), ROOT / 'figures', 'soak')}")
    return 0 if max(ratios.values()) < 1.2 and growth < 5 else 1


if __name__ == "__main__":
    sys.exit(run(main))
