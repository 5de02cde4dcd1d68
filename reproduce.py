"""Run every experiment and draw every figure, then print the table "paper / this run". 6 minutes on two idle cores.

Every step is one of the scripts, run as its own process as a user would; as many run side by side as there are cores. All
10,000 test images go through the closed form, the first 2,000 of each network through ngspice, whose decisions must be the same.
--full puts all 10,000 through ngspice, and trains the error-driven networks again first (three seeds of each encoding and
engine: two hours in all). Writes figures/results.md.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from memristive.cli.command_line import make_parser, whole_number
from memristive.cli.evaluation import worker_count
from memristive.cli.side_by_side import run_alone, run_side_by_side
from memristive.io.claims import NotOverwritten, claimed, refuse_overwriting
from memristive.io.files import ROOT, atomic_write
from memristive.io.results import results_path
from memristive.single_layer.engines import CLOSED_FORM, NGSPICE
from tools import schematics
from tools.results_table import FEW, FEW_LAYERED, FIRST, NETWORKS, Tested, results_table, write_agreement

# What the closed form has the time for, chosen on held-out training images: docs/closed_form.md.
LONGER = {"binary": ["--presentations", "600000", "--dose", "0.02", "--margin", "2e-6"],
          "grey": ["--presentations", "600000", "--dose", "0.06", "--margin", "1.5e-6", "--start-state", "5.2"]}

TABLE = b"| experiment "  # how the table begins


@dataclass(frozen=True)
class Step:
    """A script or module with its options, the folder within --figures that its figures go to, and the files (a pattern, in the
    project or in that folder) that it leaves where it was stopped and goes on from.
    """

    command: list[str]
    folder: str = ""
    checkpoints: str = ""


def chains(full: bool, samples: int) -> Iterator[list[Step]]:
    """What is run: within a chain one step needs what the one before it made, the chains need nothing of each other."""
    yield [Step(["memristor_figures.py"]), Step(["memristor.py"]), Step(["memristor.py", "--stdp"])]
    for dataset in ("XPUE", "012345"):
        yield trained_and_read(dataset)
    yield [Step(["-m", "studies.synapse_rule"]), Step(["-m", "studies.unsupervised", "--data", "012345", "--seeds", "5"])]
    judge = ["-m", "studies.ngspice_layers", "--jobs", "1", "--samples"]
    read = "layers_in_ngspice_mnist_results.json.checkpoint"
    layered = Step([*judge, str(min(samples, FEW))], FEW_LAYERED, read)
    if full:
        layered = Step([*judge, str(samples), "--whole", str(min(samples, 20))], "", read)
    yield [Step(["-m", "studies.layers", "--data", "mnist"], "", "voltages/layers_mnist.json.checkpoint"), layered]
    yield [Step(["-m", "studies.unsupervised", "--data", "xpue", "--seeds", "20"])]
    yield [Step(["-m", "studies.layers", "--data", "xor", "--engine", "ngspice", "--test-engine", "ngspice", "--seeds", "10"], "",
                "voltages/layers_xor*.json.checkpoint")]
    for network in NETWORKS:
        made_by = []
        if network.voltages == "mnist":
            made_by = trained_and_read("MNIST")
        elif not network.engine:
            made_by = [Step(["-m", "studies.ex_situ", "--encoding", network.encoding])]
        elif full:
            more = ["--engine", "closed-form", *LONGER[network.encoding]] if network.engine == CLOSED_FORM else []
            made_by = [Step(["MNIST_memristive_training.py", "--rule", "error-driven", "--seed", str(network.seed), *more,
                             *voltages(network)], network.folder, f"voltages/{network.voltages}.json.checkpoint")]
        yield made_by + tests(network, full, samples)


def trained_and_read(dataset: str) -> list[Step]:
    """The paper's two scripts of a data set."""
    return [Step([f"{dataset}_memristive_training.py"]), Step([f"{dataset}_memristive_inference.py"])]


def voltages(network: Tested) -> list[str]:
    """The options that choose a network's encoding and voltages file."""
    return ["--encoding", network.encoding, "--voltages", f"voltages/{network.voltages}.json"]


def tests(network: Tested, full: bool, samples: int) -> list[Step]:
    """All `samples` in the closed form, and the first of them, or all, in ngspice; on one core: others have the rest."""
    test = ["MNIST_memristor_test.py", *voltages(network), "--samples"]
    by_closed_form = Step([*test, str(samples), "--engine", "closed-form"], network.folder)
    if full:
        return [by_closed_form, Step([*test, str(samples), "--jobs", "1"], network.folder)]
    return [by_closed_form, Step([*test, str(min(samples, FIRST)), "--jobs", "1"], network.first)]


def last(full: bool) -> Step:
    """What takes all cores for itself."""
    return Step(["-m", "studies.device_variability", *([] if full else ["--short"])])


def main(arguments: list[str] | None = None) -> int:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "each experiment has its own; give the option to its script",
                                   "--voltages": "each experiment has its own; give the option to its script"})
    parser.add_argument("--full", action="store_true", help="train the error-driven networks again, and test all in ngspice")
    parser.add_argument("--samples", type=whole_number(1, 10000), default=10000, metavar="N",
                        help="test images in each test, 1 to 10000 (default: 10000)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    options.figures = options.figures.resolve()  # scripts run in the project's folder
    table = options.figures / "results.md"
    with claimed([], [table]):
        if not options.force:
            if table.is_file() and not table.read_bytes().startswith(TABLE):
                raise NotOverwritten(f"{table} is there, and not of this script; --force overwrites it, or write elsewhere")
            # The tests would refuse, half way.
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
    """Run all chains, as many at a time as there are cores, then the last step; the exit code of the first that fails, or 0."""
    commands = [[[*step.command, *passed_on(step, options)] for step in chain] for chain in chains(options.full, options.samples)]
    end = last(options.full)
    return run_side_by_side(commands, worker_count()) or run_alone([*end.command, *passed_on(end, options)])


def passed_on(step: Step, options: argparse.Namespace) -> list[str]:
    """What a script is given besides its own options: where its figures go, whether to show them and to overwrite, and to go on
    where an earlier run was stopped.
    """
    force = options.force and step.command[0] != "memristor_figures.py"  # whose curve has no parameters
    figures = options.figures / step.folder
    begun = step.checkpoints and any([*ROOT.glob(step.checkpoints), *figures.glob(step.checkpoints)])
    return ["--figures", str(figures), *["--show"] * options.show,
            *(["--force"] if force else ["--resume"] if begun else [])]


if __name__ == "__main__":
    sys.exit(run(main))
