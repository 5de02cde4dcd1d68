"""Tables that leave something open: they are read right, refused with the way out, or warned of.
Each holds the readings of one device with a known truth (`tests.measured`).
"""

import warnings

import numpy as np
import pandas as pd
import pytest

from memristive.devices.curve_fit import fit_pulses
from memristive.io.readings import read_file, read_over_time, read_readings
from memristive.parameters import ParameterError
from tests.measured import measured, ratios, step

TABLE = measured()
SIEMENS = 1e-6 * TABLE["G (uS)"]
PLAIN = TABLE[["pulse", "G (uS)", "direction"]]
UPS = TABLE["direction"] == "up"
ODD = TABLE["cycle"] % 2 == 1


def read(path, table, before=""):
    """Return the readings in a table, through a file that begins with the lines `before`."""
    text = table if isinstance(table, str) else table.to_csv(index=False)
    path = path / "t.csv"
    path.write_text(before + text, encoding="utf-8")
    over_time = read_over_time(path, 0.1, file := read_file(path))
    assert over_time is None
    return read_readings(path, 0.1, file)[0]


def fitted(readings):
    return fit_pulses(readings.conductance, readings.direction, pulses=readings.pulses)


def written(header, values):
    """Return the table with readings of another unit in the column `header`."""
    return PLAIN.drop(columns="G (uS)").assign(**{header: values})


def dotted(values, mark):
    """Return numbers with a `mark` between thousands."""
    return [f"{value:,.0f}".replace(",", mark) for value in values]


# Three digits behind a mark


@pytest.mark.parametrize(("mark", "separator"), [(".", ";"), (",", ";"), (",", "\t"), (".", "\t")])
@pytest.mark.parametrize("factor", [7, 0.3])
def test_marks_that_may_divide_thousands_are_refused(tmp_path, mark, separator, factor):
    """All resistances in ohm have a mark, or conductances in nS above 1,000 do."""
    values = dotted(factor / SIEMENS if factor > 1 else factor * 1e8 * SIEMENS, mark)
    table = written("R (ohm)" if factor > 1 else "G (nS)", values)
    with pytest.raises(ParameterError, match="thousand"):
        read(tmp_path, table.to_csv(index=False, sep=separator))


def test_the_mark_of_decimals_may_be_given(tmp_path):
    values = [f"{value:.3f}".replace(".", ",") for value in 10 + TABLE["G (uS)"]]
    path = tmp_path / "t.csv"
    written("G (uS)", values).to_csv(path, index=False, sep=";")
    (found,) = read_readings(path, 0.1, read_file(path, ","))[0]
    assert found.conductance == pytest.approx(1e-5 + SIEMENS, rel=1e-3)


@pytest.mark.parametrize("mark", [".", ","])
def test_decimals_that_other_cells_show_are_read(tmp_path, mark):
    table = written("G (uS)", [f"{value:.3f}" for value in TABLE["G (uS)"]])
    text = table.assign(**{"width (us)": "0.5"}).to_csv(index=False, sep=";").replace(".", mark)
    (found,) = read(tmp_path, text)
    assert found.conductance == pytest.approx(SIEMENS, rel=1e-3)
    (found,) = read(tmp_path, table)  # between commas, points are decimal
    assert found.conductance == pytest.approx(SIEMENS, rel=1e-3)


def test_a_word_among_decimal_commas_is_named_with_its_row(tmp_path):
    values = [f"{value:.4f}".replace(".", ",") for value in TABLE["G (uS)"]]
    values[50] = "#DIV/0!"
    with pytest.raises(ParameterError, match="row 52"):
        read(tmp_path, written("G (uS)", values).to_csv(index=False, sep=";"))


# Units, factors and the read voltage


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Conductance (×10⁻³ S)",
            "G (10⁻³ S)",
            "Conductance x1000 (S)",
            "G (1e-3 S)",
            "G (10 uS)",
        ),
    ],
)
def test_a_factor_in_a_header_is_refused(tmp_path, header):
    with pytest.raises(ParameterError, match="factor"):
        read(tmp_path, written(header, 1e2 * SIEMENS))


@pytest.mark.parametrize("line", [",mS,\n", "Conductance unit,mS\n"])
def test_a_unit_above_its_column_is_read(tmp_path, line):
    table = written("G", 1e3 * SIEMENS)[["pulse", "G", "direction"]]
    (found,) = read(tmp_path, table, line)
    assert found.conductance == pytest.approx(SIEMENS)


@pytest.mark.parametrize(
    ("header", "line"),
    [("G", "# conductance in mS\n"), ("R", "# resistance in kOhm\n"), ("I", "range,2 mA,,\n")],
)
def test_a_unit_beside_the_table_is_refused_unless_the_header_has_one(tmp_path, header, line):
    with pytest.raises(ParameterError, match=r"line 1 .* unit"):
        read(tmp_path, written(header, 1e-3 * SIEMENS), line)
    stated = {"G": "G (mS)", "R": "R (kohm)", "I": "I (A)"}[header]
    assert read(tmp_path, written(stated, 1e-3 * SIEMENS), line)


@pytest.mark.parametrize("header", ["G", "Current"])
def test_conductances_above_1_ms_need_a_unit(tmp_path, header):
    values = 1e3 * SIEMENS * (1 if header == "G" else 0.1)
    with pytest.raises(ParameterError, match="no unit"):
        read(tmp_path, written(header, values))
    stated = header + (" (S)" if header == "G" else " (A)")
    assert read(tmp_path, written(stated, values))[0].conductance == pytest.approx(1e3 * SIEMENS)


@pytest.mark.parametrize(
    "line",
    ["# Vread = 0.2 V\n", "TestParameter, Measurement.Bias.Source, 0.2\n", "# read at 200 mV\n"],
)
def test_another_read_voltage_beside_the_table_is_refused(tmp_path, line):
    with pytest.raises(ParameterError, match=r"--read-voltage 0\.2"):
        read(tmp_path, written("I (uA)", 0.2e6 * SIEMENS), line)


def test_each_current_is_divided_by_the_voltage_of_its_row(tmp_path):
    volts = 0.1 + 0.008 * np.sin(np.arange(len(TABLE)))
    (found,) = read(tmp_path, written("I (A)", volts * SIEMENS).assign(**{"V_read (V)": volts}))
    assert found.conductance == pytest.approx(SIEMENS)


# Pulses


def test_numbers_that_begin_again_where_the_direction_turns_count_each_pulse(tmp_path):
    """Every fifth pulse is read, and numbered from 5 to 40 in each direction."""
    number = np.where(PLAIN["pulse"] > 40, PLAIN["pulse"] - 40, PLAIN["pulse"])
    (found,) = read(tmp_path, PLAIN.assign(pulse=number)[::5])
    assert (found.pulses[1:] == 5).all()
    assert np.array_equal(found.direction[1:], np.where(UPS, 1, -1)[5::5])


def test_a_column_of_each_direction_beside_time_has_pulses(tmp_path):
    both = pd.DataFrame(
        {
            "Time (s)": 0.5 * np.arange(41),
            "LTP (uS)": TABLE["G (uS)"][:41].to_numpy(),
            "LTD (uS)": TABLE["G (uS)"][40:81].to_numpy(),
        }
    )
    (found,) = read(tmp_path, both)
    assert found.direction.tolist() == [0, *40 * [1], 0, *40 * [-1]]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"Vp (V)": np.where(ODD, 1.0, 1.5)}, "Vp"),
        ({"T (K)": np.where(ODD, 300, 350)}, "T .K"),
        ({"Mode": np.where(ODD, "verify", "plain")}, "Mode"),
        ({"Status": np.where(SIEMENS > 42e-6, "C", "N")}, "Status"),
        ({"Vstart (V)": 0.6, "Vstep (V)": 0.05}, "Vstep"),
    ],
)
def test_unused_columns_that_may_change_the_pulses_are_asked_about(tmp_path, changes, word):
    with pytest.raises(ParameterError, match=word):
        read(tmp_path, PLAIN.assign(**changes))


def test_unused_columns_that_say_nothing_of_the_pulses_are_allowed(tmp_path):
    time = 0.5 * np.arange(len(TABLE))
    (found,) = read(
        tmp_path,
        PLAIN.assign(
            **{
                "Elapsed (s)": time,
                "Timestamp": [f"10:22:{int(second) % 60:02}" for second in time],
                "Vp (V)": np.where(UPS, 1.0, -1.2),
                "V meas (V)": 0.1 + 1e-4 * np.sin(time),
                "T (C)": 25 + 0.5 * np.sin(time),
                "Note": np.where(ODD, "", "lamp off"),
            }
        ),
    )
    assert found.conductance == pytest.approx(SIEMENS)


@pytest.mark.parametrize(
    ("table", "before", "word"),
    [
        (PLAIN[["direction", "G (uS)"]][::10], "# read after every 10 pulses\n", "column 'pulse'"),
        (PLAIN, "# ISPP 0.6 V to 1.5 V\n", "identical"),
        (PLAIN.sort_values("pulse", kind="stable"), "", "sorted by pulse"),
        (TABLE.sort_values("pulse", kind="stable"), "", "sort the rows"),
        (PLAIN.assign(direction=np.where(UPS, 1, 2)), "", "1 and 2"),
        (PLAIN.assign(**{"Die X": TABLE["cycle"], "Die Y": 1}), "", "Die X.*'device'"),
        (PLAIN.replace({"G (uS)": {TABLE["G (uS)"][50]: 1e30}}), "", "row 52"),
        (PLAIN.replace({"G (uS)": {TABLE["G (uS)"][50]: 1e308}}), "", "row 52"),
        (
            written("I (A)", 0.1 * SIEMENS).assign(**{"Read voltage (V)": np.where(ODD, 0.1, 0.2)}),
            "",
            "one read voltage",
        ),
        (
            pd.DataFrame({"V (V)": np.tile([0.1, *np.arange(0.2, 2, 0.1)], 3), "I (A)": 1e-6}),
            "",
            "I-V",
        ),
    ],
)
def test_tables_that_hide_their_pulses_are_refused(tmp_path, table, before, word):
    with pytest.raises(ParameterError, match=word):
        read(tmp_path, table, before)


# Before or after the pulse


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_readings_before_their_pulse_give_the_ends_of_the_curves(tmp_path, before, seed):
    """The steps at both ends, where the direction turns, are within 15 % of the truth."""
    table = measured(seed, cycles=4, pulses=60, write=0.006, read=0.003, before=before)
    (found,) = read(tmp_path, table[["G (uS)", "direction"]])
    device = fitted(found).device
    scale = ratios(device)[0]
    assert scale * device.up[0] == pytest.approx(step(0.0, True), rel=0.15)
    assert scale * device.down[-1] == pytest.approx(step(1.0, False), rel=0.15)


@pytest.mark.parametrize("before", [False, True])
def test_an_abrupt_direction_is_kept_in_both_orders(tmp_path, before):
    """One pulse down ends at the lowest conductance, after 20 pulses up."""
    rng, x, states = np.random.default_rng(1), 0.0, [0.0]
    signs = np.tile([1] * 20 + [-1], 20)
    for sign in signs:
        x = x + 0.08 * (1 - x) * (1 + 0.2 * rng.standard_normal()) if sign > 0 else 0.0
        states.append(x)
    given = np.append(1, signs)[: len(states)] if not before else signs
    siemens = 1e-6 + 9e-6 * (np.array(states) + 0.003 * rng.standard_normal(len(states)))
    table = pd.DataFrame({"direction": given, "G (S)": siemens[: len(given)]})
    (found,) = read(tmp_path, table)
    steps, abrupt = np.diff(found.conductance), found.direction[1:] < 0
    assert abrupt.sum() >= 19 and (steps[abrupt] < -3e-6).all()
    assert (steps[found.direction[1:] > 0] > -1e-7).all()


def test_a_row_whose_pulse_number_leaps_is_named(tmp_path):
    """A row of means has the number of all rows. Other gaps may be of any size."""
    footer = pd.DataFrame({"pulse": [240], "G (uS)": [31.0], "direction": ["up"]})
    with pytest.warns(UserWarning, match="row 243"):
        read(tmp_path, pd.concat([PLAIN, footer]))
    kept = PLAIN["pulse"].isin([0, 1, 2, 5, 10, 20, 40, 41, 42, 45, 50, 60, 80])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, PLAIN[kept])


# Single bad readings, and meters at their limit


def bad(rows, values):
    table = PLAIN.copy()
    table.loc[rows, "G (uS)"] = values
    return table


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ([33], [0.0]),
        ([100], [SIEMENS[100] * 1e6 + 40]),
        ([60, 150], [SIEMENS[60] * 1e6 + 60, SIEMENS[150] * 1e6 + 60]),
        ([240], [31.0]),
        ([0], [40.0]),
    ],
)
def test_single_bad_readings_are_left_out_and_named(tmp_path, rows, values):
    """The fit is that of a table without their rows, whose pulses are numbered."""
    (found,), (good,) = (read(tmp_path, one) for one in (bad(rows, values), PLAIN.drop(rows)))
    fit = fitted(found)
    assert found.rows[fit.left_out].tolist() == [row + 2 for row in rows]
    assert ratios(fit.device) == pytest.approx(ratios(fitted(good).device), rel=1e-3)


def test_a_state_that_jumps_and_stays_is_named_and_kept():
    """Between two pulses the state falls by 20 % of the range, and goes on from there."""
    jump = SIEMENS.to_numpy().copy()
    jump[20:41] -= 11e-6
    jump[41:81] = jump[40] + (jump[41:81] - jump[41:81][0]) * 0.7
    signs = np.where(UPS, 1, -1)
    signs[81] = 0
    fit = fit_pulses(jump, signs)
    assert 20 in fit.jumps and not len(fit.left_out)


@pytest.mark.parametrize(
    ("lowest", "highest", "stuck"),
    [(0, 42, 0), (0, 47, 0), (14, 99, 0), (10, 99, 0), (0, 99, 18)],
)
def test_readings_of_a_meter_at_its_limit_are_left_out(tmp_path, lowest, highest, stuck):
    """Steps within the rest of the range are within 20 %."""
    values = TABLE["G (uS)"].clip(lowest, highest)
    values[100 : 100 + stuck] = values[100]
    table = written("I (A)", [f"{1e-7 * value:.6e}" for value in values])
    with pytest.warns(UserWarning, match="limit"):
        (found,) = read(tmp_path, table)
    equal = pd.Series(found.conductance).value_counts()
    assert equal.max() <= 2
    _, up, down, write, read_noise = ratios(fitted(found).device)
    assert (up, down) == pytest.approx((1, 1), abs=0.2) and max(write, read_noise) < 1.3


def test_coarse_digits_are_no_limit(tmp_path):
    """Resistances in whole kohm are often equal, and all count."""
    table = written("R (kohm)", (1e-3 / SIEMENS).round())
    (found,) = read(tmp_path, table)
    assert len(found.conductance) == len(TABLE)
