"""Every physical quantity refuses what it cannot be, by name and with its allowed range."""

import dataclasses
import importlib
import json
import math
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySpice.Unit import u_Degree, u_K, u_kOhm, u_us, u_V

import learning
import studies
from learning.chips import Chip
from learning.pulses import Schedule
from memristor import MemristorParameters
from snn_circuit import NeuronParameters
from spice.parameters import (
    SUFFIXES,
    ParameterError,
    Parameters,
    allowed_range,
    check_range,
    check_unit,
    plain,
    quantity,
    unit_of,
)
from studies.stdp_window import StdpExperiment


def all_kinds(base):
    """`base`'s subclasses, and theirs, of every room there is."""
    return [kind for child in base.__subclasses__() for kind in (child, *all_kinds(child))]


for wing in (learning, studies):
    for room in pkgutil.iter_modules(wing.__path__, f"{wing.__name__}."):
        importlib.import_module(room.name)
CLASSES = sorted((kind for kind in all_kinds(Parameters) if not kind.__module__.startswith("tests")), key=lambda k: k.__name__)
QUANTITIES = [(kind, field) for kind in CLASSES for field in dataclasses.fields(kind) if "unit" in field.metadata]
SIGNED = {"MemristorParameters.threshold_voltage", "NeuronParameters.rail_low", "NeuronParameters.inverting_rail_low",
          "IvExperiment.initial_state", "StdpExperiment.pre_voltage", "StdpExperiment.tail_voltage",
          "LayeredRule.start_drive", "LayeredRule.start_weight"}
each_quantity = pytest.mark.parametrize(
    ("kind", "field"), QUANTITIES, ids=[f"{kind.__name__}.{field.name}" for kind, field in QUANTITIES])


def refuse(kind, field, value):
    """Assert that a quantity refuses a value, in a message with its name, its allowed range and the value."""
    with pytest.raises(ParameterError) as caught:
        kind(**{field.name: value})
    message = str(caught.value)
    assert message.startswith(f"{field.name} must be ")
    assert allowed_range(field.metadata) in message
    assert message.endswith(f"got {value!r}")


@each_quantity
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**400, None, "1.0", True, [1.0], 1j],
                         ids=lambda value: repr(value)[:8])
def test_quantity_refuses_what_is_no_sensible_number(kind, field, value):
    refuse(kind, field, value)


@each_quantity
def test_quantity_refuses_zero_negative_and_whatever_lies_outside_its_range(kind, field):
    low, high = field.metadata["low"], field.metadata["high"]
    below, above = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    for value in (below, low - abs(low) - 1, above, high + abs(high) + 1):
        refuse(kind, field, value)
    name = f"{kind.__name__}.{field.name}"
    signed = name in SIGNED
    assert signed == (low < 0)
    if low > 0 or high < 0:
        refuse(kind, field, 0)
        refuse(kind, field, 0.0)
    if not signed:
        refuse(kind, field, -field.default or -1)
    for value in (low, high, field.default):
        assert check_range(field.name, value, field.metadata) == value


@each_quantity
def test_quantity_states_unit_meaning_and_a_default_within_its_range(kind, field):
    assert field.metadata["unit"] in {"S", "ohm", "F", "m", "V", "A", "A/V^2", "V/A", "s", "1/s", "V/s", "Hz", "C", ""}
    assert len(field.metadata["meaning"]) > 5
    assert field.metadata["low"] <= field.default <= field.metadata["high"]
    assert getattr(kind(), field.name) == field.default
    assert kind().as_dict()[field.name] == field.default


@each_quantity
def test_a_whole_number_is_a_float_where_it_is_no_count(kind, field):
    """An array of states that begin at 7 was one of whole numbers, and every write to it was cut off."""
    low, high = field.metadata["low"], field.metadata["high"]
    default = field.default
    whole = int(default) if default == int(default) else None
    if whole is not None and low <= whole <= high:
        assert type(getattr(dataclasses.replace(kind(), **{field.name: whole}), field.name)) is type(default)


@each_quantity
def test_count_refuses_fractions(kind, field):
    if isinstance(field.default, int):
        refuse(kind, field, field.default + 0.5)
    else:
        assert isinstance(field.default, float)


def test_all_parameter_classes_are_tested_here():
    names = {kind.__name__ for kind in CLASSES}
    assert names >= {"MemristorParameters", "NeuronParameters", "Schedule", "ErrorDrivenRule", "Solver", "IvExperiment",
                     "StdpExperiment", "Chip"}


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in QUANTITIES}, key=CLASSES.index))
def test_parameters_cannot_be_changed_behind_their_checks(kind):
    field = dataclasses.fields(kind)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), field.name, -1)
    with pytest.raises(ParameterError, match=field.name):
        dataclasses.replace(kind(), **{field.name: -1e30})


@given(st.floats(allow_nan=True), st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_range_holds_exactly_what_lies_between_its_ends(value, low, width):
    metadata = {"low": low, "high": low + width, "unit": "V"}
    if low <= value <= low + width:
        assert check_range("X", value, metadata) == value
    else:
        with pytest.raises(ParameterError, match="X must be"):
            check_range("X", value, metadata)


@pytest.mark.parametrize(("default", "whole"), [(3, True), (3.0, False)])
def test_quantity_knows_its_range_unit_and_meaning(default, whole):
    field = quantity(default, 1, 5, "V", "some voltage")
    assert field.default is default
    assert field.metadata == {"low": 1, "high": 5, "unit": "V", "meaning": "some voltage", "whole": whole}


def test_range_is_told_with_its_unit():
    assert allowed_range({"low": 1e-3, "high": 20.0, "unit": "V"}) == "0.001 to 20 V"
    assert allowed_range({"low": 1, "high": 1e9, "unit": "", "whole": False}) == "1 to 1e+09"
    assert allowed_range({"low": 0, "high": 4294967295, "unit": "", "whole": True}) == "0 to 4294967295"


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Schedule(pulse=5e-3, period=4e-3), "period must exceed pulse"),
    (lambda: Schedule(pulse=2**-7, rise=2**-8, period=3 * 2**-8), "period must exceed pulse"),
    (lambda: Schedule(pulse=1e-4, rise=5e-6, sampling_step=2e-4), "sampling_step must be below the pulse"),
    (lambda: Schedule(pulse=1e-4, rise=5e-6, sampling_step=1e-4), "sampling_step must be below the pulse"),
    (lambda: Schedule(pulse=1e-5, rise=1e-5), "rise must be below the pulse"),
    (lambda: NeuronParameters(threshold=0.1, hysteresis=0.1), "hysteresis must be below the threshold"),
    (lambda: StdpExperiment(rise=3e-3), "rise must be below every duration"),
])
def test_combinations_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_values_with_a_unit_become_numbers_and_all_others_stay():
    value = plain(2.5 @ u_kOhm)
    assert type(value) is float and value == 2500.0
    for other in (3, "text", np.arange(2.0), u_kOhm(np.arange(2.0))):  # many values are no number
        assert plain(other) is other


@pytest.mark.parametrize(("value", "unit", "own", "fits"), [
    (1@u_us, "s", "s", True), (1@u_V, "s", "V", False), (2@u_kOhm, "ohm", "Ω", True), (2@u_kOhm, "V", "Ω", False),
    (20@u_Degree, "degrees Celsius", "°C", True), (300@u_K, "degrees Celsius", "K", False), (300@u_K, "K", "K", True),
    (1@u_V, "V/A", "V", True), (1@u_V, "", "V", True), (1.0, "s", "", True), ("x", "s", "", True), (None, "V", "", True)])
def test_units_are_compared_where_both_are_known(value, unit, own, fits):
    assert unit_of(value) == own
    if fits:
        assert check_unit("it", value, unit) is None
    else:
        with pytest.raises(ParameterError, match=f"^it must be in {unit}, got {value}$"):
            check_unit("it", value, unit)


@pytest.mark.parametrize("unit", ["s", "V", "A", "F", "H", "S", "C", "Hz", "m", "K"])
def test_most_units_are_written_as_pyspice_writes_them(unit):
    assert SUFFIXES[unit] == unit


def test_a_parameter_is_given_in_its_unit():
    with pytest.raises(ParameterError, match=r"^pulse must be in s, got 1 V$"):
        Schedule(pulse=1@u_V)
    assert Schedule(pulse=2000@u_us).pulse == pytest.approx(2e-3)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(2)])
def test_numpys_numbers_are_taken_and_kept_as_pythons(number):
    cell = MemristorParameters(threshold_voltage=number)
    assert cell.threshold_voltage == number and type(cell.threshold_voltage) is float
    json.dumps(cell.as_dict())


def test_numpys_whole_numbers_are_whole_and_its_others_are_refused_where_those_are_asked_for():
    """A loop over np.arange was told that 1 is not between 0 and 4294967295."""
    assert [Chip(seed=seed).seed for seed in np.arange(3)] == [0, 1, 2]
    for value in (np.float64(1.5), np.bool_(True), np.array([1]), np.float64("nan")):
        with pytest.raises(ParameterError, match="seed must be 0 to"):
            Chip(seed=value)
