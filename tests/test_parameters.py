"""Parameters check their ranges; solvers write their options."""

from dataclasses import dataclass

import numpy as np
import pytest

from memristive.parameters import ParameterError, Parameters, quantity


@dataclass(frozen=True)
class Sample(Parameters):
    volts: float = quantity(1.0, 0.0, 2.0, "V", "a voltage")
    count: int = quantity(3, 1, 9, "", "a count")


@pytest.mark.parametrize(
    "name, value",
    [
        ("volts", -0.1),
        ("volts", 2.1),
        ("volts", float("nan")),
        ("volts", "1"),
        ("volts", True),
        ("count", 0),
        ("count", 2.5),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ParameterError, match=name):
        Sample(**{name: value})


def test_limits_and_numpy_numbers_are_allowed():
    sample = Sample(volts=np.float32(2), count=np.int64(9))
    assert (
        (sample.volts, sample.count) == (2.0, 9)
        and type(sample.volts) is float
        and type(sample.count) is int
    )
