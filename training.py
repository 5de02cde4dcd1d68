"""What every training script does: parameters, data, run, save, report, plot. The scripts differ in their experiment."""

import dataclasses
import time

import numpy as np

import plotting
from checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from command_line import ROOT, add_quantities, make_parser, progress, quantities, write_netlist
from datasets import Dataset
from energy import write_energy
from error_driven import Teacher, begin, learning_curve
from experiments import RULES, describe
from files import versions, write_results
from in_situ_learning import TRAINING, edges, hebbian_network, train_hebbian
from memristor import trained_state
from parameters import ParameterError
from simulation import NgspiceSession, netlist_text
from snn_circuit import NetworkParameters, names, network, state_names
from voltages_file import Voltages, save_voltages

CHECKPOINT_EVERY = 500  # presentations
PAPER_ONLINE = 1.0


def training_parser(description, make_experiment, add_options=lambda parser: None):
    """Parser of a training script; `add_options` adds what only its dataset has."""
    experiment = make_experiment()
    parser = make_parser(description)
    parser.add_argument("--voltages", metavar="FILE", help="where the trained voltages go (default: "
                        f"voltages/{experiment.dataset.name}.json, with the rule, encoding and size in the name if others)")
    parser.add_argument("--rule", choices=RULES, default="hebbian",
                        help="one pulse a class (the paper's), or learning from errors (default: hebbian)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an error-driven training")
    add_options(parser)
    add_quantities(parser, experiment.schedule)
    add_quantities(parser, experiment.network.memristor)
    add_quantities(parser, experiment.network.neuron)
    group = parser.add_argument_group("ErrorDrivenRule (defaults depend on dataset and encoding)")
    for field in dataclasses.fields(experiment.rule):
        add_rule_option(group, field)
    return parser
