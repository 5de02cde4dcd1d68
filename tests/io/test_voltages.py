"""The voltages file: what was saved comes back to the last bit, and whatever is wrong is told in one message."""

import dataclasses
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memristive.io.files import FileProblem
from memristive.io.voltages import (
    FORMAT,
    VERSION,
    Voltages,
    VoltagesError,
    as_trained,
    checksum,
    load_layers,
    load_voltages,
    save_layers,
    save_voltages,
    states_of,
)

CLASSES, INPUTS = 2, 3
STATES = np.array([[2.83, -0.0123456789012345, 1 / 3], [7.04, 1e-17, 5e5]])
ORIGIN = {"seed": 7, "network": {"memristor": {"transconductance": 5e-9}}, "versions": {"ngspice": 44}}
VALID = {"format": FORMAT, "version": VERSION, "dataset": "xpue", "encoding": "binary", "rule": "hebbian", **ORIGIN,
         "voltages": STATES.tolist()}
PAPER = {f"xsnn.xmemristor_p{j}_{i}.cmem": STATES[j, i] for j in range(CLASSES) for i in range(INPUTS)}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """load(content): what `load_voltages` makes of a file with this content (bytes, text or anything JSON can hold)."""
    path = tmp_path_factory.mktemp("voltages") / "some.json"

    def run(content, encodings=("binary",)):
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_voltages(path, "xpue", CLASSES, INPUTS, encodings)
    return run


def refusal(load, content, **settings):
    """The message with which a file is refused; it always begins with the file's name and is one line."""
    with pytest.raises(VoltagesError) as caught:
        load(content, **settings)
    message = str(caught.value)
    name, _, rest = message.partition("some.json: ")
    assert rest
    assert os.sep in name
    assert "\n" not in message
    return rest


def test_saved_states_come_back_to_the_last_bit(tmp_path):
    path = tmp_path / "new folder" / "some.json"
    saved = Voltages(STATES, "xpue", "grey", "error-driven", ORIGIN)
    save_voltages(path, saved)
    loaded = load_voltages(str(path), "xpue", CLASSES, INPUTS, ("binary", "grey"))
    assert loaded.states.tobytes() == STATES.tobytes()
    assert loaded.states.shape == STATES.shape
    assert (loaded.dataset, loaded.encoding, loaded.rule, loaded.origin) == ("xpue", "grey", "error-driven", ORIGIN)
    header = json.loads(path.read_text())
    assert (header["format"], header["version"]) == (FORMAT, VERSION)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=INPUTS, max_size=INPUTS), min_size=CLASSES, max_size=CLASSES))
@settings(max_examples=50)
def test_any_states_survive_the_file(load, states):
    assert load({**VALID, "voltages": states}).states.tobytes() == np.array(states).tobytes()


def test_states_that_are_no_numbers_are_never_taken_for_voltages(tmp_path):
    save_voltages(tmp_path / "some.json", Voltages(np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]), "xpue"))
    with pytest.raises(VoltagesError, match=r"cell \(class 0, input 1\) is missing, expected a voltage"):
        load_voltages(tmp_path / "some.json", "xpue", CLASSES, INPUTS)


def test_saving_where_nothing_can_be_saved_is_a_file_problem(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileProblem, match=r"some\.json cannot be written"):
        save_voltages(tmp_path / "file" / "some.json", Voltages(STATES, "xpue"))


def test_papers_flat_layout_is_read_and_all_but_its_cells_ignored(load):
    others = {"time": [0, 1], "xsnn.xmemristor_p0_0.cmem.extra": "x", "xsnn.xmemristor_p0_0.cmemory": None,
              "xsnn.xlapicque_0.membrane": 3.9, "a.xsnn.xmemristor_p9_9.cmem": 1.0, "xsnn.xmemristor_p_0.cmem": {}}
    for content in (PAPER, {**others, **PAPER}, dict(reversed({**PAPER, **others}.items()))):
        loaded = load(content)
        assert loaded.states.tobytes() == STATES.tobytes()  # class first, input second
        assert (loaded.dataset, loaded.encoding, loaded.rule, loaded.origin) == ("", "binary", "", {})


def test_papers_flat_layout_without_a_cell_or_with_one_too_many_is_refused(load):
    lacking = {key: value for key, value in PAPER.items() if "_p1_2." not in key}
    assert refusal(load, lacking) == "lacks cell (class 1, input 2), one of 1; expected 2 classes x 3 inputs"
    extra = {**PAPER, "xsnn.xmemristor_p1_3.cmem": 1.0, "xsnn.xmemristor_p2_0.cmem": 1.0}
    assert refusal(load, extra) == "has an unexpected cell (class 1, input 3), one of 2; expected 2 classes x 3 inputs"
    twice = {"xsnn.xmemristor_p0_00.cmem": 1.0, **PAPER}
    assert refusal(load, twice) == "cell (class 0, input 0) stands there twice, expected once"


TEXT = json.dumps(VALID)
FLAT = json.dumps(PAPER)
MALFORMED = {
    "empty": ("", "is empty, expected JSON"),
    "blank": (" \n\t ", "is empty, expected JSON"),
    "truncated in the numbers": (TEXT[:-10], "is truncated at line 1, column"),
    "truncated after a bracket": (TEXT[:TEXT.index("[[") + 1], "is truncated at line 1, column"),
    "truncated in a key": (TEXT[:TEXT.index("voltages") + 3], "is truncated at line 1, column"),
    "truncated in the paper's layout": (FLAT[:len(FLAT) // 2], "is truncated at line 1, column"),
    "no JSON": ("x0 = 3.0 V", "is not JSON at line 1, column 1"),
    "single quotes": (TEXT.replace('"', "'"), "is not JSON at line 1, column 2"),
    "two documents": (TEXT + TEXT, f"is not JSON at line 1, column {len(TEXT) + 1}"),
    "not UTF-8": (TEXT.encode("utf-16"), "is not text, expected JSON"),
    "Latin-1": (TEXT.replace("hebbian", "h\u00e9").encode("latin-1"), "is not text, expected JSON"),
    "list": ("[1, 2]", "holds a list, expected an object"),
    "number": ("3.0", "holds a float, expected an object"),
    "nothing": ("{}", "has neither 'format' nor a cell"),
    "other object": ('{"voltages": [[1, 2, 3], [4, 5, 6]]}', "has neither 'format' nor a cell"),
    "other format": ({**VALID, "format": "png"}, f"format is 'png', expected {FORMAT!r}"),
    "endless format": ({**VALID, "format": ["x"] * 9999}, "format is ['x', "),
    "other version": ({**VALID, "version": 2}, "format version 2, expected 1"),
    "version true": ({**VALID, "version": True}, "format version True, expected 1"),
    "version 1.0": ({**VALID, "version": 1.0}, "format version 1.0, expected 1"),
    "no version": ({k: v for k, v in VALID.items() if k != "version"}, "format version "),
    "endless version": ({**VALID, "version": "9" * 9999}, "format version '999"),
    "other dataset": ({**VALID, "dataset": "mnist"}, "trained for dataset 'mnist', expected 'xpue'"),
    "other encoding": ({**VALID, "encoding": "grey"}, "trained for encoding 'grey', expected binary; give --encoding grey"),
    "odd encoding": ({**VALID, "encoding": ["binary"]}, "trained for encoding ['binary'], expected binary"),
    "no voltages": ({k: v for k, v in VALID.items() if k != "voltages"},
                    "'voltages' is missing, expected 2 rows of 3 voltages"),
    "voltages a number": ({**VALID, "voltages": 3.0}, "'voltages' is 3.0, expected 2 rows of 3 voltages"),
    "a row too few": ({**VALID, "voltages": [[1, 2, 3]]}, "1 rows of voltages, expected 2 classes"),
    "a row too many": ({**VALID, "voltages": [[1, 2, 3]] * 3}, "3 rows of voltages, expected 2 classes"),
    "transposed": ({**VALID, "voltages": STATES.T.tolist()}, "3 rows of voltages, expected 2 classes"),
    "a cell too few": ({**VALID, "voltages": [[1, 2, 3], [4, 5]]}, "class 1 has 2 voltages, expected 3 inputs"),
    "a cell too many": ({**VALID, "voltages": [[1, 2, 3, 4], [4, 5, 6]]}, "class 0 has 4 voltages, expected 3 inputs"),
    "row a number": ({**VALID, "voltages": [[1, 2, 3], 4.5]}, "class 1 has 4.5, expected 3 inputs"),
    "row a string": ({**VALID, "voltages": [[1, 2, 3], "456"]}, "class 1 has '456', expected 3 inputs"),
    "cell missing": ({**VALID, "voltages": [[1, None, 3], [4, 5, 6]]},
                     "cell (class 0, input 1) is missing, expected a voltage"),
    "cell a string": ({**VALID, "voltages": [[1, 2, 3], [4, 5, "6"]]},
                      "cell (class 1, input 2) is '6', expected a voltage"),
    "cell true": ({**VALID, "voltages": [[1, 2, 3], [True, 5, 6]]},
                  "cell (class 1, input 0) is True, expected a voltage"),
    "cell a list": ({**VALID, "voltages": [[1, 2, [3]], [4, 5, 6]]},
                    "cell (class 0, input 2) is [3], expected a voltage"),
    "NaN": (TEXT.replace("7.04", "NaN"), "holds NaN, expected finite voltages"),
    "Infinity": (TEXT.replace("7.04", "Infinity"), "holds Infinity, expected finite voltages"),
    "-Infinity": (TEXT.replace("7.04", "-Infinity"), "holds -Infinity, expected finite voltages"),
    "beyond floats": (TEXT.replace("7.04", "1e999"), "cell (class 1, input 0) is inf, expected a voltage"),
    "huge": (TEXT.replace("7.04", "-2e6"), "cell (class 1, input 0) is -2000000.0, expected a voltage"),
    "integer beyond floats": (TEXT.replace("7.04", "1" + "0" * 400), "cell (class 1, input 0) is 1000000"),
    "integer beyond Python": (TEXT.replace("7.04", "1" + "0" * 5000), "is not usable JSON: "),
    "nested beyond Python": ("[" * 10**6, "is not usable JSON: "),
    "key twice": (TEXT.replace('"seed"', '"rule"'), "is not usable JSON: 'rule' stands there twice"),
    "voltages twice": (TEXT[:-1] + ', "voltages": []}', "is not usable JSON: 'voltages' stands there twice"),
    "paper's NaN": (FLAT.replace("7.04", "NaN"), "holds NaN, expected finite voltages"),
    "paper's cell a string": ({**PAPER, "xsnn.xmemristor_p1_0.cmem": "7.04"},
                              "cell (class 1, input 0) is '7.04', expected a voltage"),
    "paper's cell twice": (FLAT.replace("p0_1", "p0_0"), "is not usable JSON: 'xsnn.xmemristor_p0_0.cmem' stands there twice"),
    "paper's cell number beyond Python": ({**PAPER, "xsnn.xmemristor_p" + "1" * 5000 + "_0.cmem": 1.0}, None),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_file_is_refused_in_its_own_words(load, case):
    content, expected = MALFORMED[case]
    if expected is None:  # ignored as any other key, or refused: but nothing else than a VoltagesError
        try:
            assert load(content).states.tobytes() == STATES.tobytes()
        except VoltagesError:
            return
    else:
        message = refusal(load, content)
        assert message.startswith(expected)
        assert len(message) < 300  # a message, not the file


def test_encoding_has_to_be_one_of_those_asked_for(load):
    assert load({**VALID, "encoding": "grey"}, ("binary", "grey")).encoding == "grey"
    assert refusal(load, {**VALID, "encoding": "dots"}, encodings=("binary", "grey")) == (
        "trained for encoding 'dots', expected binary or grey")
    assert refusal(load, VALID, encodings=("grey",)) == "trained for encoding 'binary', expected grey; give --encoding binary"


def test_file_without_a_rule_has_none(load):
    assert load({key: value for key, value in VALID.items() if key != "rule"}).rule == ""


def test_missing_file_and_folder_are_named(tmp_path):
    for path, found in ((tmp_path / "none.json", r"none\.json: no such file"), (tmp_path, "is a folder")):
        with pytest.raises(VoltagesError, match=found):
            load_voltages(path, "xpue", CLASSES, INPUTS)
    locked = tmp_path / "file" / "some.json"
    locked.parent.write_text("")
    with pytest.raises(VoltagesError, match=r"some\.json: cannot be read: Not a directory"):
        load_voltages(locked, "xpue", CLASSES, INPUTS)


def test_every_truncation_of_a_valid_file_is_refused(load):
    for text in (TEXT, FLAT):
        for length in range(len(text)):
            assert refusal(load, text[:length])


words = st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.sampled_from([10**400, -10**4000, 10**308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3), max_leaves=5)
NASTY = [b"", b"0" * 400, b"9" * 5000, b"null", b"NaN", b"[", b"]", b"{}", b",", b'"', b"-", b"1e999", b"\xff"]


@st.composite
def mangled_bytes(draw):
    """A valid file of which bytes were deleted, replaced, repeated or put in."""
    content = draw(st.sampled_from([TEXT, FLAT])).encode()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content) - 1))
        length = draw(st.integers(0, 8))
        new = draw(st.binary(max_size=4) | st.sampled_from(NASTY))
        content = content[:at] + new + content[at + length:]
    return content


@st.composite
def mangled_values(draw):
    """A valid file of which values, somewhere in the tree, were replaced or deleted."""
    content = json.loads(draw(st.sampled_from([TEXT, FLAT])))
    for _ in range(draw(st.integers(1, 3))):
        node = content
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], (dict, list)) and draw(st.booleans()):
                node = node[key]
            elif draw(st.booleans()):
                node[key] = draw(json_values)
                break
            else:
                del node[key]
                break
    return json.dumps(content)


@pytest.mark.parametrize("mangled", [mangled_bytes(), mangled_values()], ids=["bytes", "values"])
def test_mangled_file_gives_a_voltages_error_or_an_array_that_fits(load, mangled):
    refused, accepted = [], []

    @given(mangled)
    @settings(max_examples=150)
    def check(content):
        try:
            loaded = load(content)
        except VoltagesError:
            refused.append(content)
            return
        accepted.append(content)
        assert loaded.states.shape == (CLASSES, INPUTS)
        assert loaded.states.dtype == float
        assert np.isfinite(loaded.states).all()
        assert np.abs(loaded.states).max() <= 1e6
    check()
    assert len(set(refused)) >= 40
    assert accepted  # a replaced seed does no harm


def test_layers_come_back_to_the_last_bit_and_must_fit_each_other(tmp_path):
    path, layers = tmp_path / "layers.json", [np.random.default_rng(1).normal(5, 1, shape) for shape in ((4, 3), (2, 5))]
    save_layers(path, layers, Voltages(layers[-1], "xor", "grey", "layers", ORIGIN))
    loaded, how = load_layers(path, "xor", 2, 2)
    assert all(np.array_equal(a, b) for a, b in zip(loaded, layers, strict=True))
    assert (how.dataset, how.rule, how.origin) == ("xor", "layers", ORIGIN)
    assert np.array_equal(how.states, layers[-1])
    deep = [*layers[:1], np.ones((6, 5)), np.full((2, 7), 3.0)]
    save_layers(path, deep, Voltages(deep[-1], "xor", "grey", "layers", ORIGIN))
    assert np.array_equal(load_layers(path, "xor", 2, 2)[1].states, deep[-1])
    save_layers(path, layers, Voltages(layers[-1], "xor", "grey", "layers", ORIGIN))
    with pytest.raises(VoltagesError, match=r"layers\.json: trained for dataset 'xor', expected 'mnist'"):
        load_layers(path, "mnist", 2, 2)
    with pytest.raises(VoltagesError, match=r"layers\.json: class 0 has 3 voltages, expected 4 inputs"):
        load_layers(path, "xor", 3, 2)
    with pytest.raises(VoltagesError, match="the last layer has 2 neurons, expected 3"):
        load_layers(path, "xor", 2, 3)
    for encodings in (("grey",), ("binary",)):  # what else is said would not help
        with pytest.raises(VoltagesError, match="json: holds a network of layers, which studies"):
            load_voltages(path, "xor", 2, 2, encodings)
        save_voltages(single := tmp_path / "single.json", Voltages(np.ones((2, 2)), "xor", "grey"))
        with pytest.raises(VoltagesError, match=r"json: holds a single layer, which MNIST_memristor_test\.py and"):
            load_layers(single, "xor", 2, 2, encodings)
    for wrong, found in (([], r"\[\]"), ([[]], r"\[\[\]\]"), ([3], r"\[3\]")):
        save_layers(path, wrong, Voltages(layers[-1], "xor", "grey"))
        with pytest.raises(VoltagesError, match=f"'layers' is {found}, expected a list of layers"):
            load_layers(path, "xor", 2, 2)


def test_what_was_found_is_shown_in_40_characters(load):
    for found, shown in (("x" * 38, f"'{'x' * 38}'"), ("x" * 39, f"'{'x' * 36}...")):
        assert refusal(load, {**VALID, "dataset": found}) == f"trained for dataset {shown}, expected 'xpue'"


def test_file_that_is_neither_layout_is_told_both(load):
    assert refusal(load, {"seed": 1}) == ("has neither 'format' nor a cell xsnn.xmemristor_p<class>_<input>.cmem, expected "
                                          "a voltages file or the paper's layout")


# States that somebody has changed since

def test_changed_states_are_known_by_the_number_that_a_training_left():
    states, layers = np.array([[1.0, 2.0]]), (np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    number = checksum(states)
    assert number != checksum(states + 1e-12) and checksum(*layers) not in (number, checksum(*layers[::-1]))

    def said(voltages, *several):
        (key, found), = states_of(voltages, *several).items()
        assert key == "states" and found["number"] == checksum(*(several or (voltages.states,)))
        return found["as_trained"]
    trained = Voltages(states, origin={"seed": 1, "states": number})
    assert said(trained) is True and said(dataclasses.replace(trained, states=2 * states)) is False
    assert said(Voltages(states, origin={"seed": 1})) is True  # an older file does not say
    assert said(Voltages(states)) is False  # nor does the paper's layout, which says nothing else
    several = Voltages(layers[-1], origin={"states": checksum(*layers)})
    assert said(several, *layers) is True and said(several, layers[0], 2 * layers[1]) is False


@pytest.mark.parametrize("layers", [[[[1.0, 2.0]]], [[[1.0, 2.0], [5.0, 6.0]]], [[[1.0, 2.0]], [[3.0], [4.0]]]])
def test_a_files_content_is_as_trained_or_not(layers):
    number = checksum(*map(np.array, layers))
    for content in ({"voltages": layers[0]} if len(layers) == 1 else {"layers": layers}, {"voltages": layers}):  # a classifier's
        assert as_trained(content) and as_trained({**content, "states": number})
        assert not as_trained({**content, "states": number + 1})
    assert not as_trained({"voltages": [[5.0]], "states": number}) and not as_trained({"voltages": [[[5.0]]], "states": number})
    assert not as_trained({"voltages": [], "states": number})
    for broken in ({"voltages": ["x"]}, {"voltages": 5.0}, {}):
        with pytest.raises((ValueError, TypeError, KeyError)):
            as_trained({**broken, "states": number})
