"""Checkpoints of the error-driven rule: all that is needed to go on to bit-identical voltages."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from error_driven import LearningState
from files import atomic_write, to_json
from voltages_file import VoltagesError


def checkpoint_path(voltages):
    """Where the checkpoint of a training that will write the file `voltages` is kept."""
    return Path(f"{voltages}.checkpoint")


def save_checkpoint(path, learning, parameters):
    """Write a `LearningState` and the `parameters` (plain numbers) of its run atomically. Raises FileProblem."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, states=learning.states, done=learning.done, history=learning.history,
                        seconds=learning.seconds, parameters=to_json(parameters))
    atomic_write(path, buffer.getvalue())


def load_checkpoint(path, parameters):
    """The `LearningState` in a checkpoint made with the same `parameters`. Raises VoltagesError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            learning = LearningState(arrays["states"], int(arrays["done"]), arrays["history"],
                                     float(arrays["seconds"]))
            stored = json.loads(str(arrays["parameters"]))
    except FileNotFoundError as error:
        raise VoltagesError(f"{path}: no such checkpoint; leave --resume out to start afresh") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise VoltagesError(f"{path}: is not a usable checkpoint ({error}); leave --resume out to start afresh") from error
    expected = json.loads(to_json(parameters))
    if stored != expected:
        different = sorted(key for key in expected if stored.get(key) != expected[key])
        raise VoltagesError(f"{path}: was made with other parameters ({', '.join(different)}); give the same, or leave "
                            "--resume out to start afresh")
    return learning
