"""Do ngspice and the closed form agree in reads and writes? Measured on three committed networks for MNIST.

Run MNIST_memristor_test.py for them first: its results/mnist_test*_decisions.csv.gz are compared. So are a few images, read
with tightened tolerances and with ever shorter steps, and random writes. Writes results/engines.json and figures/engines.png.
About 5 minutes. For trainings see studies.training_agreement.
"""

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

import plotting
from datasets import Dataset, mnist
from memristive.cli.main import run
from memristive.cli.options import make_parser
from memristive.cli.parallel_reads import NEURONS
from memristive.cli.progress import progress
from memristive.io.files import FileProblem, check_overwriting
from memristive.io.predictions import load_decisions
from memristive.io.results import write_results
from memristive.io.voltages import load_voltages
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.setup import Setup
from memristive.single_layer.solvers import READING
from memristive.single_layer.spike_decoding import lead, resolution_of, strict_decision
from memristive.spice.session import Solver
from memristor import state_rate

NETWORKS = {"mnist": "Hebbian", "mnist_error_driven": "error-driven, binary", "mnist_error_driven_grey": "error-driven, grey"}
LEAD_BOUND, LEAD_SHARE = 5e-9, 2e-3  # s, and of the lead: bound of the difference from the leads of tightened reads
WRITE_BOUND, WRITE_SHARE = 0.15e-3, 2e-3  # V, and of the dose: bound of the difference from ngspice's usual writes
STEPS = (40e-6, 20e-6, 10e-6, 5e-6, 2e-6, 1e-6)  # s, longest steps of ngspice
LATEST = 300e-6  # s: later spikes need many steps and decide nothing
WRITES = 1000
QUANTILES = {"lowest": 0, "1_percent": 0.01, "median": 0.5, "99_percent": 0.99, "highest": 1}


@dataclass(frozen=True)
class Network:
    """A committed network."""

    name: str
    states: np.ndarray
    setup: Setup
    dataset: Dataset
    rule: str

    @property
    def resolution(self) -> float:
        """Lead in s below which two spikes tie."""
        return resolution_of(self.rule, self.setup.neuron)

    @cached_property
    def crossbar(self) -> Crossbar:
        """The network in closed form."""
        return Crossbar.of(self.setup)

    def images(self, count: int) -> np.ndarray:
        """Return the first test images, count x inputs."""
        return self.dataset.test.levels[:count]

    def decisions(self, spikes: np.ndarray) -> np.ndarray:
        """Return the strict decisions for first spike times (images x classes, s)."""
        return np.array([strict_decision(times, self.resolution) for times in spikes])


def networks() -> list[Network]:
    """Return the committed networks."""
    voltages = {name: load_voltages(f"voltages/{name}.json", "mnist", 10, 100) for name in NETWORKS}
    return [Network(name, found.states, found.setup(), mnist(encoding=found.encoding), found.rule)
            for name, found in voltages.items()]


def ngspice_spikes(network: Network, folder: Path) -> np.ndarray:
    """Return ngspice's spike times in s of the test images (images x classes). Raises FileProblem."""
    path = folder / f"{network.name.replace('mnist', 'mnist_test')}_decisions.csv.gz"
    if not path.exists():
        raise FileProblem(f"{path} does not exist: run MNIST_memristor_test.py --voltages voltages/{network.name}.json first")
    return load_decisions(path).filter(like="spike_").to_numpy() * 1e-6


def compare_decisions(network: Network, spikes: np.ndarray) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Compare ngspice's `spikes` of the first test images (images x classes, s) with the closed form's.

    Returns a row of the record, and a row for each image that the engines decide differently.
    """
    race = network.crossbar.race(network.states, network.images(len(spikes)))
    both = np.isfinite(spikes) & np.isfinite(race.spikes)
    late = np.quantile((spikes - race.spikes)[both] * 1e9, list(QUANTILES.values()))
    leads = np.array([[lead(times) for times in engine] for engine in (spikes, race.spikes)])
    decided = np.isfinite(leads).all(axis=0)
    decisions = network.decisions(spikes), network.decisions(race.spikes)
    different = [{"network": network.name, "image": k, "ngspice": decisions[0][k], "closed_form": decisions[1][k],
                  "lead_ngspice_ns": leads[0, k] * 1e9, "lead_closed_form_ns": leads[1, k] * 1e9}
                 for k in np.flatnonzero(decisions[0] != decisions[1])]
    return {"network": network.name, "images": len(spikes), "spikes": int(both.sum()),
            **{f"ngspice_later_ns_{name}": value for name, value in zip(QUANTILES, late, strict=True)},
            "leads_differ_max_ns": np.ptp(leads[:, decided], axis=0).max() * 1e9,
            "leads_in_one_engine": int((np.isfinite(leads[0]) != np.isfinite(leads[1])).sum()),
            "decisions_that_differ": len(different), "doubtful_spikes": int(race.doubtful[both].sum())}, different


def compare_leads(network: Network, tight: np.ndarray) -> tuple[float, float]:
    """Compare the leads of tightened reads of the first test images (images x classes, s) with the closed form's.

    Returns the largest difference in s, and the largest as a share of its bound (`LEAD_BOUND`, `LEAD_SHARE`). Both are nan if
    no image has a lead, infinite if an image has one in one engine only.
    """
    exact = network.crossbar.first_spikes(network.states, network.images(len(tight)))
    leads = np.array([[lead(times) for times in engine] for engine in (tight, exact)])
    kinds = np.where(np.isfinite(leads), 0.0, leads)  # infinite: a single neuron fires; nan: none
    if not np.array_equal(kinds[0], kinds[1], equal_nan=True):
        return np.inf, np.inf
    leads = leads[:, np.isfinite(leads[0])]
    if not leads.size:
        return np.nan, np.nan
    differences = np.ptp(leads, axis=0)
    return float(differences.max()), float((differences / (LEAD_BOUND + LEAD_SHARE * leads[1])).max())


def compare_steps(network: Network, count: int) -> list[float]:
    """Return the root mean square difference in s of spike times, for each of ngspice's longest steps `STEPS`."""
    exact = network.crossbar.first_spikes(network.states, network.images(count))
    found = []
    for step in STEPS:
        spikes = read(network, count, Solver(max_step=step, reltol=1e-6, chgtol=1e-16), f"steps of {step:g} s")
        used = np.isfinite(spikes) & (exact < LATEST)
        found.append(float(np.sqrt(np.mean((spikes - exact)[used]**2))))
    return found


def read(network: Network, count: int, solver: Solver, description: str, wanted: int = NEURONS) -> np.ndarray:
    """Return the spike times in s of the first test images in ngspice, count x classes; reads end after `wanted` spikes."""
    reader = Reader(network.setup, 10, solver)
    return np.array([reader.spikes(network.states, image, wanted)
                     for image in progress(network.images(count), count, description, "image")])


def compare_writes(count: int) -> tuple[float, float]:
    """Compare random writes: states of 2 to 5 V, doses of 0.2 to 200 mV up and down, grey images.

    Returns the largest difference of a cell in V, and the largest as a share of its bound (`WRITE_BOUND`, `WRITE_SHARE`).
    """
    setup, generator = mnist().setup, np.random.default_rng(1)
    crossbar, writer = Crossbar.of(setup), Writer(setup, 100)
    rate = float(state_rate(setup.memristor, setup.schedule.input_voltage))
    largest = largest_share = 0.0
    for _ in progress(range(count), count, "random writes", "write"):
        column = generator.uniform(2.0, 5.0, 100)
        image = np.where(generator.random(100) < 0.5, generator.random(100), 0.0)
        dose, sign = float(np.exp(generator.uniform(np.log(0.2e-3), np.log(0.2)))), int(generator.choice([1, -1]))
        written = writer.write(column, image, sign, dose / rate)
        difference = float(np.abs(written - crossbar.write(column, image, sign, dose / rate)).max())
        largest, largest_share = max(largest, difference), max(largest_share, difference / (WRITE_BOUND + WRITE_SHARE * dose))
    return largest, largest_share


def main(arguments: list[str] | None = None) -> None:
    """Compare reads and writes, save, plot."""
    parser = make_parser(__doc__, parameters=False)
    parser.add_number("--images", 1, 10_000, 200, "test images of each network that are read with tightened tolerances")
    options = parser.parse_args(arguments)
    record = options.results / "engines.json"
    parameters = {"tight": READING.tightened().as_dict(), "images": options.images, "steps_us": [step * 1e6 for step in STEPS]}
    check_overwriting(record, parameters, options.force)
    compared = [(network, ngspice_spikes(network, options.results)) for network in networks()]

    # 1. Reads: usual ones, tightened ones, and ever shorter steps.
    rows, different, steps, drawn = [], [], [], []
    for network, spikes in compared:
        row, others = compare_decisions(network, spikes)
        tight = read(network, options.images, READING.tightened(), f"{network.name}, tightened")
        difference, share = compare_leads(network, tight)
        rows.append(row | {"tight_images": options.images, "tight_leads_differ_max_ns": difference * 1e9,
                           "tight_leads_share_of_bound": share})
        different += others
        errors = [error * 1e9 for error in compare_steps(network, min(20, options.images))]
        steps += [{"network": network.name, "step_us": step * 1e6, "rms_difference_ns": error}
                  for step, error in zip(STEPS, errors, strict=True)]
        drawn.append((network.crossbar.first_spikes(network.states, network.images(len(tight))), tight, errors))

    # 2. Writes.
    largest, largest_share = compare_writes(WRITES)
    writes = {"count": WRITES, "cells_differ_max_V": largest, "share_of_bound": largest_share}

    # 3. Save, print, plot.
    write_results(record, parameters, {"rows": rows, "different": different, "steps": steps, "writes": writes})
    print(pd.DataFrame(rows).set_index("network").T.to_string(float_format="{:.4g}".format))
    print(f"{WRITES} writes: cells differ by up to {largest * 1e3:.3f} mV, {largest_share:.2f} of the bound")
    plotting.save(engines_figure(drawn), options.figures / "engines.png")


def engines_figure(networks: list[tuple[np.ndarray, np.ndarray, list[float]]]) -> Figure:
    """Draw spike times of both engines, their difference, and how it falls with ngspice's step.

    `networks`: spikes (images x classes, s) of the closed form and of tight reads, and the differences in ns for `STEPS`.
    """
    figure = plt.figure(figsize=(plotting.WIDTH, 5.2))
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2), height_ratios=(3, 2))
    both = figure.add_subplot(grid[0, 0])
    difference = figure.add_subplot(grid[1, 0], sharex=both)
    falling = figure.add_subplot(grid[:, 1])
    for (exact, tight, errors), label, colour, marker in zip(networks, NETWORKS.values(), plotting.COLOURS, "osv", strict=False):
        used = np.isfinite(exact) & np.isfinite(tight) & (exact < LATEST)
        x, y = exact[used] * 1e6, tight[used] * 1e6
        both.plot(x, y, marker, color=colour, markersize=3, label=label)
        difference.plot(x, (y - x) * 1e3, marker, color=colour, markersize=2)
        falling.loglog(np.array(STEPS) * 1e6, errors, marker + "-", color=colour)
    both.set(ylabel="spike in ngspice (µs)", title="Two engines, one circuit")
    both.legend()
    difference.set(xlabel="spike in the closed form (µs)", ylabel="difference (ns)")
    falling.set(xlabel="ngspice's largest step (µs)", ylabel="difference, root mean square (ns)", title="Smaller steps")
    falling.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
    falling.yaxis.set_major_formatter("{x:g}")
    for axis in (difference, falling):
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
