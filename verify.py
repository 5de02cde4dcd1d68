"""Convergence, checked: each experiment again with every tolerance tightened tenfold and steps a tenth. About 1 minute.

Prints the largest change of any trained voltage and of any spike time, and compares ngspice's command line program on the
same netlists. Bounds: 1 % of the on-cells' voltage, 1 us. Exit code 1 if one is broken. Writes figures/verify_results.json.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from datasets import encode, load_mnist
from learning.hebbian import hebbian_network, infer, train_hebbian
from learning.pulses import READING, TRAINING
from learning.readout import Reader
from records.files import ROOT
from records.results import write_results
from records.voltages import load_voltages
from snn_circuit import state_names
from spice.session import NgspiceMissing, NgspiceSession, netlist_text
from workflow.command_line import make_parser, progress, run, whole_number
from workflow.evaluation import WANTED
from workflow.experiments import digits_experiment, mnist_experiment, xpue_experiment

VOLTAGE_BOUND = 0.01  # of the on-cells' voltage
SPIKE_BOUND = 1e-6  # s
ALL_SPIKES = 1000  # more than there are neurons: read to the end of the pulse


def main(arguments: list[str] | None = None) -> int:
    """Run the script with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "the training and inference scripts write the netlists verified here",
                                   "--voltages": "the committed voltages are verified"})
    parser.add_argument("--images", type=whole_number(1, 10000), default=50, metavar="N",
                        help="MNIST test images read tightly, of each voltages file (default: 50)")
    options = parser.parse_args(arguments)
    session = NgspiceSession()
    rows = [row for experiment in (xpue_experiment(), digits_experiment(), mnist_experiment())
            for row in verify_experiment(session, experiment)]
    for name, encoding in (("mnist", "binary"), ("mnist_error_driven", "binary"), ("mnist_error_driven_grey", "grey")):
        rows.append(verify_reads(session, name, encoding, options.images))
    rows += [against_program(session, experiment()) for experiment in (xpue_experiment, digits_experiment, mnist_experiment)]
    print(f"{'experiment':<48}  {'largest change':>16}  {'bound':>10}")
    for name, value, bound, unit in rows:
        print(f"{name:<48}  {value:>13.5g} {unit:<2}  {bound:>7.4g} {unit:<2} {'' if value <= bound else '  BROKEN'}")
    results = {"rows": [{"experiment": n, "largest_change": v, "bound": b, "unit": u} for n, v, b, u in rows]}
    tight = {"training": TRAINING.tightened().as_dict(), "reading": READING.tightened().as_dict()}
    print(f"wrote {write_results(options.figures, 'verify', session, tight, results)}")
    return 0 if all(value <= bound for _, value, bound, _ in rows) else 1


def verify_experiment(session, experiment):
    """Training and inference as usual and tightened: two rows (name, largest change, bound, unit)."""
    parameters, schedule, patterns = experiment.network, experiment.schedule, experiment.dataset.patterns
    name, count = experiment.name, len(patterns)

    def watch(runs):
        return progress(runs, count, f"{name}, tightened", "class")

    usual = train_hebbian(session, parameters, schedule, patterns).states
    tight = train_hebbian(session, parameters, schedule, patterns, TRAINING.tightened(), watch).states
    bound = VOLTAGE_BOUND * usual[patterns > 0].mean()
    spikes = infer(session, parameters, schedule, usual, patterns).spikes
    exact = infer(session, parameters, schedule, usual, patterns, READING.tightened(), watch).spikes
    return [(f"{name}: trained voltages", float(np.abs(tight - usual).max()), bound, "V"),
            (f"{name}: spike times", largest(spikes, exact) * 1e6, SPIKE_BOUND * 1e6, "us")]


def verify_reads(session, name, encoding, count):
    """Reads of test images as the test script does them, and tightened."""
    experiment = mnist_experiment(encoding=encoding)
    path = ROOT / "voltages" / f"{name}.json"
    states = load_voltages(path, "mnist", 10, 100, (encoding,)).states
    images = encode(load_mnist("x_test", first=count)["x_test"], encoding=encoding)
    usual, tight = (Reader(session, experiment.network, experiment.schedule, 10, solver)
                    for solver in (READING, READING.tightened()))
    spikes = np.array([usual.spikes(states, image, WANTED) for image in images])
    exact = np.array([tight.spikes(states, image, ALL_SPIKES)
                      for image in progress(images, count, f"{name}, tightened", "image")])
    exact[np.isnan(spikes)] = np.nan  # neurons that the usual read did not wait for
    return f"{name}: spikes of {count} test images", largest(spikes, exact) * 1e6, SPIKE_BOUND * 1e6, "us"


def largest(spikes, exact):
    """Largest change of a spike time in s; infinite if a neuron fires in one and not in the other."""
    if not np.array_equal(np.isnan(spikes), np.isnan(exact)):
        return np.inf
    return float(np.nanmax(np.abs(spikes - exact)))


def against_program(session, experiment):
    """Trained voltages from the session against ngspice's own program, on the netlist that --netlist writes."""
    if shutil.which("ngspice") is None:
        raise NgspiceMissing("the program ngspice was not found (Debian, Ubuntu: apt-get install ngspice)")
    parameters, schedule, patterns = experiment.network, experiment.schedule, experiment.dataset.patterns
    classes, inputs = patterns.shape
    cells = state_names(classes, inputs)
    states = train_hebbian(session, parameters, schedule, patterns).states
    text = netlist_text(hebbian_network(parameters, schedule, patterns), TRAINING, schedule.stop(classes), cells, cells)
    program = run_program(text, cells).reshape(classes, inputs)
    return f"{experiment.name}: against the ngspice program", float(np.abs(states - program).max()), 1e-3, "V"


def run_program(text, nodes):
    """The last value of `nodes` when ngspice's command line program runs a netlist unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        netlist = Path(folder) / "circuit.cir"
        netlist.write_text(text)
        printed = subprocess.run(["ngspice", "-b", str(netlist)], capture_output=True, text=True, check=True).stdout
    columns, last = [], {}
    for line in printed.splitlines():
        words = line.split()
        if words[:1] == ["Index"]:
            columns = words[1:]
        elif columns and len(words) == len(columns) + 1 and words[0].isdigit():
            last.update(zip(columns, map(float, words[1:]), strict=True))
    return np.array([last[node] for node in nodes])


if __name__ == "__main__":
    sys.exit(run(main))
