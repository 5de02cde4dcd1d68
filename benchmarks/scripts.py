"""Time every script as a whole process: medians of five runs of wall time, CPU time, peak memory. About 3 minutes.

Writes the table into docs/performance.md. Figures go to a scratch folder.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.report import markdown, options_of, put
from memristive.cli.command_line import whole_number
from memristive.cli.process import undisturbed
from memristive.io.files import ROOT

IMAGES = 200  # test images in a run of the test script
# Script and options, images simulated, cells.
CASES = [
    (["memristor.py"], 0, 1),
    (["XPUE_memristive_training.py"], 4, 36), (["XPUE_memristive_inference.py"], 4, 36),
    (["012345_memristive_training.py"], 6, 90), (["012345_memristive_inference.py"], 6, 90),
    (["MNIST_memristive_training.py"], 10, 1000), (["MNIST_memristive_inference.py"], 10, 1000),
    (["MNIST_memristor_test.py", "--samples", str(IMAGES), "--jobs", "1"], IMAGES, 1000),
    (["MNIST_memristor_test.py", "--samples", str(IMAGES), "--jobs", "2"], IMAGES, 1000),
    (["MNIST_memristor_test.py", "--samples", str(IMAGES), "--jobs", "2", "--voltages",
      "voltages/mnist_error_driven.json"], IMAGES, 1000),
]


def measure(command: list[str], folder: str) -> tuple[float, float, float]:
    """Wall s, CPU s (children included) and peak memory (MB, largest process) of one run."""
    voltages = ["--voltages", f"{folder}/{command[0]}.json"] if "training" in command[0] else []
    before = os.times()
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command, *voltages, "--figures", folder], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:  # a signal: nobody waits for what it measures
        with undisturbed():
            process.terminate()
            process.wait()
        raise
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, usage.ru_maxrss / 1024


def main(arguments: list[str] | None = None) -> None:
    """Run all cases in turn, five rounds, so that drifts of a shared machine hit all alike."""
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=whole_number(1, 1000), default=5, metavar="N", help="runs of each script (default: 5)")
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory() as folder:
        runs = [[measure(command, folder) for command, _, _ in CASES] for _ in range(rounds)]
    rows = []
    for k, (command, images, cells) in enumerate(CASES):
        wall, cpu, memory = (statistics.median(run[k][m] for run in runs) for m in range(3))
        each = f"{cpu / images * 1e3:.1f}" if images else "-"
        per_cell = f"{cpu / images / cells * 1e6:.1f}" if images else "-"
        rows.append((" ".join(command), f"{wall:.2f}", f"{cpu:.2f}", f"{memory:.0f}", each, per_cell))
    table = markdown(("script", "wall/s", "CPU/s", "peak/MB", "CPU/image/ms", "CPU/image/cell/us"), rows)
    print(table)
    put("scripts", f"Medians of {rounds} runs, whole processes, start-up and figures included.\n\n{table}")


if __name__ == "__main__":
    sys.exit(run(main))
