"""Run most experiments and draw their figures, then print the results table beside the paper's
numbers.

Each step is a script that runs as a process of its own. There are as many processes at a time as
the machine has cores. Each MNIST network of one layer reads all 10,000 test images in closed form,
and the first 1,000 in ngspice. 7 to 11 minutes on two cores. --full reads all 10,000 in ngspice,
trains the error-driven networks again (three hours). Writes results/ and figures/.
docs/reproducing.md has the commands of the other experiments.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from joblib import cpu_count
from tqdm import tqdm

from memristive.cli.script import run
from tools.networks import NETWORKS, QUICK, write_agreement
from tools.tables import markdown, short_rows

MODELS = ("vteam", "yakopcic", "wox", "memdiode", "molecular", "stanford", "sky130_reram")
FIRST = 1000  # test images of each network that a quick reproduction puts through ngspice
Command = list[str]


def chains(full: bool) -> Iterator[list[Command]]:
    """Yield lists of commands. Within a list, each command needs the results of the one before it.
    `full` adds what takes hours.

    Experiments that run only in part, and trainings of hidden layers, write to results/quick. So
    the committed records and networks stay as they are.
    """
    quick = ["--results", str(QUICK)]

    def hidden(data: str) -> Command:
        """Return the options with which a training of hidden layers writes to results/quick."""
        return ["--data", data, "--voltages", str(QUICK / f"layers_{data}_network.json"), *quick]

    yield [
        ["memristor_figures.py"],
        ["-m", "memristive.commands.loop"],
        ["-m", "memristive.commands.loop", "--stdp"],
        [
            *("-m", "memristive", "compare", "--data", "mnist", "--write", "at-once"),
            *("--set", "rule.presentations=40000", "--seeds", "1", "--jobs", "1", *quick),
            *("--figures", str(QUICK)),
        ],
    ]
    for name in ("XPUE", "012345"):
        yield [[f"{name}_memristive_training.py"], [f"{name}_memristive_inference.py"]]
    yield [["-m", "studies.error_driven", "--data", "xpue"]]
    yield [["-m", "memristive", "train", *hidden("mnist"), "--figures", str(QUICK)]]
    yield [["-m", "memristive", "measure", model] for model in MODELS]
    for task in ("xpue", "mnist017", "mnist10") if full else ("xpue",):
        yield [["-m", "transistors.learner", "--task", task]]
    yield [["-m", "studies.unsupervised", "--data", "xpue", "--seeds", "20"]]
    yield [["-m", "studies.unsupervised", "--data", "012345", "--seeds", "5", *quick]]
    yield [
        [
            "-m",
            "memristive",
            "train",
            *hidden("xor"),
            "--engine",
            "ngspice",
            "--test-engine",
            "ngspice",
            "--seeds",
            "10",
        ]
    ]
    for network in NETWORKS:
        steps = [network.training] if full and network.rule == "error-driven" else []
        if network.rule == "hebbian":
            steps = [network.training, ["MNIST_memristive_inference.py"]]
        in_ngspice = [
            *network.test,
            "--jobs",
            "1",
            *([] if full else ["--samples", str(FIRST), *quick]),
        ]
        yield [*steps, [*network.test, "--engine", "closed-form"], in_ngspice]


def run_chain(commands: list[Command], force: bool) -> tuple[str, int]:
    """Run commands one after the other until one fails; return their printed output and the last
    exit code. `force` adds --force, except that an interrupted training gets --resume.
    """
    printed = ""
    for command in commands:
        interrupted = (
            command[:3] == ["-m", "memristive", "train"]
            and Path(f"{command[command.index('--voltages') + 1]}.checkpoint").exists()
        )
        options = ["--resume"] * interrupted + ["--force"] * (force and not interrupted)
        done = subprocess.run(
            [sys.executable, *command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed += f"$ python {' '.join(command)}\n{done.stdout}"
        if done.returncode:
            return printed, done.returncode
    return printed, 0


def main(arguments: list[str] | None = None) -> int:
    """Run all chains, write the table of agreement between the engines, and print the table of
    results; return the exit code.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also what takes hours: trainings and all images in ngspice",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite results that were made with other parameters",
    )
    options = parser.parse_args(arguments)
    # all cores
    carried = ["-m", "memristive", "chips", "voltages/mnist_closed_form_grey.json"]
    carried += ["--spread", "0.02", "0.1", "--results", str(QUICK), "--figures", str(QUICK)]
    report = ["-m", "memristive", "report", "--short", "--results", str(QUICK)]
    report += ["--figures", str(QUICK)]
    last = [
        carried,
        *([*report, device] for device in ("epiram", "tests/io/readings/keithley.csv")),
    ]
    failed = 0
    for part in (list(chains(options.full)), [last]):
        with (
            ThreadPoolExecutor(cpu_count()) as pool,
            tqdm(total=len(part), unit="chain", dynamic_ncols=True) as bar,
        ):
            started = [pool.submit(run_chain, chain, options.force) for chain in part]
            for future in as_completed(started):
                printed, code = future.result()
                bar.write(printed.rstrip())
                bar.update()
                failed = failed or code
    if failed:
        print("a step failed: see above", file=sys.stderr)
        return failed
    write_agreement()
    print(markdown(short_rows()))
    return 0


if __name__ == "__main__":
    run(main)
