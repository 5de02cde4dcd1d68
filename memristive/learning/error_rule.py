"""Error-driven in-situ learning: the crossbar reads an image, and is written if the right neuron does not lead.

The circuit decides by first spike. The engine, ngspice or the closed form, reads and writes. Python, as the teacher, only
chooses which phi to pulse.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memristive.learning.rule import ErrorDrivenRule, check_labels, dose_factor, first_wrong_neuron, is_right, output_errors

if TYPE_CHECKING:
    from memristive.network.engines import Engine

RUNNING = 1000  # last presentations, over which the running accuracy is the share of right answers


@dataclass
class LearningState:
    """State of a training, as checkpoints keep it.

    Parameters
    ----------
    states : array, classes x inputs, V
    done : int
        Presentations done.
    history : array of bool, presentations x 2
        For each presentation: True if the answer was right before the write, and True if cells were written.
    """

    states: np.ndarray
    done: int
    history: np.ndarray

    def __post_init__(self) -> None:
        self.states = np.asarray(self.states, float)
        self.done = int(self.done)  # a checkpoint gives an array without dimensions


def initial_state(rule: ErrorDrivenRule, classes: int, inputs: int) -> LearningState:
    """Return the state of a training before its first presentation."""
    return LearningState(np.full((classes, inputs), rule.start_state), 0, np.zeros((rule.presentations, 2), bool))


class ErrorDrivenTrainer:
    """Training of one layer from its errors, in ngspice or in closed form (`engine`).

    `images` are n x inputs, levels 0 to 1; `labels` are n class numbers.
    """

    def __init__(self, engine: "Engine", rule: ErrorDrivenRule, images: np.ndarray, labels: np.ndarray) -> None:
        self._engine, self._rule, self._images, self._labels = engine, rule, images, labels
        self._order = rule.order(len(images), 0, rule.presentations)

    def present(self, learning: LearningState) -> None:
        """Read the next image, decide, write after an error, and update `learning`. Raises SimulationError if ngspice fails."""
        k = learning.done
        image, label = self._images[self._order[k]], int(self._labels[self._order[k]])
        spikes = self._engine.spikes(learning.states, image, wanted=2)
        dose = max(dose_factor(k, self._rule.presentations, 0.0), self._rule.least_dose) * self._rule.dose
        wrong = first_wrong_neuron(spikes, label, self._rule.margin)
        silent = bool(np.isnan(spikes[label]))
        states = learning.states.copy()
        if wrong is not None or silent:
            errors = output_errors(len(spikes), label, -1 if wrong is None else wrong)
            for column in np.flatnonzero(errors).tolist():
                sign = int(errors[column])
                states[column] = self._engine.write(states, column, image, sign, dose / self._engine.rate)
        # Assigned last, all at once: an interrupted presentation leaves `learning` as it was before.
        learning.history[k] = is_right(spikes, label), wrong is not None or silent
        learning.states, learning.done = states, k + 1

    def presentations(self, learning: LearningState) -> Iterator[tuple[float, int]]:
        """Present the remaining images; after each, yield the running accuracy and the number of presentations that wrote.

        Raises ParameterError for invalid labels.
        """
        check_labels(self._labels, len(self._images), len(learning.states))
        recent = deque(learning.history[max(0, learning.done - RUNNING):learning.done, 0].tolist(), RUNNING)
        rights, writes = sum(recent), int(learning.history[:learning.done, 1].sum())
        while learning.done < self._rule.presentations:
            self.present(learning)
            right, written = learning.history[learning.done - 1].tolist()
            rights += right - (recent[0] if len(recent) == RUNNING else 0)
            recent.append(right)
            writes += written
            yield rights / len(recent), writes


def learning_curve(history: np.ndarray, window: int = RUNNING) -> tuple[np.ndarray, np.ndarray]:
    """Return the running accuracy over the last `window` presentations, and the number of presentations that wrote so far.

    Both are arrays with a value for each presentation; `history` is that of `LearningState`.
    """
    right = np.cumsum(history[:, 0])
    counts = np.minimum(np.arange(1, len(right) + 1), window)
    before = np.concatenate([np.zeros(min(window, len(right)), int), right[:-window]])
    return (right - before) / counts, np.cumsum(history[:, 1])
