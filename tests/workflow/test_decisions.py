"""The decisions of tests that ended early: whose they are is said, fewer replace none, another network's stay."""

import argparse
import csv
import gzip

import numpy as np
import pytest

from memristive.cli import testing
from memristive.cli.experiments import describe, mnist_experiment
from memristive.io.claims import NotOverwritten
from memristive.io.predictions import Partial, decisions_table, refuse_fewer, table_path
from memristive.io.voltages import Voltages, save_voltages
from memristive.single_layer.pulses import Schedule
from studies import layers

SPIKES = np.array([[1e-5, 3e-5], [3e-5, 2e-5], [np.nan, np.nan]])


def kept(partial, count):
    """Keep the decisions of so many images; what is said of that."""
    return partial.keep(range(count), np.arange(count), SPIKES[:count], Schedule(), 2e-8)


def images_in(partial):
    """How many decisions there are, below the line that says whose."""
    lines = gzip.decompress(partial.path.read_bytes()).decode().splitlines(keepends=True)
    assert lines[0] == partial.heading and lines[1].startswith("image,label,decision,paper_decision,")
    return len(list(csv.DictReader(lines[1:])))


def test_table_has_a_line_of_each_image_and_is_the_same_from_the_same_run():
    spikes = np.vstack([SPIKES, [[10.01e-6, 10e-6]]])
    table = decisions_table(range(5, 9), np.array([0, 1, 1, 0]), spikes, Schedule(), 2e-8)
    assert gzip.decompress(table).decode().splitlines(keepends=True) == [
        "image,label,decision,paper_decision,lead_us,spike_0_us,spike_1_us\n", "5,0,0,0,20.0000,10.0000,30.0000\n",
        "6,1,1,1,10.0000,30.0000,20.0000\n", "7,1,silent,0,,,\n", "8,0,tied,1,0.0100,10.0100,10.0000\n"]
    assert table[4:8] == bytes(4)  # the time of day
    line = gzip.decompress(decisions_table([1], np.array([1]), SPIKES[:1], None, 2e-8, "# of\n")).decode()
    assert line == "# of\nimage,label,decision,lead_us,spike_0_us,spike_1_us\n1,1,0,20.0000,10.0000,30.0000\n"
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        decisions_table(range(4), np.arange(3), spikes, None, 2e-8)


def test_decisions_without_results_are_not_replaced_by_fewer(tmp_path):
    table, results = (tmp_path / f"test_{what}" for what in ("decisions.csv.gz", "results.json"))

    def asked(count, force=False):
        refuse_fewer(argparse.Namespace(figures=tmp_path, force=force), "test", count)
    assert table_path(tmp_path, "test") == table
    asked(0)
    table.write_bytes(decisions_table(range(3), np.arange(3), SPIKES, None, 2e-8))
    asked(3)
    asked(2, force=True)
    with pytest.raises(NotOverwritten, match=rf"^{table} holds the decisions of 3 images, without their results; --force "
                                             r"overwrites it, or write elsewhere$"):
        asked(2)
    results.touch()
    asked(2)


def test_fewer_images_do_not_replace_more_of_an_earlier_run(tmp_path):
    partial = Partial.of(tmp_path, "test", {"samples": 3, "network": {"size": np.int64(10)}})
    partial.drop(-1)  # there is none
    partial.path.write_bytes(gzip.compress(b"# another's, of no image\n"))
    partial.refuse_another(force=False)
    assert partial.path == tmp_path / "test_partial_decisions.csv.gz" and partial.heading == '# {"network": {"size": 10}}\n'
    for count, stay, said in ((2, 2, "2 finished images are kept"), (3, 3, "3 finished images are kept"),
                              (2, 3, "3 finished images of an earlier run are kept"), (3, 3, "3 finished images are kept")):
        assert kept(partial, count) == f"{said} in {partial.path}" and images_in(partial) == stay
    assert kept(partial, 0) == "" and images_in(partial) == 3
    whole = partial.path.read_bytes()
    for garbled in (b"", b"no gzip", whole[:-9], gzip.compress(b"\xff\xfe")):
        partial.path.write_bytes(garbled)
        partial.refuse_another(force=False)
        kept(partial, 2)
        assert images_in(partial) == 2


def test_another_networks_decisions_are_replaced_by_force_alone(tmp_path):
    one, other = (Partial.of(tmp_path, "test", {"network": k, "samples": k}) for k in (1, 2))
    one.path.write_bytes(gzip.compress(f"{one.heading}image\n".encode()))
    with pytest.raises(NotOverwritten):
        other.refuse_another(force=False)
    kept(one, 3)
    one.refuse_another(force=False)
    with pytest.raises(NotOverwritten, match=rf"^{one.path} holds decisions of another network or with other options, as its "
                                             "first line says, of a test that was stopped; --force overwrites it, or write "
                                             "elsewhere$"):
        other.refuse_another(force=False)
    other.refuse_another(force=True)
    assert "1 finished images are kept" in kept(other, 1) and images_in(other) == 1


def test_decisions_go_once_there_are_as_many_others(tmp_path):
    partial, other = (Partial.of(tmp_path, "test", {"network": k}) for k in (1, 2))
    partial.drop(0)
    for count, stays in ((1, True), (2, False), (3, False)):
        kept(partial, 2)
        partial.drop(count)
        assert partial.path.exists() == stays
    kept(partial, 3)
    other.drop(1)  # they were replaced by force
    assert not partial.path.exists()


def test_page_refuses_another_networks_decisions_before_any_image_is_read(tmp_path, monkeypatch):
    """The states count, not the name of their file."""
    options = ["--engine", "closed-form", "--samples", "20", "--figures", str(tmp_path)]

    def stopped(*arguments):
        raise KeyboardInterrupt
    computed = testing._computed
    monkeypatch.setattr(testing, "BATCH", 8)
    monkeypatch.setattr(testing, "_computed", lambda *given: computed(*given) if given[-1] < 8 else stopped())
    with pytest.raises(KeyboardInterrupt):
        testing.testing_script("", options)
    partial, = tmp_path.glob("*partial*")
    before = partial.read_bytes()
    assert b"# {" in gzip.decompress(before) and b'"engine": "closed-form"' in gzip.decompress(before)
    monkeypatch.setattr(testing, "_read", lambda *given: pytest.fail("images were read"))
    load = testing.load_voltages
    with monkeypatch.context() as another:
        another.setattr(testing, "load_voltages", lambda *given: (found := load(*given)) and found.__class__(
            **{**vars(found), "states": found.states + 1e-6}))
        with pytest.raises(NotOverwritten, match="decisions of another network"):
            testing.testing_script("", options)
    with pytest.raises(NotOverwritten, match="or with other options"):
        testing.testing_script("", [*options, "--input-voltage", "1.1"])
    assert partial.read_bytes() == before
    monkeypatch.undo()
    testing.testing_script("", [*options[:3], "4", *options[4:]])
    assert partial.read_bytes() == before  # of more images
    testing.testing_script("", [*options, "--force"])
    assert not partial.exists()


def test_layers_refuse_to_train_or_test_over_another_networks_decisions(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "draw", lambda *arguments: None)
    xor = ["--data", "xor", "--test-engine", "closed-form"]
    places = [*xor, "--figures", str(tmp_path), "--voltages", str(tmp_path / "xor.json")]
    train = [*places, "--presentations", "40", "--seeds", "2"]
    stopped, made = [], layers.partial_of

    def partial_of(*given):
        stopped.append(made(*given))
        return stopped[-1]
    monkeypatch.setattr(layers, "partial_of", partial_of)
    layers.main(train)
    second = stopped[-1]
    assert second.path.name == "layers_xor_seed_2_partial_decisions.csv.gz" and '"seed": 2' in second.heading
    kept(second, 3)
    layers.main([*train[:-1], "1", "--force"])  # the first of them has a file of its own
    layers.main([*train, "--force", "--samples", "2"])
    assert images_in(second) == 3  # of more images
    new = tmp_path / "new"
    new.mkdir()
    (new / second.path.name).write_bytes(second.path.read_bytes())
    with pytest.raises(NotOverwritten, match="decisions of another network"):
        layers.main([*xor, "--presentations", "41", "--seeds", "2", "--figures", str(new), "--voltages", str(new / "xor.json")])
    test = [*places, "--test-only"]
    other = Partial.of(tmp_path, "layers_xor_test_by_closed_form", {"network": 1})
    kept(other, 3)
    with pytest.raises(NotOverwritten, match="decisions of another network"):
        layers.main(test)
    layers.main([*test, "--force"])
    assert not other.path.exists()


@pytest.mark.parametrize(("rule", "decision"), [("hebbian", "tied"), ("error-driven", "3")])
def test_lines_of_the_table_tie_by_the_rule_that_wrote_the_voltages(tmp_path, monkeypatch, rule, decision):
    """A lead of 0.3 us, which is none of a Hebbian network; the scores beside the table count it so as well."""
    spikes = np.full((4, 10), 50e-6)
    spikes[:, 3] -= 0.3e-6
    monkeypatch.setattr(testing, "draw", lambda *given: None)
    monkeypatch.setattr(testing, "_read", lambda *given: spikes)
    path = tmp_path / "v.json"
    save_voltages(path, Voltages(np.full((10, 16), 3.0), "mnist", "binary", rule, describe(mnist_experiment(4))))
    testing.testing_script("", ["--engine", "closed-form", "--size", "4", "--samples", "4", "--voltages", str(path),
                                "--figures", str(tmp_path)])
    table, = tmp_path.glob("*_decisions.csv.gz")
    with gzip.open(table, "rt", newline="") as file:
        assert [line["decision"] for line in csv.DictReader(file)] == [decision] * 4
