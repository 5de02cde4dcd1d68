"""Decide, score, save and print: the last step of every script that tests images."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memristive.cli.script import print_scores
from memristive.io.results import save_decisions, write_results
from memristive.network.scores import decide, summary
from memristive.network.setup import NGSPICE, Schedule
from memristive.network.spike_decoding import RESOLUTION


def save_test(options: argparse.Namespace, name: str, parameters: Mapping[str, Any], labels: np.ndarray, spikes: np.ndarray,
              engine: str, classes: Sequence[str], resolution: float = RESOLUTION, schedule: Schedule | None = None,
              **more: Any) -> np.ndarray:
    """Write results/NAME.json and results/NAME_decisions.csv.gz, print the scores, and return the strict decisions (images).

    Parameters
    ----------
    options : Namespace
        Options of the command line, with the folder `results`.
    name : str
        Stem of the files.
    parameters : mapping
        Everything that determines the results, for the record.
    labels : array, images
    spikes : array, images x classes, s
        First spike times, nan for silent neurons.
    engine : str
        Engine that read the images.
    classes : sequence of str
        Names of the classes.
    resolution : float
        Leads up to this time, in s, are ties. Tied and silent images count as wrong.
    schedule : Schedule, optional
        Adds the paper's decisions, which sample with this schedule's step.
    **more
        Further results for the record.
    """
    scores = {**summary(labels, spikes, resolution, schedule), **more}
    save_decisions(options.results / f"{name}_decisions.csv.gz", labels, spikes, resolution, schedule)
    write_results(options.results / f"{name}.json", parameters, scores, ngspice=engine == NGSPICE)
    print_scores(scores, classes)
    return decide(spikes, resolution)[0]
