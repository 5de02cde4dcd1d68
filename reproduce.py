"""Run every experiment and draw every figure in order, then print the table "paper / this run". About 12 minutes on two cores.

Every step is one of the scripts, run as its own process as a user would. The error-driven voltages are those committed;
--full trains them again first (three seeds of each encoding, an hour and a half). Writes figures/results.md.
"""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning.error_driven import ErrorDrivenRule
from records.claims import claimed, locked, refuse_overwriting
from records.files import ROOT, atomic_write
from records.results import load_results as load
from records.results import results_path
from workflow import schematics
from workflow.command_line import make_parser, run, whole_number
from workflow.process import undisturbed
from workflow.scores import interval

Row = tuple[str, str, str, str]  # of the table: experiment, paper, this run, interval
SEEDS = (1, 2, 3)
# Jurj 2024: train accuracies of section 4 and the MNIST test on the first 100 images.
PAPER = {"xpue": "100 %", "012345": "100 %", "mnist": "100 %", "mnist_test": "60 % (of 100)"}


@dataclass(frozen=True)
class Step:
    """A script or module with its options, and the folder within --figures that its figures go to."""

    command: list[str]
    folder: str = ""


def steps(full: bool, samples: int) -> Iterator[Step]:
    """What is run, in order."""
    yield from (Step(["memristor_figures.py"]), Step(["memristor.py"]), Step(["memristor.py", "--stdp"]))
    for dataset in ("XPUE", "012345", "MNIST"):
        yield from (Step([f"{dataset}_memristive_training.py"]), Step([f"{dataset}_memristive_inference.py"]))
    yield from (Step(["-m", "studies.instar"]), Step(["-m", "studies.stdp", "--data", "xpue", "--seeds", "20"]),
                Step(["-m", "studies.stdp", "--data", "012345", "--seeds", "5"]))
    test = ["MNIST_memristor_test.py", "--samples", str(samples)]
    yield Step(test)
    for encoding in ("binary", "grey"):
        ending = "" if encoding == "binary" else "_grey"
        chosen = ["--encoding", encoding]
        yield Step(["-m", "studies.ex_situ", *chosen])
        yield Step([*test, *chosen, "--voltages", f"voltages/mnist_ex_situ{ending}.json"])
        for seed in SEEDS:
            of_seed = "" if seed == ErrorDrivenRule.seed else f"_seed_{seed}"
            voltages = ["--voltages", f"voltages/mnist_error_driven{ending}{of_seed}.json"]
            if full:
                train = ["MNIST_memristive_training.py", "--rule", "error-driven", "--seed", str(seed)]
                yield Step([*train, *chosen, *voltages], seed_folder(seed))
            yield Step([*test, *chosen, *voltages], seed_folder(seed))
    yield Step(["-m", "studies.imperfect_chips", *([] if full else ["--short"])])


def seed_folder(seed: int) -> str:
    """Where figures of a training with `seed` go: those of other seeds than the usual one to a folder of their own."""
    return "" if seed == ErrorDrivenRule.seed else f"seed_{seed}"


def main(arguments: list[str] | None = None) -> int:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "each experiment has its own; give the option to its script",
                                   "--voltages": "each experiment has its own; give the option to its script"})
    parser.add_argument("--full", action="store_true", help="train the error-driven networks again as well")
    parser.add_argument("--samples", type=whole_number(1, 10000), default=10000, metavar="N",
                        help="test images in each test, 1 to 10000 (default: 10000)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    table = options.figures / "results.md"
    with claimed({}, [table]), locked(table):
        if not options.force:  # the tests would refuse, half way
            refuse_overwriting(results_path(options.figures, "mnist_test"), {"samples": options.samples})
        for path in schematics.draw_circuits(options.figures, options.show):
            print(f"wrote {path}")
        code = run_steps(options)
        if code:
            return code
        text = results_table(options.figures)
        atomic_write(table, text)
    print(f"\n{text}\nwrote {table}; all in {(time.perf_counter() - start) / 60:.1f} minutes")
    return 0


def run_steps(options: argparse.Namespace) -> int:
    """Run all steps in order; the exit code of the first that fails, or 0."""
    passed_on = ["--show"] * options.show + ["--force"] * options.force
    for step in steps(options.full, options.samples):
        print(f"\n$ python {' '.join(step.command)}", flush=True)
        code = run_script([*step.command, "--figures", str(options.figures / step.folder), *passed_on])
        if code:
            print(f"reproduce.py: {step.command[0]} ended with exit code {code}; what ran before is kept", file=sys.stderr)
            return code
    return 0


def run_script(command: list[str]) -> int:
    """Exit code of a script with its options; when this process is stopped, the script is first."""
    script = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    try:
        return script.wait()
    finally:
        if script.returncode is None:
            with undisturbed():
                stop(script)


def stop(script: subprocess.Popen[bytes]) -> None:
    """End a script as Ctrl-C does, by whatever signal it heeds, and wait for its end."""
    for send, patience in ((lambda: None, 0.5), (script.terminate, 20.0), (script.kill, None)):
        send()  # at first nothing: in a terminal, Ctrl-C has reached the script as well
        with contextlib.suppress(subprocess.TimeoutExpired):
            script.wait(patience)
            break


def results_table(folder: Path) -> str:
    """The table "paper / this run" as Markdown, from the results that the scripts wrote to `folder`."""
    rows = [("experiment", "paper", "this run", "95 % interval"), ("---", "---", "---", "---")]
    for name, title in (("xpue", "XPUE, train"), ("012345", "012345, train"), ("mnist", "MNIST averages, train")):
        found = load(folder, f"{name}_inference")
        rows.append((f"{title}, strict", PAPER[name], f"{found['strict_accuracy']:.0%}", ""))
    hebbian = load(folder, "mnist_test")
    few = min(100, hebbian["samples"])
    rows.append(share("MNIST test, first 100, the paper's rule", hebbian["paper_rule_first_100"], few, PAPER["mnist_test"]))
    rows.append(share("MNIST test, first 100, strict", hebbian["strict_first_100"], few))
    rows.append(share("MNIST test, Hebbian, the paper's rule", hebbian["paper_rule_accuracy"], hebbian["samples"]))
    rows.append(tested("MNIST test, Hebbian, strict", hebbian))
    equal = f"{hebbian['equal_templates']:.2%} (tied, or silent, by construction)"
    rows.append(("images whose two best templates are equal", "", equal, ""))
    for ending, encoding in (("", "binary"), ("_grey", "grey")):
        rows.append(tested(f"MNIST test, error-driven in situ, {encoding}", load(folder, f"mnist_test_error_driven{ending}")))
        rows += other_seeds(folder, ending)
        software = load(folder, f"mnist_ex_situ{ending}_training")
        rows.append((f"logistic regression in software, {encoding}", "", f"{software['software_accuracy']:.2%}",
                     percent_range(software["software_interval_95"])))
        rows.append(tested(f"ex situ: its weights in the memristors, {encoding}", load(folder, f"mnist_test_ex_situ{ending}")))
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths(rows), strict=True)) + " |" for row in rows]
    energy = energies(folder, hebbian)
    return "\n".join([*lines, "", *energy]) + "\n"


def other_seeds(folder: Path, ending: str) -> list[Row]:
    """Rows for the trainings with other seeds, and for the spread of all."""
    name = f"mnist_test_error_driven{ending}"
    found = {seed: load(folder / seed_folder(seed), name) for seed in SEEDS}
    accuracies = [results["strict_accuracy"] for results in found.values()]
    spread = f"{np.mean(accuracies):.2%} (standard deviation {np.std(accuracies, ddof=1):.2%})"
    return [*(tested(f"the same, seed {seed}", found[seed]) for seed in SEEDS if seed != ErrorDrivenRule.seed),
            (f"mean of {len(SEEDS)} seeds", "", spread, "")]


def share(title: str, accuracy: float, count: int, paper: str = "") -> Row:
    """A row for an accuracy on `count` images."""
    return title, paper, f"{accuracy:.2%}", percent_range(interval(round(accuracy * count), count))


def tested(title: str, found: dict[str, Any]) -> Row:
    """A row for a test of `found["samples"]` images, undecided counted as wrong."""
    undecided = f" ({found['silent']} silent, {found['tied']} tied of {found['samples']})"
    return title, "", f"{found['strict_accuracy']:.2%}{undecided}", percent_range(found["strict_interval_95"])


def energies(folder: Path, hebbian: dict[str, Any]) -> list[str]:
    """Lines on energy from the sources' currents."""
    hebbian_write = load(folder, "mnist_training")["write_energy"]["inputs"]
    lines = [f"Energy from the input sources, MNIST: {hebbian['read_energy']['inputs'] * 1e6:.1f} uJ for presenting one image, "
             f"{hebbian_write * 1e6:.2f} uJ for one class's Hebbian write."]
    path = folder / "mnist_error_driven_training_results.json"
    if path.exists():
        write = load(folder, "mnist_error_driven_training")["write_energy"]
        lines.append(f"One error-driven write of the first dose: {write['potentiation']['inputs'] * 1e6:.3f} uJ to potentiate a "
                     f"column, {write['depression']['inputs'] * 1e6:.3f} uJ to depress one.")
    return [*lines, "phi drives ideal switches and draws nothing; op-amps and transconductances are ideal and not counted."]


def widths(rows: list[Row]) -> list[int]:
    """Width of each column."""
    return [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]


def percent_range(bounds: Sequence[float]) -> str:
    """An interval as text."""
    return f"{bounds[0]:.2%} to {bounds[1]:.2%}"


if __name__ == "__main__":
    sys.exit(run(main))
