"""The study that reads trained layers in ngspice beside the closed form: what it counts, and what it writes."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from memristive.cli import layer_reads
from memristive.cli.command_line import run
from memristive.cli.layer_reads import LayeredRead, read_layers
from memristive.io.claims import NotOverwritten
from memristive.io.files import FileProblem
from memristive.io.voltages import Voltages, VoltagesError, checksum, save_layers
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, train
from memristive.spice.session import NgspiceSession
from studies import ngspice_layers as layers_in_ngspice
from studies.layer_experiments import TASKS, LayeredPlan, load_network
from studies.ngspice_layers import Compared, read_whole
from tests.helpers import one_line


def test_what_differs_is_counted():
    found = Compared(150e-6)
    found.add([np.array([1e-5, np.nan]), np.array([3e-5, 2e-5])], [np.array([1.2e-5, 5e-5]), np.array([3e-5, 2.1e-5])])
    found.add([np.array([1e-5, 2e-5]), np.array([3e-5, 2e-5])], [np.array([1e-5, 2e-5]), np.array([2.9e-5, 2.901e-5])])
    found.add([np.array([1e-5, 2e-5]), np.array([2e-5, 3e-5])], [np.array([1.1e-5, 2e-5]), np.array([2e-5, 3e-5])])
    assert found.as_dict()["largest_error_of_layers"] == pytest.approx([2e-6, 9.01e-6])
    assert found.as_dict()["mean_largest_error_of_layers"] == pytest.approx([1e-6, (1e-6 + 9.01e-6) / 3])
    assert found.as_dict()["decided_otherwise"] == [{"image": 1, "lead": pytest.approx(10e-9)}]  # a tie, in closed form


@pytest.mark.parametrize(("found", "exact", "errors"), [
    (([30, 40], [50, np.nan, 90.1]), ([30, 40], [50, 60, 90]), [0, 30.1]),  # the second output's spike is lost
    (([30, 40], [50, 55, 60.1]), ([30, 40], [50, np.nan, 60]), [0, 5]),  # one is made up
    (([30, np.nan], [50, 60, np.nan]), ([30, 40], [50, 60, 90]), [20, 0]),  # of the hidden ones; the third came after the end
    (([30, np.nan], [50, 60, np.nan]), ([30, 61], [50, 60, 90]), [0, 0]),
    (([30, 40], [50, np.nan, np.nan]), ([30, 40], [50, 60, 90]), [0, 90])])  # read to the end of the window
def test_a_spike_that_one_kind_of_read_should_have_seen_is_an_error(found, exact, errors):
    compared = Compared(150e-6)
    compared.add(*([1e-6 * np.array(layer) for layer in read] for read in (found, exact)))
    assert compared.as_dict()["largest_error_of_layers"] == pytest.approx(1e-6 * np.array(errors), abs=1e-12)


def test_of_a_read_that_was_stopped_no_more_is_known():
    compared = Compared(150e-6)
    compared.add([1e-6 * np.array([50, np.nan, np.nan])], [1e-6 * np.array([50, 60, 90])], stop=63e-6)
    assert compared.as_dict()["largest_error_of_layers"] == pytest.approx([3e-6])


@pytest.fixture
def saved(tmp_path):
    """A network of 12 hidden neurons that has seen digits, in a voltages file."""
    plan = LayeredPlan(TASKS["digits"], TASKS["digits"].rule, (12,))
    data = plan.data()
    learning = LayeredLearning.begin(plan.begin(data), plan.rule)
    next(train(learning, plan.rule, data.images, data.labels, block=3000))
    network: LayeredNetwork = learning.network
    origin = {**plan.as_dict(), "network": network.parameters.as_dict(), "design": network.design.as_dict(),
              "states": checksum(*network.states)}
    path = tmp_path / "layers_few.json"
    save_layers(path, network.states, Voltages(network.states[-1], "digits", "grey", "layers", origin))
    return path


def test_both_ways_of_ngspice_decide_as_the_closed_form(saved, tmp_path, capsys):
    layers_in_ngspice.main(["--data", "digits", "--voltages", str(saved), "--samples", "6", "--whole", "1", "--figures",
                            str(tmp_path)])
    found = json.loads((tmp_path / "layers_in_ngspice_few_results.json").read_text(encoding="utf-8"))
    for kind, images in (("layer_by_layer_beside_closed_form", 6), ("whole_beside_closed_form", 1),
                         ("layer_by_layer_beside_whole", 1)):
        assert found[kind]["images"] == images and found[kind]["decided_otherwise"] == []
        assert 0 < max(found[kind]["largest_error_of_layers"]) < 0.8e-6
    assert found["ngspice"] == found["closed_form"] and found["ngspice"]["samples"] == 6
    assert found["ngspice"]["strict_accuracy"] > 0.5
    assert "layer by layer beside whole             1                 0" in capsys.readouterr().out


def results_of(folder):
    """What the study wrote, but for what the machine's hour decides."""
    found = json.loads((folder / "layers_in_ngspice_few_results.json").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if "megabytes" not in key and "seconds" not in key}


@pytest.fixture
def interrupted(saved, tmp_path, monkeypatch):
    """The arguments of a run over five images that was finished, then begun again and interrupted after three, of which two are
    a range's; its checkpoint."""
    monkeypatch.setattr(layer_reads, "RANGE", 2)
    arguments = ["--data", "digits", "--voltages", str(saved), "--samples", "5", "--jobs", "1", "--figures", str(tmp_path)]
    layers_in_ngspice.main(arguments)
    add = Compared.add

    def stopped(self, *reads):
        if len(self.spikes) == 3:
            raise KeyboardInterrupt
        add(self, *reads)
    monkeypatch.setattr(Compared, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        layers_in_ngspice.main(arguments)
    monkeypatch.setattr(Compared, "add", add)
    return arguments, tmp_path / "layers_in_ngspice_few_results.json.checkpoint"


def test_interrupted_it_goes_on_where_it_was_and_finds_the_same(interrupted, tmp_path, monkeypatch):
    arguments, checkpoint = interrupted
    before, read = results_of(tmp_path), []
    with pytest.raises(NotOverwritten, match="holds 2 reads of an interrupted run; --resume goes on"):
        layers_in_ngspice.main(arguments)
    monkeypatch.setattr(layers_in_ngspice, "read_layers",
                        lambda network, images, jobs: read.append(len(images)) or read_layers(network, images, jobs))
    layers_in_ngspice.main([*arguments, "--resume"])
    after = results_of(tmp_path)
    assert read == [3] and not checkpoint.exists()
    errors = [found["layer_by_layer_beside_closed_form"].pop(key) for found in (before, after)
              for key in ("largest_error_of_layers", "mean_largest_error_of_layers")]
    assert after == before
    assert errors[2:] == [pytest.approx(error, rel=1e-6) for error in errors[:2]]


def test_all_reads_are_kept_before_they_are_judged(saved, tmp_path, monkeypatch):
    read, kept = layers_in_ngspice.Reading.read, []

    def looked_at(self, jobs):
        read(self, jobs)
        with np.load(tmp_path / "layers_in_ngspice_few_results.json.checkpoint") as arrays:
            kept.append(int(arrays["done"]))
    monkeypatch.setattr(layers_in_ngspice.Reading, "read", looked_at)
    places = ["--voltages", str(saved), "--figures", str(tmp_path)]
    layers_in_ngspice.main(["--data", "digits", "--samples", "2", "--jobs", "1", *places])
    assert kept == [2]


def test_a_checkpoint_of_other_states_or_of_too_many_reads_is_refused(interrupted, saved, tmp_path):
    arguments, checkpoint = interrupted
    with np.load(checkpoint) as arrays:
        content = dict(arrays)
    before = checkpoint.read_bytes()
    for crafted, words in (({"done": np.array(6)}, "6 of 5 images"), ({"done": np.array(0)}, "0 of 5 images"),
                           ({"done": np.array(3)}, "3 of 5 images"), ({"cpu_seconds": -content["cpu_seconds"]}, "negative"),
                           ({"errors": content["errors"] - 1}, "negative")):
        np.savez_compressed(tmp_path / "more.npz", **{**content, **crafted})
        (tmp_path / "more.npz").replace(checkpoint)
        with pytest.raises(VoltagesError, match=words):
            layers_in_ngspice.main([*arguments, "--resume"])
    with pytest.raises(NotOverwritten, match=r"negative errors or times; --force overwrites it"):
        layers_in_ngspice.main(arguments)
    checkpoint.write_bytes(before)
    changed = json.loads(saved.read_text(encoding="utf-8"))
    changed["layers"][-1][0][0] += 0.01
    saved.write_text(json.dumps(changed), encoding="utf-8")
    results = tmp_path / "layers_in_ngspice_few_results.json"
    finished = results.read_bytes()
    with pytest.raises(NotOverwritten, match="other parameters: the network's voltages"):  # of the results that are there
        layers_in_ngspice.main([*arguments, "--resume"])
    with pytest.raises(VoltagesError, match="other parameters: the network's voltages"):  # of the checkpoint
        layers_in_ngspice.main([*arguments, "--resume", "--force"])
    assert results.read_bytes() == finished
    results.unlink()
    with pytest.raises(VoltagesError, match="other parameters: the network's voltages"):
        layers_in_ngspice.main([*arguments, "--resume"])


def test_an_interruption_within_the_first_range_promises_nothing(interrupted, monkeypatch, capsys):
    arguments, checkpoint = interrupted
    before = checkpoint.read_bytes()

    def stopped(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(Compared, "add", stopped)
    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt):
        layers_in_ngspice.main([*arguments, "--force"])
    assert "--resume" not in capsys.readouterr().out and checkpoint.read_bytes() == before


def test_an_interruption_among_the_whole_networks_keeps_the_reads(saved, tmp_path, monkeypatch):
    arguments = ["--data", "digits", "--voltages", str(saved), "--samples", "2", "--whole", "1", "--figures", str(tmp_path)]
    layers_in_ngspice.main(arguments)
    before = results_of(tmp_path)

    def stopped(*_):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(layers_in_ngspice, "read_whole", stopped)
        with pytest.raises(KeyboardInterrupt):
            layers_in_ngspice.main(arguments)
    read = []
    monkeypatch.setattr(layers_in_ngspice, "read_layers",
                        lambda network, images, jobs: read.append(len(images)) or read_layers(network, images, jobs))
    layers_in_ngspice.main([*arguments, "--jobs", "2", "--resume"])
    assert read == [0] and results_of(tmp_path) == before


def test_seconds_and_memory_are_those_of_all_reads(saved, tmp_path, monkeypatch, capsys):
    """Three images by one process, one by another; the first, whose process is small again, is read before an interruption."""
    monkeypatch.setattr(layers_in_ngspice, "EARLY", 2)
    monkeypatch.setattr(layer_reads, "RANGE", 1)
    arguments = ["--data", "digits", "--voltages", str(saved), "--samples", "4", "--jobs", "1", "--figures", str(tmp_path)]
    read = list(read_layers(*network_and_images(saved), 1))
    told = [LayeredRead(read[k].layers, 10.0**k, number, megabytes)
            for k, (number, megabytes) in enumerate([(1, 50.0), (2, 60.0), (3, 90.0), (1, 40.0)])]

    def given(count):
        def reads(network, images, jobs):
            yield from told[-len(images):][:count]
            if count:
                raise KeyboardInterrupt
        return reads
    monkeypatch.setattr(layers_in_ngspice, "read_layers", given(1))
    with pytest.raises(KeyboardInterrupt):
        layers_in_ngspice.main(arguments)
    monkeypatch.setattr(layers_in_ngspice, "read_layers", given(None))
    layers_in_ngspice.main([*arguments, "--resume"])
    found = json.loads((tmp_path / "layers_in_ngspice_few_results.json").read_text(encoding="utf-8"))
    assert found["cpu_seconds_an_image"] == pytest.approx(1111 / 4)
    assert (found["megabytes_after_1000_reads"], found["megabytes_at_the_end"]) == (60, 90)
    monkeypatch.setattr(layers_in_ngspice, "EARLY", 4)  # which no process of several need have read
    layers_in_ngspice.main([*arguments, "--force"])
    assert "memory:" not in capsys.readouterr().out.rpartition("wrote")[2]


def network_and_images(saved):
    """The network in the file `saved`, and four images."""
    return load_network(saved, TASKS["digits"], 10)[0], TASKS["digits"].data(10, TASKS["digits"].rule.seed).test_images[:4]


def test_results_of_another_network_in_the_same_file_are_not_overwritten(saved, tmp_path):
    arguments = ["--data", "digits", "--voltages", str(saved), "--samples", "2", "--figures", str(tmp_path)]
    layers_in_ngspice.main(arguments)
    changed = json.loads(saved.read_text(encoding="utf-8"))
    changed["layers"][-1][0][0] += 0.01
    saved.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(NotOverwritten, match="other parameters: the network's voltages"):
        layers_in_ngspice.main(arguments)


def test_places_and_counts_that_make_no_sense_are_refused_before_any_read(saved, tmp_path, capsys):
    arguments = ["--data", "digits", "--voltages", str(saved), "--samples", "2", "--figures", str(tmp_path)]
    with pytest.raises(SystemExit):
        layers_in_ngspice.main([*arguments, "--whole", "3"])
    assert "--whole: there are 2 images, got 3" in capsys.readouterr().err
    (tmp_path / "layers_in_ngspice_few_results.json.checkpoint").mkdir()
    with pytest.raises(FileProblem, match="checkpoint cannot be written"):
        layers_in_ngspice.main([*arguments, "--force"])


def test_whole_networks_that_stay_silent_are_read_to_the_end_of_the_window(saved):
    network, images = network_and_images(saved)
    beside_formula, layered = read_whole(network, np.zeros_like(images[:1]), NgspiceSession())
    assert beside_formula.others == layered.others == [] and len(layered.spikes) == 1


@pytest.mark.parametrize("rule", [None, 5, {"seed": 1, "nonsense": 2}])
def test_voltages_without_a_rule_that_can_be_used_are_one_line(saved, rule, tmp_path, capsys):
    saved.write_text(json.dumps(json.loads(saved.read_text()) | {"learning": rule}))
    assert run(layers_in_ngspice.main, ["--data", "digits", "--voltages", str(saved), "--figures", str(tmp_path)]) == 2
    assert f"{saved}: its rule cannot be used" in one_line(capsys.readouterr().err)


def test_reads_layer_by_layer_are_held_against_the_whole_networks_own(saved, monkeypatch):
    """Both are played: the whole network is 1 us late, reads layer by layer are 0.4 us early."""
    network, images = network_and_images(saved)
    stops = []
    monkeypatch.setattr(layers_in_ngspice, "LayeredReader", lambda *_: SimpleNamespace(
        read=lambda network, image: ([times[0] - 0.4e-6 for times in network.forward(image[None])], None)))
    monkeypatch.setattr(layers_in_ngspice, "WholeNetwork", lambda session, network: SimpleNamespace(
        read=lambda image, stop: stops.append(stop) or [times[0] + 1e-6 for times in network.forward(image[None])]))
    formula, layered = (found.as_dict() for found in layers_in_ngspice.read_whole(network, images, None))
    assert stops == pytest.approx(np.sort(network.first_spikes(images))[:, 1] + 3e-6)  # beyond the second spikes
    assert formula["largest_error_of_layers"] == pytest.approx([1e-6, 1e-6])
    assert layered["largest_error_of_layers"] == pytest.approx([1.4e-6, 1.4e-6])
    silent = SimpleNamespace(spikes=[np.full(10, np.nan)] * len(images), as_dict=dict)
    reading = SimpleNamespace(cpu_seconds=1.0, early=None, largest=None, found=silent)
    found = layers_in_ngspice.judged(reading, network, images, np.nanargmin(network.first_spikes(images), axis=1))
    assert (found["ngspice"]["strict_accuracy"], found["closed_form"]["strict_accuracy"]) == (0, 1)


def test_images_that_are_read_are_those_that_the_networks_own_seed_held_back(saved, tmp_path, monkeypatch):
    """Another seed's test images were learned, four of five."""
    content, seen = json.loads(saved.read_text(encoding="utf-8")), []
    content["learning"]["seed"] = 7
    saved.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(layers_in_ngspice, "warn_of_layers", lambda network, images: seen.append(images))

    def read(reading, jobs):
        seen.append(reading._images)
        raise KeyboardInterrupt
    monkeypatch.setattr(layers_in_ngspice.Reading, "read", read)
    with pytest.raises(KeyboardInterrupt):
        layers_in_ngspice.main(["--data", "digits", "--voltages", str(saved), "--samples", "5", "--figures", str(tmp_path)])
    own, others = (TASKS["digits"].data(8, seed).test_images[:5] for seed in (7, 1))
    assert len(seen) == 2 and all(np.array_equal(images, own) for images in seen) and not np.array_equal(own, others)


def test_a_network_for_images_of_another_size_is_looked_for_under_its_own_name(tmp_path, monkeypatch):
    asked = []

    def looked_for(path, task, size):
        asked.append((path.name, task.name, size))
        raise KeyboardInterrupt
    monkeypatch.setattr(layers_in_ngspice, "load_network", looked_for)
    for size in ([], ["--size", "7"]):
        with pytest.raises(KeyboardInterrupt):
            layers_in_ngspice.main([*size, "--figures", str(tmp_path)])
    assert asked == [("layers_mnist.json", "mnist", 10), ("layers_mnist_7x7.json", "mnist", 7)]


@pytest.mark.parametrize(("every", "at"), [(-1.0, [1, 2, 3, 4, 4]), (1e9, [4])])  # and at the end
def test_reads_are_saved_on_the_way_each_time_that_so_many_seconds_are_over(saved, tmp_path, monkeypatch, every, at):
    """Else a run of hours that is killed leaves nothing."""
    (network, images), kept = network_and_images(saved), []
    spikes = [[layer[k] for layer in network.forward(images)] for k in range(4)]
    monkeypatch.setattr(layers_in_ngspice, "CHECKPOINT_EVERY", every)
    monkeypatch.setattr(layers_in_ngspice, "read_layers", lambda *_: (LayeredRead(one, 1.0, 1, None) for one in spikes))
    monkeypatch.setattr(layers_in_ngspice.Reading, "save", lambda reading: kept.append(len(reading.found.spikes)))
    layers_in_ngspice.Reading(network, images, {}, tmp_path / "checkpoint").read(1)
    assert kept == at
