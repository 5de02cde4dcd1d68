"""Layers in a foundry's transistors. Needs the models that `make silicon` installs."""

import numpy as np
import pytest

from datasets import xpue
from memristive.devices.foundry import Process
from memristive.engines.silicon import SiliconLayer
from memristive.parameters import ParameterError


def layer(foundry):
    process, patterns = Process(foundry), xpue().patterns
    try:
        process.header()
    except ParameterError as error:
        pytest.skip(str(error))
    return SiliconLayer(process, *patterns.shape), patterns


@pytest.mark.parametrize("foundry", ["gf180mcu", "sky130"])
def test_transistors_learn_and_read_xpue(foundry):
    made, patterns = layer(foundry)
    states, waves = made.train(patterns)
    assert states[patterns > 0].min() > states[patterns == 0].max() + 1
    assert waves.time[-1] == pytest.approx(96e-6)
    spikes, _ = made.read(states, patterns)
    assert (np.nanargmin(spikes, axis=1) == np.arange(4)).all()


def test_process_refuses_mismatch_without_statistics():
    with pytest.raises(ParameterError, match="mismatch"):
        Process("sky130", mismatch=1)
