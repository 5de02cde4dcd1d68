"""Reading and writing a crossbar through persistent circuits, against the whole network and the closed form."""

import dataclasses
import os
import signal

import numpy as np
import pytest

from datasets import encode
from memristive.cli.experiments import VOLTAGES
from memristive.io.voltages import load_voltages
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.single_layer.closed_form import Crossbar
from memristive.single_layer.engines import ClosedFormEngine
from memristive.single_layer.hebbian import infer
from memristive.single_layer.ngspice_crossbar import Reader, Writer
from memristive.single_layer.pulses import WRITE_EDGE, WRITING, edges
from memristive.single_layer.spike_decoding import RESOLUTION, lead, paper_decision, strict_decision
from memristive.spice.parameters import ParameterError
from memristive.spice.session import SimulationError
from memristor import MemristorParameters, channel_current, raised_state, state_rate
from snn_circuit import OFF, NetworkParameters, network, state_changes, state_names
from tests.conftest import TIGHT


@pytest.fixture(scope="module")
def trained_states(templates):
    """States as Hebbian training leaves them, with its scatter, and states as the error-driven rule has them."""
    generator = np.random.default_rng(11)
    return {"hebbian": 2.82 * templates.patterns + generator.normal(0, 0.01, templates.patterns.shape),
            "error-driven": 3.0 + generator.normal(0, 0.02, templates.patterns.shape)}


@pytest.fixture(scope="module")
def reader(ngspice, parameters, mnist_schedule):
    return Reader(ngspice, parameters, mnist_schedule, 10)


@pytest.mark.parametrize(("states", "encoding", "image"), [
    ("hebbian", "binary", 0), ("hebbian", "binary", 2), ("hebbian", "grey", 3), ("error-driven", "binary", 0),
    ("error-driven", "binary", 7), ("error-driven", "grey", 0)])
def test_driven_rows_alone_spike_as_in_the_whole_network(
        reader, whole_network, trained_states, digit_images, states, encoding, image):
    levels = digit_images[encoding][image]
    quick = reader.spikes(trained_states[states], levels, wanted=11)
    exact, _ = whole_network(trained_states[states], levels, 8e-4)
    early = exact < 500e-6  # a membrane that needs longer than three time constants only grazes the threshold
    assert early.any()
    assert ((quick < 500e-6) == early).all()
    # Steps of up to 20 us on a membrane of 150 us are good for 0.3 us, slow crossings of grey images for 0.8 us ...
    assert quick[early] == pytest.approx(exact[early], abs=0.6e-6 if encoding == "binary" else 1e-6)
    # ... but nearly all of the error is common to all neurons, so that races are good for the resolution.
    if early.sum() > 1:
        assert lead(quick) == pytest.approx(lead(exact), rel=1e-3, abs=RESOLUTION)
    if abs(lead(exact) - RESOLUTION) > RESOLUTION / 2:  # otherwise a tie is anyone's guess
        assert strict_decision(quick) == strict_decision(exact)


@pytest.mark.parametrize("rule", ["mnist", "mnist_error_driven"])
def test_spikes_of_two_hundred_test_images_agree_with_a_tight_run(ngspice, parameters, mnist_schedule, reader, mnist, rule):
    """A hundred images for each network that `make reproduce` tests; the reference takes steps of at most 1 us."""
    states = load_voltages(VOLTAGES / f"{rule}.json", "mnist", 10, 100).states
    images = encode(mnist["x_test"][:100])
    tight = Reader(ngspice, parameters, mnist_schedule, 10, TIGHT)
    quick, exact = (np.array([r.spikes(states, image, wanted=2) for image in images]) for r in (reader, tight))
    both = np.isfinite(quick) & np.isfinite(exact)
    assert both.any(axis=1).sum() > 80
    assert quick[both] == pytest.approx(exact[both], abs=0.6e-6)
    for k in range(len(images)):
        assert strict_decision(quick[k]) == strict_decision(exact[k])
        # Nearly all of the error is common to all neurons: leads are far better than times.
        if np.isfinite(lead(exact[k])):
            assert lead(quick[k]) == pytest.approx(lead(exact[k]), rel=2e-3, abs=RESOLUTION / 4)


def test_races_of_the_whole_network_test_are_close(whole_network, trained_states, digit_images):
    exact, waves = whole_network(trained_states["error-driven"], digit_images["binary"][7], 8e-4)
    assert lead(exact) < 5e-6
    assert np.diff(waves.time).max() <= 1.001e-6  # the reference is what it says


@pytest.mark.parametrize("encoding", ["binary", "grey"])
@pytest.mark.parametrize("states", ["hebbian", "error-driven"])
def test_early_end_of_a_read_changes_no_decision(
        reader, mnist_schedule, trained_states, digit_images, states, encoding):
    silent = 0
    for image in digit_images[encoding]:
        early = reader.spikes(trained_states[states], image, wanted=3)
        full = reader.spikes(trained_states[states], image, wanted=11)
        assert strict_decision(early) == strict_decision(full)
        step = mnist_schedule.sampling_step
        assert paper_decision(early, step) == paper_decision(reader.spikes(trained_states[states], image, 1), step) == (
            paper_decision(full, step))
        count = min(3, np.sum(~np.isnan(full)))
        first = np.argsort(full, kind="stable")[:count]
        # A run's length decides its first steps: times move a little, all together.
        assert early[first] == pytest.approx(full[first], abs=0.1e-6)
        if np.isfinite(lead(full)):
            assert lead(early) == pytest.approx(lead(full), rel=1e-3, abs=RESOLUTION / 4)
        silent += np.isnan(full).all()
    assert silent <= len(digit_images[encoding]) - 5  # there was something to decide


@pytest.mark.parametrize(("step", "last"), [(11e-6, 97.5e-6), (60e-6, 118e-6)])
def test_read_waits_for_all_spikes_of_the_papers_sample(ngspice, parameters, mnist_schedule, step, last):
    # The first neuron fires at the start of a sample of 11 us, the others later in it: a tie to the paper's rule, and the
    # lowest class, the last to fire, has it. A sample of 60 us is longer than what a read lasts beyond its last spike anyway.
    schedule = dataclasses.replace(mnist_schedule, sampling_step=step)
    reader, times = Reader(ngspice, parameters, schedule, 10), np.linspace(last, 89e-6, 10)
    assert len(set(np.ceil(times / step))) == 1
    image = (np.arange(100) < 20).astype(float)
    settled = parameters.neuron.threshold / -np.expm1(-(times - 5e-6) / parameters.neuron.time_constant)
    grid = np.linspace(2.0, 6.0, 4001)  # V, states; the closed form of the settled membrane, turned round
    current = channel_current(parameters.memristor, raised_state(parameters.memristor, grid, 1.0), 1.0)
    states = np.interp(settled, parameters.neuron.transresistance * 20 * current, grid)[:, None] * np.ones(100)
    spikes = reader.spikes(states, image, wanted=1)
    assert spikes == pytest.approx(times, abs=0.7e-6)  # 0.1 % of the gates' lift, and the read's own 0.3 us
    assert paper_decision(spikes, step) == 0
    assert strict_decision(spikes) == 9


def test_read_ends_early_only_when_told_how_many_spikes_matter(reader, trained_states, digit_images):
    wide = trained_states["error-driven"] * np.linspace(1.0, 1.5, 10)[:, None]
    image = digit_images["binary"][0]
    counts = [int((~np.isnan(reader.spikes(wide, image, wanted))).sum()) for wanted in (1, 3, 11)]
    assert counts[2] == 10
    assert 1 <= counts[0] < counts[2]
    assert counts[1] >= 3


def test_read_depends_on_nothing_read_before(ngspice, parameters, mnist_schedule, reader, trained_states):
    generator = np.random.default_rng(4)
    images = np.zeros((3, 100))
    for image, rows in zip(images, (15, 12, 11), strict=True):  # all in the circuit of 15 rows
        image[generator.choice(100, rows, replace=False)] = generator.uniform(0.5, 1.0, rows)
    for image, name in zip(images, ("hebbian", "error-driven", "hebbian"), strict=True):
        states = trained_states[name] + 6.0
        fresh = Reader(ngspice, parameters, mnist_schedule, 10).spikes(states, image, 11)
        assert not np.isnan(fresh).all()
        assert np.array_equal(reader.spikes(states, image, 11), fresh, equal_nan=True)  # to the last bit


@pytest.mark.parametrize("rise", [2e-6, 400e-6])
def test_edges_of_any_length_are_waited_for(ngspice, parameters, mnist_schedule, trained_states, digit_images, rise):
    schedule = dataclasses.replace(mnist_schedule, rise=rise)
    states, image = trained_states["error-driven"], digit_images["binary"][0]
    whole = infer(ngspice, parameters, schedule, states, image[None]).spikes[0]
    assert np.isfinite(whole).all()
    assert Reader(ngspice, parameters, schedule, 10).spikes(states, image, 10) == pytest.approx(whole, abs=1e-6)


def test_dark_image_makes_no_neuron_fire(reader, trained_states):
    assert np.isnan(reader.spikes(trained_states["error-driven"], np.zeros(100), 3)).all()


def test_full_pixel_gets_the_input_voltage_of_the_schedule(
        ngspice, parameters, mnist_schedule, trained_states, reader):
    strong = Reader(ngspice, parameters, dataclasses.replace(mnist_schedule, input_voltage=1.3), 10)
    image = np.zeros(100)
    image[::5] = 0.7
    states = trained_states["error-driven"]
    assert strong.spikes(states, image, 11) == pytest.approx(reader.spikes(states, image * 1.3, 11), rel=1e-6)


@pytest.mark.parametrize("image", [np.full(100, 0.1 / 0.099), np.full(100, -0.1), np.full(100, np.nan), np.ones(99)])
def test_images_that_are_none_are_refused_whoever_reads(parameters, mnist_schedule, reader, writer, trained_states, image):
    states = trained_states["error-driven"]
    crossbar, layers = Crossbar.of(parameters, mnist_schedule), LayeredNetwork((np.full((2, 101), 5.0),))
    engine = ClosedFormEngine(parameters, mnist_schedule, 10, 100)
    for read in (lambda: reader.spikes(states, image, 3), lambda: crossbar.read(states, image),
                 lambda: layers.first_spikes(image[None]), lambda: crossbar.write(states[0], image, 1, 1e-5),
                 lambda: writer.write(states[0], image, 1, 1e-5), lambda: engine.spikes(states, image)):
        with pytest.raises(ParameterError, match=r"images (must be (levels from 0 to 1|n x 100)|100 levels)"):
            read()
    with pytest.raises(ParameterError, match="a write's pulse must be above 0 s"):
        writer.write(states[0], np.ones(100), 1, 0.0)


@pytest.fixture(scope="module")
def writer(ngspice, parameters, mnist_schedule):
    return Writer(ngspice, parameters, mnist_schedule, 100)


def test_write_is_in_proportion_to_the_schedules_input_voltage(ngspice, parameters, mnist_schedule, writer):
    """Half the volts at the inputs, half the change: the write takes its voltage from the schedule."""
    weak = Writer(ngspice, parameters, dataclasses.replace(mnist_schedule, input_voltage=0.5), 100)
    column, image = np.full(100, 3.0), np.tile([1.0, 0.4], 50)
    changes = [each.write(column, image, 1, 20e-6) - column for each in (writer, weak)]
    assert changes[1] == pytest.approx(changes[0] / 2, rel=0.01)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("encoding", ["binary", "grey"])
@pytest.mark.parametrize("dose", [50e-3, 20e-3])
def test_write_follows_the_closed_form(parameters, writer, trained_states, digit_images, dose, encoding, sign):
    image, column = digit_images[encoding][0], trained_states["error-driven"][6]
    pulse = dose / float(state_rate(parameters.memristor, 1.0))
    change = writer.write(column, image, sign, pulse) - column
    nominal = sign * dose * image
    leak = leaked(parameters.memristor, column, 1.2 * pulse)
    assert (np.abs(change - nominal) <= 0.03 * np.abs(nominal) + leak).all()
    # phi crosses 0.5 V only 0.5 / 1.2 up each edge, a tenth of the pulse long, and cuts these corners off: 1.7 %.
    # Closer than 0.3 % Meyer's capacitances do not keep charge.
    corners = 1 - WRITE_EDGE * (0.5 / 1.2)**2
    assert (np.abs(change - corners * nominal) <= 0.003 * np.abs(nominal) + leak).all()


def leaked(memristor, column, duration):
    """What the leak takes from each state in V: X * t / (R_leak * C_total), with 10 % for lifted gates and solver."""
    return 1.1 * np.abs(column) * duration / (memristor.leak_resistance * memristor.memory_capacitance)


@pytest.mark.parametrize("dose", [50e-3, 20e-3])
def test_depression_undoes_potentiation(parameters, writer, trained_states, digit_images, dose):
    image, column = digit_images["binary"][0], trained_states["error-driven"][2]
    pulse = dose / float(state_rate(parameters.memristor, 1.0))
    back = writer.write(writer.write(column, image, 1, pulse), image, -1, pulse)
    assert np.abs(back - column).max() < 0.01 * dose  # a hundredth of what was written, leak included


def test_write_that_ngspice_cannot_end_is_run_again_a_little_longer(writer, trained_states, digit_images, monkeypatch):
    image, column = digit_images["binary"][0], trained_states["error-driven"][3]
    usual = writer.write(column, image, 1, 1e-5)
    loaded, = writer._circuits.values()
    run, stops = loaded.run, []

    def fail(times):
        def once(stop):
            stops.append(stop)
            if len(stops) <= times:
                raise SimulationError("timestep too small")
            return run(stop)
        stops.clear()
        monkeypatch.setattr(loaded, "run", once)
    fail(1)
    assert writer.write(column, image, 1, 1e-5) == pytest.approx(usual, abs=1e-6)
    assert len(stops) == 2 and 1 < stops[1] / stops[0] < 1.02
    fail(2)
    with pytest.raises(SimulationError, match="timestep too small"):
        writer.write(column, image, 1, 1e-5)


def test_cells_without_input_lose_only_the_leak(parameters, writer, trained_states, digit_images):
    image, column = digit_images["binary"][0], trained_states["error-driven"][4]
    pulse = 50e-3 / float(state_rate(parameters.memristor, 1.0))
    lost = column - writer.write(column, image, 1, pulse)
    off = image == 0
    assert (np.abs(lost[off]) <= leaked(parameters.memristor, column[off], 1.2 * pulse)).all()
    assert lost[off].min() > 0  # the leak is there: it discharges


def test_phi_of_the_schedule_opens_the_cells(ngspice, parameters, mnist_schedule, trained_states, digit_images):
    # Cells that need more than phi's 1.2 V are not written at all; with 1.2 V against 0.5 V they are (above).
    deaf = NetworkParameters(MemristorParameters(switch_threshold=1.3), parameters.neuron)
    column = trained_states["error-driven"][1]
    after = Writer(ngspice, deaf, mnist_schedule, 100).write(column, digit_images["binary"][0], 1, 20e-6)
    assert np.abs(after - column).max() < 1e-4  # a write of 20 us is 28 mV


def test_thousand_writes_to_two_columns_disturb_no_other_cell(ngspice, parameters):
    """Write disturb, in the whole crossbar: ten columns share the inputs, two of them are written."""
    classes, inputs, undriven, dose, writes = 10, 16, 4, 20e-3, 1000
    cells, names = [(j, i) for j in range(classes) for i in range(inputs)], state_names(classes, inputs)
    generator = np.random.default_rng(8)
    start = 3.0 + generator.normal(0, 0.05, (classes, inputs))
    circuit = ngspice.load(network(parameters, start, None, [OFF] * classes, neurons=False), WRITING, names)
    pulse = dose / float(state_rate(parameters.memristor, 1.0))
    shape = np.array(edges(0.0, pulse, 0.1 * pulse, 1.0))
    states, written, events = start, np.zeros((classes, inputs)), np.zeros((classes, inputs), int)
    for k in range(writes):
        image = np.zeros(inputs)
        image[generator.choice(inputs - undriven, 5, replace=False)] = 1.0
        # Seven potentiations of ten in one column, seven depressions of ten in the other: that moves them by a volt.
        column, sign = ((1, 1), (7, -1))[k % 2]
        sign = -sign if k % 20 >= 14 else sign
        changes = {f"einput_{i} gain": volt for i, volt in enumerate(sign * image)} | {"vpulse pwl": shape.ravel()}
        phi = (shape * (1.0, 1.2)).ravel()
        changes |= {f"vphi_{j} pwl": phi if j == column else [0.0, 0.0] for j in range(classes)}
        circuit.alter(changes | state_changes(cells, states.ravel()))
        states = circuit.run(1.2 * pulse).stack(names)[:, -1].reshape(classes, inputs)
        written[column] += sign * dose * image
        events[column] += image > 0
    ngspice.unload(circuit)
    drift = np.abs(states - start)
    assert events[[1, 7], :-undriven].min() > 100
    assert np.abs(written[[1, 7], :-undriven]).min() > 0.8  # V: the writes were real ...
    bound = 0.01 * start.mean()
    others = np.delete(drift, [1, 7], axis=0)
    assert others.max() < bound  # ... the other eight columns, under the same input pulses, did not notice ...
    assert drift[[1, 7], -undriven:].max() < bound  # ... and neither did the written columns' inactive cells.
    # Each write did what one alone does (above): also the driven cells of the two columns are where they should be.
    corners = 1 - WRITE_EDGE * (0.5 / 1.2)**2
    moved = (states - start)[[1, 7], :-undriven]
    assert moved == pytest.approx(corners * written[[1, 7], :-undriven], rel=0.01)


def test_ctrl_c_while_a_run_is_cleared_away_is_not_lost(
        ngspice, monkeypatch, reader, writer, trained_states, digit_images):
    send = ngspice._engine.ngspice.exec_command
    states, image = trained_states["error-driven"], digit_images["binary"][0]

    def interrupted(command, **more):
        result = send(command, **more)
        if command == "destroy all":
            os.kill(os.getpid(), signal.SIGINT)
        return result
    for use in (lambda: reader.spikes(states, image, 1), lambda: writer.write(states[0], image, 1, 1e-5)):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(ngspice._engine.ngspice, "exec_command", interrupted)
            use()


def test_failed_read_leaves_nothing_behind(reader, trained_states, digit_images):
    image, states = digit_images["binary"][0], trained_states["error-driven"]
    good = reader.spikes(states, image, 3)
    broken = states + 0.5
    broken[5, np.flatnonzero(image)[3]] = np.nan  # refused after the read's other changes were made up
    with pytest.raises(ParameterError, match=r"xcell_5_3.*finite"):
        reader.spikes(broken, image, 3)
    for levels in (image, digit_images["binary"][7], image):
        again = reader.spikes(states, levels, 3)
    assert np.array_equal(again, good, equal_nan=True)
    assert not np.isnan(good).all()
