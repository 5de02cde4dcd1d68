"""A file has one writer, who asks before overwriting what was made otherwise."""

import errno
import fcntl
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memristive.io.claims import NotOverwritten, claimed, differences, locked, refuse_overwriting
from memristive.io.files import FileProblem
from memristive.io.voltages import checksum
from tests.helpers import ROOT

HOLD = ("import sys; from memristive.io.claims import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); sys.stdin.read()")


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a file: (process, the file)."""
    path = tmp_path / "some.json"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process, path
        process.kill()


def test_a_lock_keeps_others_out_and_names_its_holder(holder):
    process, path = holder
    with pytest.raises(FileProblem, match=rf"some\.json is being written by another run \(process {process.pid}\)"), locked(path):
        pass
    linked = path.with_name("link.json")
    path.touch()
    linked.symlink_to(path)
    with pytest.raises(FileProblem), locked(linked):
        pass


def test_the_lock_of_a_killed_process_blocks_nobody(holder):
    process, path = holder
    process.kill()
    process.wait()
    assert [file.name for file in path.parent.iterdir()] == [".some.json.lock"]
    with locked(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_free_again_after_its_holder_has_ended_well(holder):
    process, path = holder
    process.communicate("")
    with locked(path):
        assert path.with_name(".some.json.lock").read_text() == str(os.getpid())


COUNT = r"""
import sys, time
from pathlib import Path
from memristive.io.claims import locked
from memristive.io.files import FileProblem
path, done = Path(sys.argv[1]), 0
while done < 30:
    try:
        with locked(path):
            number = int(path.read_text())
            time.sleep(0.0005)
            path.write_text(str(number + 1))
            done += 1
    except FileProblem:
        time.sleep(0.0002)
"""


def test_of_many_that_lock_and_free_at_once_never_do_two_hold(tmp_path):
    """A lock's file is removed with it: nobody may hold one that is no longer there. Four count to 120 together."""
    path = tmp_path / "count"
    path.write_text("0")
    running = [subprocess.Popen([sys.executable, "-c", COUNT, str(path)], cwd=ROOT) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    assert path.read_text() == "120"


def test_differences_are_named_as_options():
    stored = {"shape": [10, 10], "network": {"neuron": {"threshold": 4.0, "hysteresis": 0.1}}, "rule": "hebbian"}
    now = {"shape": [14, 14], "network": {"neuron": {"threshold": 4.5, "hysteresis": 0.1, "younger": 1.0}}, "rule": "hebbian"}
    assert differences(stored, now) == ["--size ([10, 10] there, [14, 14] now)", "--threshold (4 there, 4.5 now)"]
    assert differences(stored, stored) == []
    chips = [{"chip": {"seed": 1, "cell_gain": gain}, "seed": 1} for gain in (0.1, 0.2)]
    assert differences(*chips) == ["--chip-cell-gain (0.1 there, 0.2 now)"]
    one = {"chip": {"seed": 1}}
    assert differences(one, {"chip": None}) == ["--chip ({'seed': 1} there, None now)"]
    assert differences({}, one) == ["--chip (None there, {'seed': 1} now)"]


def test_differences_of_what_no_option_or_another_sets_have_names_of_their_own():
    """And what older files do not mention had its usual value: no age, no table."""
    stored, now = ({"random_state": k, "low": [k / 2], "classes": [k]} for k in (1, 2))
    assert differences(stored, now) == [
        "--seed (1 there, 2 now)", "the features' lowest values ([0.5] there, [1.0] now)", "the classes ([1] there, [2] now)"]
    assert differences({}, {"age": 5.0, "table": 77}) == ["--age (0 there, 5 now)", "the table's values (None there, 77 now)"]
    assert differences({"age": 5.0}, {}) == ["--age (5 there, 0 now)"] and differences({}, {"age": 0.0}) == []


@pytest.mark.parametrize("content", ["not json", "[1, 2]", "", '{"parameters": 3}', "\x00", "[" * 100_000], ids=range(6))
def test_what_no_script_wrote_is_not_overwritten(tmp_path, content):
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(NotOverwritten, match="nothing that this script wrote; --force"):
        refuse_overwriting(path, {"seed": 1})


RESULTS, VOLTAGES = {}, {"format": "voltages"}  # what is written besides the parameters


@pytest.mark.parametrize(("inside", "kind"), [
    (lambda parameters: parameters | VOLTAGES, VOLTAGES),
    (lambda parameters: {"parameters": parameters, "accuracy": 1}, RESULTS)])
def test_parameters_are_compared_wherever_the_file_has_them(tmp_path, inside, kind):
    """Voltages files have them at the top, results under a key of their own."""
    path = tmp_path / "some.json"
    path.write_text(json.dumps(inside({"seed": 1, "network": {"threshold": 4.0}})))
    refuse_overwriting(path, {"seed": 1, "network": {"threshold": 4.0}} | kind)
    with pytest.raises(NotOverwritten, match=r"--seed \(1 there, 2 now\), --threshold \(4 there, 5 now\); --force"):
        refuse_overwriting(path, {"seed": 2, "network": {"threshold": 5.0}} | kind)


@pytest.mark.parametrize("content", [
    {"my": "notes"}, {"seed": 1}, {"xsnn.xmemristor_p0_0.cmem": 7.0}, {"nbformat": 4, "cells": []}, {"parameters": {}},
    {"parameters": {"seed": 1}, "accuracy": 1}, {"format": "voltages", "seed": 1},
    {"format": "chip", "seed": 1}, {"format": None}])
def test_a_file_of_another_kind_is_not_overwritten(tmp_path, content):
    """A user's notes, a notebook, the paper's published layout: no parameter of theirs differs, since they have none."""
    path = tmp_path / "some.json"
    path.write_text(json.dumps(content))
    kinds = (VOLTAGES, "format" in content and content["format"] == "voltages"), (RESULTS, bool(content.get("parameters")))
    for kind, fine in kinds:
        if fine:
            refuse_overwriting(path, {"seed": 1} | kind)
        else:
            with pytest.raises(NotOverwritten, match="nothing that this script wrote; --force"):
                refuse_overwriting(path, {"seed": 1} | kind)


@pytest.mark.parametrize(("option", "usual", "other"), [("engine", "ngspice", "closed-form"), ("chip", None, {"seed": 1})])
def test_what_parameters_do_not_mention_is_the_usual(tmp_path, option, usual, other):
    """Files older than the engines were made by ngspice; an ideal chip is not mentioned."""
    path = tmp_path / "some.json"
    for stored, now, differ in (({}, {option: usual}, False), ({}, {option: other}, True), ({option: other}, {}, True),
                                ({option: other}, {option: other}, False)):
        path.write_text(json.dumps({"parameters": {"seed": 1} | stored}))
        if differ:
            with pytest.raises(NotOverwritten, match=f"--{option}"):
                refuse_overwriting(path, now)
        else:
            refuse_overwriting(path, now)


@pytest.mark.parametrize(("stored", "differ"), [({"rule": "stdp"}, False), ({"rule": "error-driven"}, True), ({}, True)])
def test_voltages_of_another_rule_are_not_overwritten(tmp_path, stored, differ):
    """The oldest files name none: they are of the Hebbian rule."""
    path = tmp_path / "some.json"
    path.write_text(json.dumps(VOLTAGES | stored))
    if differ:
        with pytest.raises(NotOverwritten, match=rf"--rule \({stored.get('rule', 'hebbian')} there, stdp now\)"):
            refuse_overwriting(path, VOLTAGES | {"rule": "stdp"})
    else:
        refuse_overwriting(path, VOLTAGES | {"rule": "stdp"})
    assert refuse_overwriting(path, VOLTAGES) is None


def test_a_claim_leaves_nothing_behind(tmp_path):
    paths = [(tmp_path / "new" / "a.json", {"seed": 1}), (tmp_path / "b.json", {})]
    with claimed(paths, [tmp_path / "c.cir"]), pytest.raises(FileProblem), claimed(paths):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]
    paths[0][0].write_text('{"seed": 2}')
    with pytest.raises(NotOverwritten), claimed(paths):
        pass
    with claimed(paths, force=True):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "new"]


@pytest.mark.parametrize(("made_with", "others"), [
    (["a.json"], ["./a.json"]), (["a.json", "a.json"], []), (["a.json", "./a.json"], []), ([], ["a.json", "a.json"])])
def test_one_file_for_two_things_is_refused(tmp_path, made_with, others):
    with pytest.raises(NotOverwritten, match="the same"), claimed([(tmp_path / name, {}) for name in made_with],
                                                                  [tmp_path / name for name in others]):
        pass


def test_what_is_no_file_holds_nothing_that_could_be_overwritten():
    refuse_overwriting("/dev/null", {"seed": 1})


def test_one_file_by_two_ways_is_one_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(NotOverwritten, match="two of the files to write are the same"), \
            claimed([(tmp_path / "some.json", {})], [tmp_path / "link" / "some.json"]):
        pytest.fail("both were claimed")


def test_files_without_parameters_are_locked_too(tmp_path):
    path = tmp_path / "c.cir"
    with claimed([], [path]), pytest.raises(FileProblem, match="by another run"), claimed([], [path]):
        pass
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.json", Path("/proc/none/a.json")):
        with pytest.raises(FileProblem, match=f"{path} cannot be written"), claimed([(path, {})]):
            pass
        with pytest.raises(FileProblem, match=f"{path} cannot be written"), claimed([], [path]):
            pass


def test_lock_may_be_taken_by_whoever_may_write_and_names_its_holder_even_if_it_does_not_say(tmp_path):
    path, lock = tmp_path / "some.json", tmp_path / ".some.json.lock"
    before = os.umask(0o022)
    try:
        with locked(path):
            assert stat.S_IMODE(lock.stat().st_mode) == 0o644
    finally:
        os.umask(before)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"\xff\xfe")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(FileProblem, match=r"by another run \(process .+\); wait for it"), locked(path):
        pass
    os.close(descriptor)


def test_lock_whose_file_was_just_removed_is_taken_anew(tmp_path, monkeypatch):
    """Its holder ended between this process's opening and locking it."""
    path, lock, taken = tmp_path / "some.json", tmp_path / ".some.json.lock", []

    def flock(descriptor, kind, flock=fcntl.flock):
        flock(descriptor, kind)
        taken.append(descriptor)
        if len(taken) == 1:
            lock.unlink()
    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(path):
        assert len(taken) == 2 and lock.read_text() == str(os.getpid())
    assert not lock.exists()


def test_long_values_are_cut_and_many_differences_are_summed_up(tmp_path):
    assert differences({"input_voltage": "x" * 40}, {"input_voltage": "x" * 41}) == [
        f"--input-voltage ({'x' * 40} there, {'x' * 37}... now)"]
    path = tmp_path / "some.json"
    path.write_text(json.dumps({"parameters": dict.fromkeys("abcd", 1)}))
    with pytest.raises(NotOverwritten, match=r": --a \(1 there, 2 now\), --b [^-]*, --c \(1 there, 2 now\); --force"):
        refuse_overwriting(path, dict.fromkeys("abc", 2))
    with pytest.raises(NotOverwritten, match=r": --a \(1 there, 2 now\), --b [^-]*, --c \(1 there, 2 now\) and more; --force"):
        refuse_overwriting(path, dict.fromkeys("abcd", 2))


def test_lock_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / ".some.json.lock").mkdir()
    with pytest.raises(FileProblem, match=r"some.json cannot be claimed: .*\.some\.json\.lock: Is a directory"), \
            locked(tmp_path / "some.json"):
        pass


def test_lock_needs_no_room_for_a_name(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "pwrite", full)
    with locked(tmp_path / "some.json"):
        monkeypatch.undo()
        with pytest.raises(FileProblem, match="by another run"), locked(tmp_path / "some.json"):
            pass
    assert not list(tmp_path.iterdir())


def test_of_several_files_each_is_held_against_its_own_parameters(tmp_path):
    paths = [tmp_path / f"{name}.json" for name in "abc"]
    for seed, path in enumerate(paths[:2]):
        path.write_text(json.dumps({"parameters": {"seed": seed}}), encoding="utf-8")
    paths[2].write_text("whatever", encoding="utf-8")
    with claimed([(paths[0], {"seed": 0}), (paths[1], {"seed": 1}), (paths[2], {})]):
        pass
    with pytest.raises(NotOverwritten, match=r"b\.json was made with other parameters: --seed \(1 there, 2 now\)"), \
            claimed([(paths[0], {"seed": 0}), (paths[1], {"seed": 2})]):
        pytest.fail("claimed all the same")


@pytest.mark.parametrize("content", [{"voltages": [[1.0, 2.0]]}, {"layers": [[[1.0]], [[2.0]]]}])
def test_voltages_that_somebody_has_changed_since_are_not_overwritten(tmp_path, content):
    path, name = tmp_path / "v.json", next(iter(content))
    layers = content[name] if name == "layers" else [content[name]]
    trained = {"format": "some", "seed": 1, **content, "states": checksum(*(np.array(layer) for layer in layers))}
    path.write_text(json.dumps(trained))
    refuse_overwriting(path, {"format": "some", "seed": 1})
    path.write_text(json.dumps({**trained, name: [[[3.0]], [[2.0]]] if name == "layers" else [[1.0, 2.5]]}))
    with pytest.raises(NotOverwritten, match=r"parameters: the network's voltages \(changed since\);"):
        refuse_overwriting(path, {"format": "some", "seed": 1})
    with pytest.raises(NotOverwritten, match=r"--seed .* the network's voltages"):
        refuse_overwriting(path, {"format": "some", "seed": 2})
    path.write_text(json.dumps({**trained, name: "none"}))
    with pytest.raises(NotOverwritten, match="nothing that this script wrote"):
        refuse_overwriting(path, {"format": "some", "seed": 1})


def states(number, as_trained):
    return {"states": {"number": number, "as_trained": as_trained}}


@pytest.mark.parametrize(("stored", "now", "differs"), [
    (states(5, True), states(6, True), ""), (states(5, True), states(5, False), ""), (states(5, False), states(5, False), ""),
    (states(5, True), states(6, False), "(5 there, 6 now)"), (states(5, False), states(6, True), "(5 there, 6 now)"),
    (states(5, False), states(6, False), "(5 there, 6 now)"), ({}, states(6, False), ""), ({"states": 6}, states(6, True), ""),
    ({"states": 5}, states(6, True), "(5 there, 6 now)"), ({"states": 5}, {"states": 5}, ""),
    ({"states": 5}, {"states": 6}, "(5 there, 6 now)"), ({"states": {}}, states(6, True), "(None there, 6 now)")])
def test_results_are_of_the_states_that_they_name(tmp_path, stored, now, differs):
    """Trained again, a network's last digits are others; older results name a number, or nothing."""
    path = tmp_path / "some_results.json"
    for inside in (lambda said: said, lambda said: {"grey": said}):
        path.write_text(json.dumps({"parameters": {"seed": 1, **inside(stored)}}))
        if differs:
            with pytest.raises(NotOverwritten, match=re.escape(f"the network's voltages {differs}")):
                refuse_overwriting(path, {"seed": 1, **inside(now)})
        else:
            refuse_overwriting(path, {"seed": 1, **inside(now)})
