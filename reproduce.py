"""Run every experiment and draw every figure in order, then print the table "paper / this run". 12 minutes on two cores.

Every step is one of the scripts, run as its own process as a user would. All 10,000 test images go through the closed form, the
first 2,000 of each network through ngspice, whose decisions must be the same. --full puts all 10,000 through ngspice, and trains
the error-driven networks again first (three seeds of each encoding and engine: two hours in all). Writes figures/results.md.
"""

if __name__ == "__main__":
    from workflow.loading import run

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from datasets import ENCODINGS
from learning.engines import CLOSED_FORM, NGSPICE
from records.claims import claimed, locked, refuse_overwriting
from records.files import ROOT, atomic_write
from records.results import results_path
from workflow import schematics
from workflow.command_line import make_parser, whole_number
from workflow.process import undisturbed
from workflow.results_table import FEW, FEW_LAYERED, FIRST, NETWORKS, results_table, write_agreement

# What the closed form has the time for, chosen on held-out training images: docs/closed_form.md.
LONGER = {"binary": ["--presentations", "600000", "--dose", "0.02", "--margin", "2e-6"],
          "grey": ["--presentations", "600000", "--dose", "0.06", "--margin", "1.5e-6", "--start-state", "5.2"]}


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
    for encoding in ENCODINGS:
        yield Step(["-m", "studies.ex_situ", "--encoding", encoding])
    for network in NETWORKS:
        chosen = ["--encoding", network.encoding, "--voltages", f"voltages/{network.voltages}.json"]
        if full and network.engine:
            train = ["--rule", "error-driven", "--seed", str(network.seed)]
            more = ["--engine", "closed-form", *LONGER[network.encoding]] if network.engine == CLOSED_FORM else []
            yield Step(["MNIST_memristive_training.py", *train, *more, *chosen], network.folder)
        test = ["MNIST_memristor_test.py", *chosen, "--samples"]
        yield Step([*test, str(samples), "--engine", "closed-form"], network.folder)
        yield Step([*test, str(samples)], network.folder) if full else Step([*test, str(min(samples, FIRST))], network.first)
    yield from (Step(["-m", "studies.instar"]), Step(["-m", "studies.stdp", "--data", "xpue", "--seeds", "20"]),
                Step(["-m", "studies.stdp", "--data", "012345", "--seeds", "5"]))
    yield Step(["-m", "studies.layers", "--data", "mnist"])
    if full:
        yield Step(["-m", "studies.layers_in_ngspice", "--samples", str(samples), "--whole", str(min(samples, 20))])
    else:
        yield Step(["-m", "studies.layers_in_ngspice", "--samples", str(min(samples, FEW))], FEW_LAYERED)
    yield Step(["-m", "studies.layers", "--data", "xor", "--engine", "ngspice", "--test-engine", "ngspice", "--seeds", "10"])
    yield Step(["-m", "studies.imperfect_chips", *([] if full else ["--short"])])


def main(arguments: list[str] | None = None) -> int:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "each experiment has its own; give the option to its script",
                                   "--voltages": "each experiment has its own; give the option to its script"})
    parser.add_argument("--full", action="store_true", help="train the error-driven networks again, and test all in ngspice")
    parser.add_argument("--samples", type=whole_number(1, 10000), default=10000, metavar="N",
                        help="test images in each test, 1 to 10000 (default: 10000)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    table = options.figures / "results.md"
    with claimed({}, [table]), locked(table):
        if not options.force:  # the tests would refuse, half way
            name, engine = ("mnist_test", NGSPICE) if options.full else ("mnist_test_by_closed_form", CLOSED_FORM)
            refuse_overwriting(results_path(options.figures, name), {"samples": options.samples, "engine": engine})
        for path in schematics.draw_circuits(options.figures, options.show):
            print(f"wrote {path}")
        code = run_steps(options)
        if code:
            return code
        write_agreement(options.figures)
        text = results_table(options.figures)
        atomic_write(table, text)
    print(f"\n{text}\nwrote {table}; all in {(time.perf_counter() - start) / 60:.1f} minutes")
    return 0


def run_steps(options: argparse.Namespace) -> int:
    """Run all steps in order; the exit code of the first that fails, or 0."""
    for step in steps(options.full, options.samples):
        print(f"\n$ python {' '.join(step.command)}", flush=True)
        code = run_script([*step.command, *passed_on(step, options)])
        if code:
            print(f"reproduce.py: {step.command[0]} ended with exit code {code}; what ran before is kept", file=sys.stderr)
            return code
    return 0


def passed_on(step: Step, options: argparse.Namespace) -> list[str]:
    """What a script is given besides its own options: where its figures go, whether to show them and to overwrite."""
    force = options.force and step.command[0] != "memristor_figures.py"  # whose curve has no parameters
    return ["--figures", str(options.figures / step.folder), *["--show"] * options.show, *["--force"] * force]


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


if __name__ == "__main__":
    sys.exit(run(main))
