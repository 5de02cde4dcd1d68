"""Checkpoints of a long training: arrays and numbers, all that is needed to go on to bit-identical voltages."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from records.files import atomic_write, to_json
from records.voltages import VoltagesError


def checkpoint_path(voltages):
    """Where the checkpoint of a training that will write the file `voltages` is kept."""
    return Path(f"{voltages}.checkpoint")


def save_checkpoint(path, progress, parameters):
    """Write `progress` (name -> array or number) and the `parameters` (plain numbers) of its run atomically.

    Raises FileProblem.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **progress, parameters=to_json(parameters))
    atomic_write(path, buffer.getvalue())


def load_checkpoint(path, parameters):
    """What `save_checkpoint` kept of a run with the same `parameters`: name -> array. Raises VoltagesError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            progress = {name: arrays[name] for name in arrays.files}
            stored = json.loads(str(progress.pop("parameters")))
    except FileNotFoundError as error:
        raise VoltagesError(f"{path}: no such checkpoint; leave --resume out to start afresh") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise VoltagesError(f"{path}: is not a usable checkpoint ({error}); leave --resume out to start afresh") from error
    expected = json.loads(to_json(parameters))
    if stored != expected:
        different = sorted(key for key in expected if stored.get(key) != expected[key])
        raise VoltagesError(f"{path}: was made with other parameters ({', '.join(different)}); give the same, or leave "
                            "--resume out to start afresh")
    return progress
