"""Costs of a network over images of one's own: what the verb `memristive.costs` returns."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from memristive.accounting import costs as accounting
from memristive.accounting import dissipation
from memristive.accounting.costs import Accounts, TrainingCosts
from memristive.devices.measured_device import MeasuredDevice, load_device
from memristive.learning.build import initial_network, paper_network
from memristive.learning.rule import ErrorDrivenRule, LayeredRule, Rule
from memristive.ledger import ASSUMED, Ledger, Technology, mean
from memristive.network.inputs import as_images, as_labels
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import ParameterError, as_whole, check_kind
from memristive.progress import progress

IMAGES, ERRORS, SEARCHED = 100, 20, 2000  # read, of errors, among which errors are looked for
SHOWN = 1e-3  # share of a ledger, from which a part has a line of its own


@dataclass(frozen=True)
class Costs:
    """Energy, time, area and wear of a network.

    Attributes
    ----------
    ledgers : dict of str to Ledger
        Energies by part, and duration in s of each phase (`times`), of an "inference" (mean of
        `images` reads), of an "error" (its read, the back-reads and writes; mean of the first
        errors) and of a "training" (all of it).
    images : int
        Images that were read.
    standard_error : float
        Of the mean energy of an inference, in J.
    area : dict of str to float
        Area of each part in m^2.
    errors : int or None
        Errors during the training.
    wear : dict of str to float
        Pulses of a cell in the training: mean, quantiles, most, and the share of cells beyond the
        endurance; empty without pulses or without a training.
    """

    ledgers: Mapping[str, Ledger]
    images: int
    standard_error: float
    area: Mapping[str, float]
    errors: int | None = None
    wear: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        texts = [described(name, ledger) for name, ledger in self.ledgers.items()]
        texts[0] += (
            f"\nmean of {self.images} images, standard error {with_unit(self.standard_error, 'J')}"
        )
        if self.errors is not None and "error" not in self.ledgers:
            texts.append(f"no error among the first {SEARCHED:,} images, so no ledger of one")
        if self.errors is not None:
            texts.append(f"{self.errors:,} errors in the training")
        texts.append(areas(self.area))
        if self.wear:
            texts.append(
                "pulses a cell: mean {mean:,.0f}, most {most:,.0f}; beyond the endurance "
                "{share_beyond_endurance:.1%} of the cells".format(**self.wear)
            )
        return "\n\n".join(texts)


def costs(
    network: Network,
    images: ArrayLike,
    labels: ArrayLike | None = None,
    rule: Rule | None = None,
    sample: int = IMAGES,
    technology: Technology | None = None,
    device: str | Path | MeasuredDevice | None = None,
    start: Network | None = None,
) -> Costs:
    """Return the costs of an inference over images. With labels and the rule, add an error and the
    whole training, which is made again in closed form.

    Parameters
    ----------
    network : Network
        Trained, of `learn` or `load`.
    images : array_like, n x inputs or n x height x width, levels 0 to 1
        With `labels`, the training images: the training is made again with them.
    labels : array_like, n, optional
        Numbers of the classes.
    rule : LayeredRule or ErrorDrivenRule, optional
        Rule that trained the network, as `build` returns it.
    sample : int
        Largest number of images whose inferences are computed; of more images as many are drawn at
        random.
    technology : Technology, optional
        Values that the circuit does not fix, such as the supply; None: the defaults.
    device : str, path or MeasuredDevice, optional
        Measured device in the cells, whose pulses count; None: the preset that is in the cells, or
        else pulses of 1 V.
    start : Network, optional
        Network before the training; None: a random start, as `build` makes it.

    Raises
    ------
    ParameterError
        An argument is wrong, or the chip's wires have resistance, which costs leave out.
    """
    check_kind("network", network, Network)
    if network.wired:
        raise ParameterError("costs leave out the resistance of wires, and this chip has it")
    images = as_images(images, network.sizes[0], empty=False, shape=network.image_shape)
    sample = as_whole("sample", sample, 1, 10**9)
    measured = load_device(str(device)) if isinstance(device, str | Path) else device
    measured = measured or dissipation.device_of(network)
    technology = technology or Technology()
    accounts = Accounts(technology, measured)
    chosen = images
    if len(images) > sample:
        chosen = np.random.default_rng(1).choice(images, sample, replace=False)
    reads = inferences(network, chosen, accounts)
    energies = [ledger.sum() for ledger in reads]
    ledgers = {"inference": mean(reads)}
    training, wear = None, {}
    if rule is not None and labels is not None:
        targets = as_labels(labels, len(images), network.sizes[-1])
        error = first_errors(network, rule, images, targets, accounts)
        ledgers |= {"error": error} if error else {}
        training = training_costs(network, rule, images, targets, accounts, start)
        ledgers["training"] = training.ledger
        if network.pulses and training.counts:
            wear = accounting.wear(training.counts, technology.endurance)
    return Costs(
        ledgers,
        len(chosen),
        float(np.std(energies, ddof=1) / math.sqrt(len(energies))) if len(energies) > 1 else 0.0,
        accounting.area(network, technology),
        training.errors if training else None,
        wear,
    )


def inferences(
    network: Network, images: np.ndarray, accounts: Accounts, *wait: float | None
) -> list[Ledger]:
    """Return the ledger of a read of each of the `images` (n x inputs). `wait`: as in
    `costs.inference`.
    """
    return [
        accounting.inference(network, image, accounts, *wait)
        for image in progress(images, len(images), "reading", "image")
    ]


def first_errors(
    network: Network,
    rule: Rule,
    images: np.ndarray,
    labels: np.ndarray,
    accounts: Accounts,
    count: int = ERRORS,
) -> Ledger | None:
    """Return the mean ledger of the first `count` errors on training images, each with its read and
    its first dose; None if the first `SEARCHED` images bring no error.
    """
    errors = []
    for image, label in zip(images[:SEARCHED], labels[:SEARCHED], strict=True):
        spikes, correction = accounting.corrected(network, rule, image, int(label))
        if correction:
            read = accounting.read_in_training(network, image, int(label), spikes, accounts)
            errors.append(read + accounts.correct(network, correction))
        if len(errors) == count:
            break
    return mean(errors) if errors else None


def training_costs(
    network: Network,
    rule: Rule,
    images: np.ndarray,
    labels: np.ndarray,
    accounts: Accounts,
    start: Network | None = None,
) -> TrainingCosts:
    """Train a network again in closed form, and return the costs. `start`: network before the
    training; None: a random start from the rule's seed, on the chip of `network`.
    """
    if start is None and isinstance(rule, LayeredRule):
        start = initial_network(
            network.neurons[:-1],
            network.sizes[-1],
            images,
            rule,
            network.design,  # type: ignore[arg-type]  # a LayerDesign
            network.parameters,
            network.pulses,
            network.kinds,
        )
    elif start is None:
        assert isinstance(rule, ErrorDrivenRule)
        start = paper_network(network.setup, rule, *network.states[0].shape)
    start = network_on_chip(dataclasses.replace(start, devices=None, chip=None), network.chip)
    with progress(range(0), rule.presentations, "training", "image") as bar:

        def watch(steps: accounting.Steps) -> accounting.Steps:
            for done, accuracy in steps:
                bar.update(done - bar.n)
                yield done, accuracy

        return accounting.training(start, rule, images, labels, accounts, watch=watch)


def areas(area: Mapping[str, float]) -> str:
    """Return the areas in m^2 of some parts as text."""
    parts = (f"{name.replace('_', ' ')} {1e6 * value:.3g}" for name, value in area.items() if value)
    return f"area in mm^2: {', '.join(parts)}"


def with_unit(value: float, unit: str) -> str:
    """Return a value and its `unit` with the prefix that suits it, as 4.77 µJ."""
    from matplotlib.ticker import EngFormatter  # here: the import takes long

    return EngFormatter(unit, places=2)(value)


def described(name: str, ledger: Ledger) -> str:
    """Return a ledger as text: its sums and durations, and a table of its parts. Parts below a
    thousandth of the sum share a line.
    """
    known, total = ledger.sum() - ledger.sum(kind=ASSUMED), ledger.sum()
    lines = sorted(ledger.lines, key=lambda line: -line.joules)
    shown = [line for line in lines if line.joules >= SHOWN * total]
    width = max((len(line.name) for line in shown), default=0)
    rows = [
        f"  {line.name:{width}}  {with_unit(line.joules, 'J'):>9}  {line.kind:9}"
        f"  {'pins' if line.pins else '':4}  {line.note}".rstrip()
        for line in shown
    ]
    if len(lines) > len(shown):
        rest = sum(line.joules for line in lines[len(shown) :])
        rows.append(
            f"  {f'{len(lines) - len(shown)} smaller parts':{width}}  {with_unit(rest, 'J'):>9}"
        )
    durations = ", ".join(f"{phase} {with_unit(time, 's')}" for phase, time in ledger.times.items())
    return "\n".join(
        [
            f"{name}: {with_unit(total, 'J')} in all parts, "
            f"{with_unit(ledger.sum(pins=True), 'J')} at the pins, {with_unit(known, 'J')} without "
            f"what is assumed; {durations}",
            *rows,
        ]
    )
