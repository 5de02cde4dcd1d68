"""How well do the two engines agree, ngspice and the closed form? Asked of reads, writes and a training.

Reads: all 10,000 test images of three committed networks (ngspice's spike times as the test script wrote them into figures/), 200
images each against tightened reads, reads with ever smaller steps; 1,000 random writes. Training: 2,000 presentations on both
engines from one seed, in step and free, from several starts. Prints what it finds, draws figures/engines.png and writes
figures/engines_results.json and figures/engines_training_results.json. About 20 minutes; one half of it by --part.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets import encode, load_mnist
from memristive.cli.command_line import make_parser, progress, whole_number
from memristive.cli.evaluation import WANTED
from memristive.cli.experiments import Experiment, mnist_experiment
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.files import ROOT, FileProblem
from memristive.io.results import results_path, write_results
from memristive.io.voltages import Voltages, load_voltages, states_of
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.pulses import READING
from memristive.single_layer.spike_decoding import SILENT, TIED, lead, resolution_of, strict_decision
from memristive.spice.session import NgspiceSession, Solver
from memristor import state_rate
from plotting import save
from studies.engine_agreement_figure import engines_figure
from studies.training_agreement import APART, COURSES, TIGHT_WRITING, compare_training, print_training

LEAD_BOUND, LEAD_SHARE = 5e-9, 2e-3  # s, and of the lead: how far leads may differ from those of tightened reads
WRITE_BOUND, WRITE_SHARE = 0.15e-3, 2e-3  # V, and of the dose: how far ngspice's usual writes may differ
STEPS = (40e-6, 20e-6, 10e-6, 5e-6, 2e-6, 1e-6)  # s, largest steps of ngspice


@dataclass(frozen=True)
class Network:
    """A committed network and the experiment it belongs to."""

    name: str
    experiment: Experiment
    states: np.ndarray
    rule: str

    @property
    def resolution(self) -> float:
        """The lead in s below which two spikes tie."""
        return resolution_of(self.rule, self.experiment.network.neuron)

    def images(self, count: int) -> np.ndarray:
        """The first test images, count x inputs."""
        return encode(load_mnist("x_test", first=count)["x_test"], encoding=self.experiment.encoding)

    @property
    def crossbar(self) -> Crossbar:
        """The network as the closed form sees it."""
        return Crossbar.of(self.experiment.network, self.experiment.schedule)


def committed() -> Iterator[tuple[Experiment, str, Voltages]]:
    """The Hebbian network and the two that learned from errors: experiment, rule, voltages."""
    for rule, encoding in (("hebbian", "binary"), ("error-driven", "binary"), ("error-driven", "grey")):
        experiment = mnist_experiment(encoding=encoding)
        yield experiment, rule, load_voltages(experiment.voltages_path(rule), "mnist", 10, 100, (encoding,))


def networks() -> list[Network]:
    """The committed networks."""
    return [Network(experiment.stem(rule), experiment, voltages.states, rule) for experiment, rule, voltages in committed()]


def ngspice_spikes(folder: Path, network: str) -> np.ndarray:
    """Spike times in s of all test images (images x classes) from the table the test script wrote. Raises FileProblem."""
    path = folder / f"{tested(network)}_decisions.csv.gz"
    if not path.exists():
        raise FileProblem(f"{path} is not there; MNIST_memristor_test.py writes it (for all networks: make reproduce-full)")
    return np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(5, 15)) * 1e-6


def tested(network: str) -> str:
    """Stem of the files that the test script writes for a network."""
    return network.replace("mnist", "mnist_test", 1)


def compare_scores(network: Network, scores: dict[str, Any]) -> int:
    """`scores` of ngspice's test against the closed form's: the largest difference of images right, silent or tied."""
    count = scores["samples"]
    spikes = network.crossbar.first_spikes(network.states, network.images(count))
    decisions = np.array([strict_decision(times, network.resolution) for times in spikes])
    labels = load_mnist("y_test", first=count)["y_test"]
    found = {"right": (decisions == labels).sum(), "silent": (decisions == SILENT).sum(), "tied": (decisions == TIED).sum()}
    committed = {"right": round(scores["strict_accuracy"] * count), "silent": scores["silent"], "tied": scores["tied"]}
    return max(abs(int(found[key]) - committed[key]) for key in found)


def compare_decisions(network: Network, spikes: np.ndarray) -> dict[str, Any]:
    """ngspice's `spikes` of the first test images (images x classes, s), read as usual, against the closed form."""
    race = network.crossbar.race(network.states, network.images(len(spikes)))
    both = np.isfinite(spikes) & np.isfinite(race.spikes)
    late = (spikes - race.spikes)[both] * 1e9
    leads = np.array([[lead(times) for times in engine] for engine in (spikes, race.spikes)])
    decided = np.isfinite(leads).all(axis=0)
    decisions = np.array([[strict_decision(times, network.resolution) for times in engine] for engine in (spikes, race.spikes)])
    different = [{"image": int(k), "ngspice": int(decisions[0, k]), "closed_form": int(decisions[1, k]),
                  "lead_ngspice_ns": leads[0, k] * 1e9, "lead_closed_form_ns": leads[1, k] * 1e9}
                 for k in np.flatnonzero(decisions[0] != decisions[1])]
    shares = (0, 0.01, 0.5, 0.99, 1)
    return {"network": network.name, "images": len(spikes), "spikes": int(both.sum()),
            "ngspice_later_by_ns": dict(zip(map(str, shares), np.quantile(late, shares).tolist(), strict=True)),
            "largest_difference_of_leads_ns": float(np.ptp(leads[:, decided], axis=0).max() * 1e9),
            "leads_in_one_engine_alone": int((np.isfinite(leads[0]) != np.isfinite(leads[1])).sum()),
            "strict_decisions_that_differ": different, "doubtful_by_its_own_account": int(race.doubtful[both].sum())}


def compare_leads(network: Network, tight: np.ndarray) -> tuple[float, float]:
    """Leads of tightened reads of the first test images (`tight`: images x classes, s) against the closed form's.

    Returns the largest difference in s, and the largest as a multiple of what is allowed (`LEAD_BOUND` and `LEAD_SHARE`); nan
    if none of the images has a lead, infinite if one has it in one engine and not in the other.
    """
    exact = network.crossbar.first_spikes(network.states, network.images(len(tight)))
    leads = np.array([[lead(times) for times in engine] for engine in (tight, exact)])
    kinds = np.where(np.isfinite(leads), 0.0, leads)  # infinite: a neuron fires alone; nan: none does
    if not np.array_equal(kinds[0], kinds[1], equal_nan=True):
        return np.inf, np.inf
    leads = leads[:, np.isfinite(leads[0])]
    if not leads.size:
        return np.nan, np.nan
    differences = np.ptp(leads, axis=0)
    return float(differences.max()), float((differences / (LEAD_BOUND + LEAD_SHARE * leads[1])).max())


def read_images(session: NgspiceSession, network: Network, count: int, solver: Solver, what: str) -> np.ndarray:
    """Spike times in s of the first test images, count x classes, of the first neurons to fire."""
    reader = Reader(session, network.experiment.network, network.experiment.schedule, 10, solver)
    images = network.images(count)
    return np.array([reader.spikes(network.states, image, WANTED) for image in progress(images, count, what, "image")])


def compare_steps(session: NgspiceSession, network: Network, count: int) -> list[float]:
    """Root mean square difference in s of spike times, for each of ngspice's largest steps `STEPS`."""
    race = network.crossbar.race(network.states, network.images(count))
    found = []
    for step in STEPS:
        spikes = read_images(session, network, count, Solver(max_step=step, reltol=1e-6, chgtol=1e-16), f"steps of {step:g} s")
        # Late spikes need many steps and decide nothing.
        used = np.isfinite(spikes) & (race.spikes < 300e-6)
        found.append(float(np.sqrt(np.mean((spikes - race.spikes)[used]**2))))
    return found


def compare_writes(session: NgspiceSession, count: int) -> tuple[float, float]:
    """`count` random writes: states of 2 to 5 V, doses of 0.2 to 200 mV up and down, grey images.

    Returns the largest difference of any cell in V, and the largest as a multiple of `WRITE_BOUND` and `WRITE_SHARE`.
    """
    experiment, generator = mnist_experiment(), np.random.default_rng(1)
    crossbar = Crossbar.of(experiment.network, experiment.schedule)
    writer = Writer(session, experiment.network, experiment.schedule, 100)
    rate = float(state_rate(experiment.network.memristor, experiment.schedule.input_voltage))
    worst = worst_share = 0.0
    for _ in progress(range(count), count, "random writes", "write"):
        column = generator.uniform(2.0, 5.0, 100)
        image = np.where(generator.random(100) < 0.5, generator.random(100), 0.0)
        dose, sign = float(np.exp(generator.uniform(np.log(0.2e-3), np.log(0.2)))), int(generator.choice([1, -1]))
        written = writer.write(column, image, sign, dose / rate)
        difference = float(np.abs(written - crossbar.write(column, image, sign, dose / rate)).max())
        worst, worst_share = max(worst, difference), max(worst_share, difference / (WRITE_BOUND + WRITE_SHARE * dose))
    return worst, worst_share


def main(arguments: list[str] | None = None) -> int:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__, {"--netlist": "the test script writes the netlists read here",
                                   "--voltages": "the committed voltages are compared"})
    parser.add_argument("--images", type=whole_number(1, 10000), default=200, metavar="N",
                        help="test images read tightly, of each network (default: 200)")
    parser.add_argument("--presentations", type=whole_number(1, 60000), default=2000, metavar="N",
                        help="length of the trainings on both engines (default: 2000)")
    parser.add_argument("--part", choices=PARTS, help="only this part (default: both)")
    options = parser.parse_args(arguments)
    tight = READING.tightened().as_dict()
    parts: dict[str, tuple[str, dict[str, Any]]] = {
        "reads": ("engines", {"tight": tight, "images": options.images, "voltages": {
            experiment.stem(rule): states_of(voltages) for experiment, rule, voltages in committed()}}),
        "training": ("engines_training", {"tight": [tight, TIGHT_WRITING.as_dict()], "presentations": options.presentations,
                                          "apart": APART})}
    chosen = {part: parts[part] for part in parts if options.part in (None, part)}
    with claimed([(results_path(options.figures, name), made_with) for name, made_with in chosen.values()], (), options.force):
        session = NgspiceSession()
        for part, (name, made_with) in chosen.items():
            with earlier_kept(options.figures, name, compared):
                PARTS[part](session, options, made_with)
    return 0


def compared(results: dict[str, Any]) -> float:
    """How many comparisons there are: networks and writes, or courses of training."""
    return len(results.get("networks", ())) + len(results.get("courses", ())) + ("writes" in results)


def _compare_reads(session: NgspiceSession, options: argparse.Namespace, made_with: dict[str, Any]) -> None:
    """Compare all networks and writes; print, keep and draw what is found."""
    found, drawn = [], []
    tables = {network.name: ngspice_spikes(ROOT / "figures", network.name) for network in networks()}
    for network in networks():
        result = compare_decisions(network, tables[network.name])
        tight = read_images(session, network, options.images, READING.tightened(), f"{network.name}, tightened")
        worst, share = compare_leads(network, tight)
        result |= {"tight_images": options.images, "largest_difference_of_tight_leads_ns": worst * 1e9,
                   "of_what_is_allowed": share, "steps_us": [step * 1e6 for step in STEPS],
                   "rms_difference_ns": [value * 1e9 for value in compare_steps(session, network, min(20, options.images))]}
        found.append(result)
        write_results(options.figures, "engines", session, made_with, {"networks": found})
        print_network(result)
        drawn.append((network.name, network.crossbar.first_spikes(network.states, network.images(len(tight))), tight))
    worst, share = compare_writes(session, 1000)
    print(f"1000 writes: cells differ by up to {worst * 1e3:.3f} mV, {share:.2f} of what is allowed")
    results = {"networks": found, "writes": {"count": 1000, "largest_difference": worst, "of_what_is_allowed": share}}
    print(f"wrote {write_results(options.figures, 'engines', session, made_with, results)}")
    print(f"wrote {save(engines_figure(drawn, STEPS, [r['rms_difference_ns'] for r in found]), options.figures, 'engines')}")


def _compare_trainings(session: NgspiceSession, options: argparse.Namespace, made_with: dict[str, Any]) -> None:
    """Train on both engines, in step and free; print and keep what is found."""
    found = []
    for course in COURSES:
        found.append(compare_training(session, options.presentations, course))
        wrote = write_results(options.figures, "engines_training", session, made_with, {"courses": found})
        print_training(found[-1])
    print(f"wrote {wrote}")


PARTS = {"reads": _compare_reads, "training": _compare_trainings}


def print_network(result: dict[str, Any]) -> None:
    """Print what was found for one network."""
    late = result["ngspice_later_by_ns"]
    print(f"{result['network']}: {result['spikes']} spikes of {result['images']} images: ngspice later by "
          f"{late['0.01']:.0f} to {late['0.99']:.0f} ns (98 % of them), {late['0']:.0f} to {late['1']:.0f} ns (all); leads "
          f"differ by up to {result['largest_difference_of_leads_ns']:.1f} ns; {result['leads_in_one_engine_alone']} leads in "
          "one engine alone")
    print(f"  {len(result['strict_decisions_that_differ'])} strict decisions differ")
    for row in result["strict_decisions_that_differ"]:
        print(f"    image {row['image']}: leads {row['lead_ngspice_ns']:.2f} ns in ngspice, {row['lead_closed_form_ns']:.2f} ns "
              f"in the closed form")
    print(f"  tightened, {result['tight_images']} images: leads differ by up to "
          f"{result['largest_difference_of_tight_leads_ns']:.2f} ns, {result['of_what_is_allowed']:.2f} of what is allowed")
    steps = ", ".join(f"{rms:.1f} ns at {step:g} us" for step, rms in zip(result["steps_us"], result["rms_difference_ns"],
                                                                      strict=True))
    print(f"  spikes differ by (rms) {steps}")


if __name__ == "__main__":
    sys.exit(run(main))
