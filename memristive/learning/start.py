"""Networks before their training: random states, or those of the paper's layer."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from memristive.devices.measured_device import MeasuredDevice, load_device
from memristive.learning.device_settings import learning_of
from memristive.learning.rule import ErrorDrivenRule, LayeredRule, Rule
from memristive.network.checks import USUAL, settled_membranes
from memristive.network.chip import Chip
from memristive.network.layer import PulseWrites
from memristive.network.networks import Network, network_on_chip, states_of_weights, thresholds_per_volt, with_bias
from memristive.network.setup import LayerDesign, Schedule, Setup, check_levels
from snn_circuit import NetworkParameters, NeuronParameters

START_STATE = 4.5  # V, for grey images


def build(images: np.ndarray, classes: int, hidden: tuple[int, ...] | None = None, device: str | MeasuredDevice | None = None,
          pairs: int = 1, chip: Chip | None = None, **learning: Any) -> tuple[Network, Rule]:
    """Return an untrained network for images, and the rule that suits it.

    Parameters
    ----------
    images : array, n x inputs, levels 0 to 1
        Training images, from which the settings follow.
    classes : int
    hidden : tuple of int, optional
        Neurons of each hidden layer. None without a `device`: the paper's layer.
    device : str or MeasuredDevice, optional
        Device in every cell: a preset, a device file, or a device. None: the paper's emulator.
    pairs : int
        With a `device`: differential pairs of a synapse; 0: single cells, and a reference column.
    chip : Chip, optional
        Deviations of the cells and neurons; None: all are alike.
    **learning
        Fields of the rule, such as presentations and seed.

    Raises
    ------
    ParameterError
        The images are not levels from 0 to 1, the device is unknown, or the network cannot have the chip's deviations.
    """
    if device is None and hidden is None:
        plain = ErrorDrivenRule(**grey_settings(images) | learning)
        return network_on_chip(paper_network(paper_setup(images), plain, classes, images.shape[1]), chip), plain
    hidden = hidden or ()
    measured = load_device(device) if isinstance(device, str) else device
    made, rule = learning_of(measured, 1 + len(hidden), pairs) if measured else ({}, LayeredRule())
    rule = dataclasses.replace(rule, **learning)
    return network_on_chip(initial_network(hidden, classes, images, rule, **made), chip), rule


def grey_settings(images: np.ndarray) -> dict[str, Any]:
    """Return the fields of an `ErrorDrivenRule` that suit grey `images` (n x inputs)."""
    return {"presentations": min(60_000, 40 * len(images)), "start_state": START_STATE, "dose": 0.1}


def paper_setup(images: np.ndarray) -> Setup:
    """Return the setup of the paper's layer for grey `images` (n x inputs, levels 0 to 1).

    The feedback resistor puts the membranes of an untrained network, on an average image, where the paper's settle.
    """
    check_levels("images", images, np.shape(images)[-1])
    setup = Setup(schedule=Schedule(pulse=2e-3, period=6e-3, sampling_step=11e-6))
    settled = settled_membranes(setup, np.full((1, images.shape[1]), START_STATE), images[:1000]).mean()
    feedback = USUAL * setup.neuron.threshold / float(settled) * setup.neuron.feedback_resistance
    return setup.replace(neuron=NeuronParameters(feedback_resistance=feedback))


def paper_network(setup: Setup, rule: ErrorDrivenRule, classes: int, inputs: int) -> Network:
    """Return the paper's layer of a `setup` with all cells at the rule's start state."""
    return Network.of(setup, np.full((classes, inputs), rule.start_state))


def initial_network(hidden: tuple[int, ...], classes: int, images: np.ndarray, rule: LayeredRule,
                    design: LayerDesign | None = None, parameters: NetworkParameters | None = None,
                    pulses: PulseWrites | None = None) -> Network:
    """Return an untrained network with random states.

    The two cells of a differential pair start equally far above and below `design.reference_state`.

    Parameters
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    classes : int
    images : array, n x inputs, levels 0 to 1
        Images over which the membranes of the first layer settle with the mean and the spread that the rule gives.
    rule : LayeredRule
        Distribution of the start and its seed.
    design : LayerDesign, optional
    parameters : NetworkParameters, optional
    pulses : PulseWrites, optional
    """
    check_levels("images", images, np.shape(images)[-1])
    design, parameters = design or LayerDesign(), parameters or NetworkParameters()
    rng = np.random.default_rng([rule.seed, 1])
    levels = with_bias(design.read_levels(images))
    mean, power = levels.sum(axis=1).mean(), (levels**2).sum(axis=1).mean()
    per_volt = thresholds_per_volt(parameters, design)
    sizes = (levels.shape[1] - 1, *hidden, classes)
    states = [rng.normal(rule.start_drive / mean / per_volt, rule.start_drive_spread / math.sqrt(power) / per_volt,
                         (sizes[1], sizes[0] + 1))]
    states += [rng.normal(rule.start_weight, rule.start_weight_spread, (above, below + 1))
               for below, above in itertools.pairwise(sizes[1:])]
    return Network(tuple(states_of_weights(start, design, parameters.memristor) for start in states), parameters, design,
                          pulses=pulses)
