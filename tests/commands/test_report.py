"""Reports of devices: what they compute, from small networks of digits."""

import dataclasses
import math
from argparse import Namespace

import numpy as np
import pandas as pd
import pytest

from memristive.accounting import costs
from memristive.cli.runs import examined
from memristive.cli.script import exit_code
from memristive.commands import report
from memristive.devices.measured_device import PRESETS, MeasuredDevice, device_record
from memristive.devices.neuron_model import load_neuron
from memristive.io.records import load_results, to_json
from memristive.ledger import Technology
from memristive.network.chip import neuron_chip
from memristive.network.recipe import Dense
from tests.helpers import one_line, outputs

NETWORKS = {"one layer": ("digits", (), "none"), "two layers": ("digits", (Dense(20),), "none")}
EPIRAM = PRESETS["epiram"]


def made(device, section, seeds=1, presentations=300):
    """The runs of one layer in one section of a report, written at once first."""
    runs = report.runs_of(device, seeds, presentations, {"one layer": NETWORKS["one layer"]})
    return [run for run in runs if run.columns["section"] == section]


def shown(arguments, folder, networks=NETWORKS, presentations=300):
    """Exit code of a short report on small networks."""
    words = [*map(str, arguments), "--short", *outputs(folder), "--jobs", "1"]
    return exit_code(lambda words: report.main(words, networks, presentations), words)


def written(path, device):
    """Write the device file of a device; return its path."""
    path.write_text(to_json(device_record(device)), encoding="utf-8")
    return path


def test_a_report_is_one_page_with_all_sections(tmp_path):
    assert shown(["pcmo"], tmp_path) == 0
    page = (tmp_path / "report_pcmo.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 7 and page.count("<img") == 4 and "http" not in page
    for part in ("device", "accuracy", "limits", "tolerance"):
        assert (tmp_path / f"report_pcmo_{part}.pdf").is_file()
    found = load_results(tmp_path / "report_pcmo.json")
    rows = pd.DataFrame(found["rows"]).query("inference_J.notna()")
    assert len(rows) == 4
    assert (rows["training_J"] > rows["inference_J"]).all()  # 300 reads and the writes


def test_published_devices_stand_beside_yours_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"epiram", "pcmo"} <= set(report.published(report.NETWORKS)["device"])


def test_each_seed_has_a_chip_of_its_own():
    device = dataclasses.replace(EPIRAM, spread=0.2)
    first, second, again, _ = [
        run.prepared()[0].devices[0].cells.transconductance
        for run in [*made(device, "accuracy", 2)[:2], *made(device, "accuracy", 2)[:2]]
    ]
    assert np.array_equal(first, again)
    scale = first.mean()
    assert np.std(first) / scale == pytest.approx(0.2, rel=0.1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_neurons_of_a_report_differ_as_measured(tmp_path):
    """Times 1, 2 and 4, in a section of their own."""
    neuron = "results/devices/gf180mcu_neuron.json"
    chip = neuron_chip(load_neuron(neuron))
    runs = list(report.runs_of(EPIRAM, 1, 300, {"one layer": NETWORKS["one layer"]}, chip))
    (first, twice, _), _ = np.reshape([run for run in runs if run.columns["cells"] >= 1], (2, 3))
    own = twice.prepared()[0].chip
    assert own.neuron_leak == pytest.approx(2 * chip.neuron_leak)
    slower = first.prepared()[0].devices[0].neurons.membrane_capacitance
    assert np.std(slower) / np.mean(slower) == pytest.approx(chip.neuron_leak, rel=0.5)
    assert shown(["pcmo", "--neuron", neuron], tmp_path) == 0
    page = (tmp_path / "report_pcmo.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 8 and page.count("<img") == 5


def test_energies_are_those_of_the_trained_network():
    """Cells of fine steps start in the middle of their range; the training moves them."""
    run, _ = made(EPIRAM, "accuracy", presentations=2000)
    found, (trained, _, _) = report.answer(run), run.trained()
    assert found["strict_accuracy"] == examined(run)[0]["strict_accuracy"]
    accounts = costs.Accounts(Technology(), EPIRAM)

    def mean(network):
        images = run.dataset.training.levels[: report.READS]
        return np.mean([costs.inference(network, image, accounts).sum() for image in images])

    assert found["inference_J"] == pytest.approx(mean(trained), rel=1e-9, abs=0)
    assert abs(mean(run.prepared()[0]) / mean(trained) - 1) > 1e-3


def test_a_device_that_forgets_relearns_from_what_is_left():
    """After a hundredth of the time constant nearly all is left, after a hundred of them nothing:
    then a few presentations reach less than before.
    """
    _, late = made(dataclasses.replace(EPIRAM, retention=1e5, rest=0.5), "accuracy", 1, 3000)
    row = report.over_time(late, late.trained(), (1e3, 1e7), 100)
    assert row["aged 1000"] > 0.6 > 0.2 > row["aged 1e+07"]
    assert row["aged 1e+07"] + 0.1 < row["relearned 1e+07"] < row["relearned 1000"] - 0.05


@pytest.mark.parametrize("name", ["epiram", "taox"])
def test_finer_steps_cross_the_range_with_the_same_noise(name):
    """n independent steps of noise s have the noise s sqrt(n) together."""
    device = PRESETS[name]
    fields = report.variants(device)[f"steps {report.FINER} times finer"]
    (step, noise), (fine, less) = (
        (of.one_sided.mean_step, of.one_sided.noise)
        if of.one_sided
        else (of.mean_step, of.write_noise)
        for of in (device, dataclasses.replace(device, **fields))
    )
    assert fine == pytest.approx(step / report.FINER, rel=0.01)
    assert less * math.sqrt(1 / fine) == pytest.approx(noise * math.sqrt(1 / step), rel=0.01)


def test_advice_names_the_largest_gain_that_is_clear():
    accuracies = {
        ("as it is", "late"): [0.80, 0.81, 0.82],
        ("as it is", "at once"): [0.70, 0.72, 0.74],
        ("no write noise", "late"): [0.92, 0.93, 0.94],
        ("steps 10 times finer", "late"): [0.70, 0.83, 0.99],  # more, but not clearly
        ("equal steps up and down", "late"): [0.845, 0.85, 0.855],
    }
    rows = pd.DataFrame(
        {
            "network": "one layer",
            "section": "limits",
            "variant": variant,
            "write": way,
            "seed": seed,
            "strict_accuracy": accuracy,
            "pulses_per_cell": 1.0,
            "write_energy_J": np.nan,
        }
        for (variant, way), found in accuracies.items()
        for seed, accuracy in enumerate(found)
    )
    first, then, last = report.advice_of(rows)
    assert first.startswith("First: no write noise, +12.0 points") and "81.0 %" in first
    assert then.startswith("Then: write late, +9.0 points")
    assert "steps 10 times finer" in last and "equal steps" in last
    drifted = pd.DataFrame({"section": "accuracy", "aged 1e+07": [0.5, 0.52, 0.54]})
    first, *_ = report.advice_of(pd.concat([rows, drifted]))
    assert first.startswith("First: cells that keep their state for 1e+07 s, +29.0 points")
    # one seed has no standard error
    alone = " ".join(report.advice_of(rows[rows["seed"] == 2]))
    assert not any(name in alone for name, _ in list(accuracies)[2:])


def sweeps(device, count=40):
    """Conductances of two sweeps of single pulses up and down, without noise, and their
    directions.
    """
    up = device.after(0.0, np.arange(count + 1))
    down = device.after(up[-1], np.arange(1, count + 1), False)
    x = np.tile(np.append(up, down), 2)
    return device.conductance(x), np.tile(np.repeat([1, -1], [count + 1, count]), 2)


def test_a_table_is_read_at_its_voltage_and_fitted_once(tmp_path, capsys):
    """Currents at 0.2 V. The curves of a straight device follow them, and so does the report."""
    device = MeasuredDevice("straight", up=(0.02, 0.02), down=(0.02, 0.02))
    siemens, direction = sweeps(device)
    rows = zip(np.where(direction > 0, "up", "down"), 0.2e6 * siemens, strict=True)
    table = tmp_path / "curve.csv"
    table.write_text("direction,current (uA)\n" + "".join(f"{a},{b:.6g}\n" for a, b in rows))
    one = {"one layer": NETWORKS["one layer"]}
    assert shown([table, "--read-voltage", "0.2"], tmp_path, one) == 0
    printed = capsys.readouterr()
    lines = (printed.out + printed.err).splitlines()
    assert len(lines) == len(set(lines))
    found = load_results(tmp_path / "report_curve.json")
    assert found["misfit"] < 0.02
    fitted = load_results(tmp_path / "device_fit_curve.json")["device"]
    assert fitted["highest_conductance"] == pytest.approx(siemens.max(), rel=0.02)
    assert shown(["epiram", "--read-voltage", "0.2"], tmp_path) == 2
    assert "--read-voltage" in one_line(capsys.readouterr().err)


def test_a_checkpoint_is_found_before_the_fit(tmp_path, capsys):
    table = tmp_path / "curve.csv"
    table.write_text("no readings at all")
    (tmp_path / "report_curve.json.checkpoint").write_bytes(b"")
    assert shown([table], tmp_path) == 2
    assert "--resume" in one_line(capsys.readouterr().err)


def test_a_device_with_the_name_of_a_preset_stands_beside_it(tmp_path):
    """And its misfit stands beside its accuracies."""
    own = dataclasses.replace(EPIRAM, write_noise=0.2, misfit=0.14)
    options = Namespace(device=str(written(tmp_path / "mine.json", own)), read_voltage=None)
    with pytest.warns(UserWarning):
        given = report.given_device(options)
    assert given.misfit == 0.14
    rows = pd.DataFrame([report.answer(run) for run in made(given.device, "accuracy")])
    others = rows[:1].assign(device="epiram")
    section = report.accuracy_section(given, rows, others, None)
    assert len(section.table) == 2 and "epiram" in set(section.table["device"])
    assert any("14%" in text for text in section.texts)
    assert report.given_device(Namespace(device="epiram", read_voltage=None)).device == EPIRAM


def test_a_model_of_the_project_is_measured_first(ngspice, tmp_path):
    options = Namespace(
        device="vteam", read_voltage=None, results=tmp_path, figures=tmp_path, force=False
    )
    device = report.given_device(options).device
    assert (device.name, device.model) == ("vteam", "vteam") and device.mean_step > 0
