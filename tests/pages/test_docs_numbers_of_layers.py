"""What README and docs say of layers and of STDP without a teacher is what the committed records say, to the digit given."""

from statistics import fmean

import numpy as np
import pytest

from memristive.stdp.mnist_learning import STRETCH, MnistLearning
from memristor import MemristorParameters
from tests.pages.claims import WORDS, check, label, listed, microseconds, percent, record, row, span


def layers():
    """Layers trained in the closed form on MNIST, three seeds each, and how many hidden neurons it takes."""
    means, grey, copies = [], "MNIST grey {size}, {hidden} hidden neurons", "copies moved by a pixel"
    three = "--presentations {presentations} --seeds {runs}"
    for file, trained_on, told, options in (
            ("layers_mnist", "MNIST", grey, "--hidden {hidden} --seed 1"),
            ("two_hidden/layers_mnist", "MNIST", "two hidden layers",
             f"--start-weight {{start_weight}} --start-weight-spread {{start_weight_spread}} {three}"),
            ("layers_mnist_14x14", "MNIST", grey, f"--hidden {{hidden}} --size 14 {three}"),
            ("layers_mnist_shifted_14x14", f"MNIST and {copies} (of 28) up, down, left, right", f"the same with {copies}",
             f"--size 14 {three}")):
        found = record(file, "layers")
        used, runs, mean = found["parameters"], found["all_seeds"], percent(found["mean_strict_accuracy"])
        network = used["learning"] | {"size": f"{used['size']}x{used['size']}", "hidden": listed(map(str, used["hidden"]))}
        accuracies, seeds = percent(*(run["strict_accuracy"] for run in runs)), ", ".join(str(run["seed"]) for run in runs)
        means.append(mean)
        yield "layers", row(f"grey {network['size']}, {network['hidden']} hidden", trained_on, f"{network['presentations']:,}",
                            f"{accuracies} % (mean {mean})")
        told, options = (text.format(**network, runs=len(runs)) for text in (told, options))
        yield "reproducing", f"| {told}, {mean} % (mean) | … {options}` | {seeds} | {accuracies} % | closed form |"
    one, two, _, shifted = means
    yield "layers", f"no better than one: {two} against {one} %"
    judged = [percent(record(file)["ngspice"]["strict_accuracy"]) for file in (
        "layers_in_ngspice_mnist", "layers/layers_in_ngspice_mnist_shifted_14x14")]
    yield "README", (f"{one} % on grey 10x10 MNIST with 200 hidden neurons (mean of three seeds, closed form; seed 1 read by "
                     f"ngspice, all 10,000 images: {judged[0]} %), {shifted} % on 14x14 with 300 hidden neurons and copies moved "
                     f"by a pixel (seed 1 read by ngspice, all 10,000 images: {judged[1]} %)")
    curve = {point["hidden"]: point["mean"] for point in record("hidden_neurons")["summary"]}
    used = record("hidden_neurons")["parameters"]
    command = f"--presentations {used['learning']['presentations']} --seeds {used['seeds']}`"
    yield "layers", f"How many hidden neurons (`python -m studies.hidden_neurons {command}"
    of = {count: percent(share, digits=1) for count, share in curve.items()}
    yield "layers", (f"taught by the same rule, reaches {of[0]} %, … 25 hidden neurons {of[25]} %, 100 hidden {of[100]} %, 400 "
                     f"hidden {of[400]} %.")
    found = ", ".join(f"{count}: {percent(share)}" for count, share in curve.items())
    yield "reproducing", f"{command} | 1, 2 | {found} % (means) |"


def layers_in_ngspice():
    """Layers read and taught by ngspice, beside the closed form."""
    alike = "layer_by_layer_beside_closed_form"
    usual, alone, shifted, two = (record(f"layers_in_ngspice_mnist{ending}", folder) for ending, folder in (
        ("", ""), ("_100", "layers"), ("_shifted_14x14", "layers"), ("_200_100", "layers")))

    def compared(found, key=alike):
        errors = [microseconds(error) for error in found[key]["largest_error_of_layers"]]
        leads = [f"{image['lead'] * 1e9:.0f}" for image in found[key]["decided_otherwise"]]
        return f"{found[key]['images']:,}", percent(found["ngspice"]["strict_accuracy"]), errors, leads

    def options(found):
        whole = found["parameters"]["whole"]
        return f"--samples {found['parameters']['samples']}{f' --whole {whole}' if whole else ''}`"

    images, accuracy, errors, leads = compared(usual)
    otherwise = f"{accuracy} % by both; {len(leads)} decided otherwise"
    yield "layers", row("grey 10x10, 200 hidden, layer by layer", f"{images}, all test images",
                        f"{otherwise}, with leads of {listed(leads)} ns; spikes within {errors[0]} us (hidden) and {errors[1]} "
                        "us (outputs)")
    yield "reproducing", (f"{options(usual)} | 1 | {accuracy} %; {len(leads)} decided otherwise (leads of {listed(leads)} ns); "
                          f"{usual['cpu_seconds_an_image']:.2f} s an image |")
    for found, said in ((usual, ""), (alone, ", beside the closed form or layer by layer")):
        images, _, errors, leads = compared(found, "whole_beside_closed_form")
        count = len(leads) + len(found["layer_by_layer_beside_whole"]["decided_otherwise"])
        yield "layers", row("the same, whole network in one transient", images,
                            f"{WORDS[count]} decided otherwise{said}; {listed(errors)} us")
    images, _, errors, leads = compared(alone)
    yield "layers", row("grey 10x10, 100 hidden, layer by layer", images,
                        f"{WORDS[len(leads)]} decided otherwise; {listed(errors)} us")
    yield "reproducing", (f"{options(alone)} | 1 | {WORDS[len(leads)]} decided otherwise; {alone['cpu_seconds_an_image']:.2f} to")
    images, accuracy, errors, leads = compared(shifted)
    means = [microseconds(error) for error in shifted[alike]["mean_largest_error_of_layers"]]
    said = f"{accuracy} % by both; {WORDS[len(leads)]} decided otherwise"
    yield "layers", row("grey 14x14, 300 hidden (shifted copies), layer by layer", f"{images}, all test images",
                        f"{said}; {listed(errors)} us ({listed(means)} us on average)")
    yield "reproducing", (f"{options(shifted)} | 1 | {said}; {shifted['cpu_seconds_an_image']:.2f} s of CPU an image beside "
                          "other work")
    images, accuracy, errors, leads = compared(two)
    means = [microseconds(error) for error in two[alike]["mean_largest_error_of_layers"]]
    said = f"{accuracy} % by both; {WORDS[len(leads)]} decided otherwise (lead of {leads[0]} ns"
    yield "layers", row("grey 10x10, 200 and 100 hidden, layer by layer", images,
                        f"{said}, tied in ngspice); {listed(errors)} us")
    yield "reproducing", f"{options(two)} | 1 | {said}); spikes within {errors[-1]} us, {max(means)} us on average |"
    yield "layers", (f"A read of 200 hidden neurons takes {usual['cpu_seconds_an_image']:.2f} s of CPU (100: "
                     f"{alone['cpu_seconds_an_image']:.2f} to … s, {shifted['cpu_seconds_an_image']:.2f} s beside other work), "
                     f"and memory stays: {usual['megabytes_after_1000_reads']:.0f} MB after 1,000 reads, data set included, "
                     f"{usual['megabytes_at_the_end']:.0f} MB after {usual['ngspice']['samples']:,}.")


def layers_taught():
    """Stretches of trainings taught in ngspice, in step with the closed form and free of it."""
    taught = record("layers_in_step_mnist", "layers")
    options, of = taught["parameters"], taught["presentations"]
    odd, step, free = taught["in_step_otherwise"], max(taught["in_step_volts_apart"]) * 1e3, of - taught["free_otherwise"]
    yield "layers", row(
        f"a training of {options['hidden'][0]} hidden neurons, {of} presentations after {options['after']:,}, taught in ngspice",
        f"{taught['wrote']} of them wrote",
        f"in step (each from ngspice's states): {of - len(odd)} answered and wrote alike, states after each within {step:.1f} mV "
        f"(moved by {max(taught['volts_moved']) * 1e3:.0f} mV); the odd one's lead was {odd[0]['beyond_margin'] * 1e9:.1f} ns "
        f"from the margin. Free: {free} alike, states within {max(taught['free_volts_apart']) * 1e3:.0f} mV at the end")
    yield "reproducing", (f"| {of} presentations taught in ngspice | … | 1 | in step {of - len(odd)} alike, within {step:.1f} "
                          f"mV; free {free} |")
    taught = record("layers_in_step_digits", "layers")
    options, of, step = taught["parameters"], taught["presentations"], max(taught["in_step_volts_apart"]) * 1e3
    command = (f"--data digits --hidden {options['hidden'][0]} --after {options['after']} --stretch {of} --presentations "
               f"{options['learning']['presentations']} --margin {options['learning']['margin']:.0e}".replace("e-0", "e-"))
    command += f" --seed {options['learning']['seed']}`"
    yield "layers", (f"{command}) ngspice answers and writes as the closed form in {of - len(taught['in_step_otherwise'])} of "
                     f"{of} presentations, states within {step:.1f} mV after each")
    yield "layers", f"Early and free of each other, {taught['free_otherwise']} of the {of} go otherwise"
    yield "reproducing", (f"| {of} presentations of the third | `python -m studies.layer_training_agreement {command} | "
                          f"{options['learning']['seed']} | in step {of - len(taught['in_step_otherwise'])} alike, within "
                          f"{step:.2f} mV; free {of - taught['free_otherwise']} |")


def digits_and_xor():
    """The small data sets that ngspice trains and tests wholly."""
    found = []
    for name, hidden in (("digits", "100 hidden neurons"), ("digits_shifted", "200 hidden, with shifted copies")):
        runs = record(f"layers_{name}", "layers")
        shares = [run["strict_accuracy"] for run in runs["all_seeds"]]
        found.append((percent(runs["mean_strict_accuracy"]), span(shares, digits=1)))
        yield "reproducing", (f"| digits, {len(shares)} splits, {hidden} | … --seeds {len(shares)}` | 1 to {len(shares)} | "
                              f"{found[-1][0]} % (mean; {found[-1][1]}) |")
    samples = runs["samples"]
    yield "layers", (f"{len(shares)} splits of 1,437 and {samples} (`python -m studies.layers --data digits --seeds "
                     f"{len(shares)}`, closed form): {found[0][0]} % with 100 hidden neurons ({found[0][1]}), {found[1][0]} % "
                     f"({found[1][1]}) with 200 that")
    for folder, title in (("digits_100_in_ngspice", "| digits, splits 1 to 3, 100 hidden neurons, trained and tested wholly"),
                          ("digits_in_ngspice", "| the same with 50 hidden neurons, the first tried")):
        runs = [record("layers_digits", f"layers/{folder}_seed_{seed}") for seed in (1, 2, 3)]
        shares = [run["strict_accuracy"] for run in runs]
        rule, hidden = (runs[0]["parameters"][key] for key in ("learning", "hidden"))
        options = f"--presentations {rule['presentations']} --margin {rule['margin'] * 1e6:.0f}e-6 --engine ngspice"
        yield "layers", f"| {hidden[0]} hidden neurons | {percent(*shares)} % | {percent(fmean(shares))} % |"
        yield "reproducing", (f"{title} … --hidden {hidden[0]} {options} … | 1, 2, 3 | {percent(*shares)} % (mean "
                              f"{percent(fmean(shares))}) |")
    anew = [record("layers_digits", f"layers/digits_exact_in_ngspice_seed_{seed}")["strict_accuracy"] for seed in (1, 2, 3)]
    yield "layers", f"reach {percent(*anew)} % with {hidden[0]} hidden neurons, {percent(fmean(anew))} % in the mean, where"
    yield "reproducing", ("| these trained anew, with exact writes | the same | 1, 2, 3 | "
                          f"{percent(*anew)} % (mean {percent(fmean(anew))}) |")
    yield "layers", f"write of {rule['presentations']:,} presentations, and the reads of all {samples} test images"
    yield "layers", f"100 hidden neurons and the margin of {rule['margin'] * 1e6:.0f} us were chosen in closed form"
    xor = record("layers_xor")
    right = f"{xor['all_right']} of {len(xor['all_seeds'])}"
    yield "layers", (f"XOR, {xor['parameters']['hidden'][0]} hidden neurons, {xor['parameters']['learning']['presentations']} "
                     f"presentations: … trained and tested wholly in ngspice, {right},")
    yield "reproducing", (f"| XOR, 16 hidden neurons, trained and tested wholly in ngspice | … | all four right, {right} | "
                          "ngspice |")
    yield "reproducing", f"| XOR, 16 hidden neurons, in `make reproduce` | … | all four right for {right} |"


def gradient():
    """Angles between what the rule writes and the steepest descent, medians and quartiles."""
    before, after = (record("layer_gradient")[f"{when} learning"] for when in ("before", "after"))

    def quartiles(key, digits, units=("", ""), scale=1):
        for found, unit in zip((before, after), units, strict=True):
            low, median, high = (f"{number * scale:.{digits}f}" for number in found["quartiles"][key])
            yield f"{median}{unit} ({low} to {high})"

    for title, key in (("output layer", "output"), ("one output column", "output_column"), ("hidden layer", "hidden"),
                       ("its neurons that have a gradient", "hidden_with_gradient")):
        yield "layers", row(title, *quartiles(key, 1, (" degrees", "")))
    yield "layers", row("share of the hidden write (of its square) that has no gradient", *quartiles("without_gradient", 2))
    yield "layers", row("neurons with a gradient that are written with its sign", *quartiles("same_sign", 0, (" %", " %"), 100))
    grew = (f"{percent(found['lead_grew'], digits=1)} %" for found in (before, after))
    yield "layers", row("writes of the first dose after which the right neuron leads more than before, or lags less", *grew)
    options = record("layer_gradient")["parameters"]
    yield "layers", (f"--errors {after['errors']}`: {options['hidden'][0]} hidden neurons, grey 10x10, "
                     f"{options['learning']['presentations']:,} presentations, {before['errors']} errors before and "
                     f"{after['errors']} after")
    yield "reproducing", (f"--errors {after['errors']}` | 1 | hidden layer {after['quartiles']['hidden'][1]:.1f}, output layer "
                          f"{after['quartiles']['output'][1]:.1f} degrees (medians of {after['errors']} errors) |")


def layers_on_chips():
    """Two layers on chips that differ."""
    found = record("imperfect_layers")
    means = {(point["spread"], point["route"]): point for point in found["summary"]}
    options, both = found["parameters"], ("ex situ", "in situ")

    def cell(point):
        return f"{percent(point['mean'])} % ({span([point['low'], point['high']])})"

    yield "layers", f"| 0 | {percent(found['ideal'])} % | |"
    for spread in options["spreads"]:
        yield "layers", row(f"{percent(spread, digits=0)} %", *(cell(means[spread, route]) for route in both))
    for spread, title in ((0.02, "two layers on chips, 2 %, ex situ and in situ"), (0.1, "the same at 10 %")):
        two = listed(percent(means[spread, route]["mean"]) for route in both)
        yield "reproducing", f"| {title} | … | chips 1 to {options['chips']} | {two} % |"
    yield "layers", (f"{options['hidden']} hidden neurons, grey 10x10, {options['learning']['presentations']:,} presentations, "
                     f"{WORDS[options['chips']]} chips a spread")
    right = {(chip["spread"], chip["route"]): round(chip["strict_accuracy"] * chip["samples"]) for chip in found["judged"]}
    images, otherwise = (sum(chip[key] for chip in found["judged"]) for key in ("samples", "decided_otherwise"))
    at_two = listed(sorted({str(right[0.02, route]) for route in both}))
    yield "layers", (f"100 test images each: at 2 % {at_two} right ex situ and in situ, at 10 % {right[0.1, 'ex situ']} and "
                     f"{right[0.1, 'in situ']}; … decides {WORDS[otherwise]} image of {images} otherwise")
    yield "reproducing", (f"| ex situ {right[0.02, 'ex situ']} and {right[0.1, 'ex situ']} right, in situ "
                          f"{right[0.02, 'in situ']} and {right[0.1, 'in situ']}; {WORDS[otherwise]} of {images} decided "
                          "otherwise |")


def stdp_patterns():
    """Patterns that a circuit learns by itself in ngspice, on devices and inputs that are not perfect, too."""
    endings = ("", "_spread", "_flipped", "_spread_flipped")
    xpue, digits = ([record(f"stdp_{data}{ending}") for ending in endings] for data in ("xpue", "012345"))

    def seeds(found):
        return f"{min(found['all_seeds'])} to {max(found['all_seeds'])}"

    def own(found):
        return f"{found['each_its_own']} of {found['runs']}"

    def won(found):
        purity = fmean(found["purity"])
        return f"{percent(purity, digits=0 if purity == 1 else 1)} %"

    def options(found):
        return " ".join(f"--{key} {found['parameters'][key]}" for key in ("spread", "flipped") if found["parameters"][key]) + "`"

    ideal, *others = xpue
    yield "stdp", f"| XPUE | {seeds(ideal)} | {own(ideal)} | {won(ideal)} | ngspice,"
    yield "stdp", f"| XPUE, each its own | {seeds(others[0])} | {' | '.join(map(own, others))} | …{options(others[2])}, or"
    yield "stdp", f"| won by the owner, mean | | {' | '.join(map(won, others))} | |"
    yield "reproducing", (f"| XPUE, each pattern its own neuron | … | {seeds(ideal)} | {own(ideal)}; owners won {won(ideal)} of "
                          "the last presentations |")
    titles = ("10 % spread of devices", "10 % of the pixels flipped", "both")
    for title, found, few in zip(titles, others, digits[1:], strict=True):
        owners = "owners won " if found is others[0] else ""
        yield "reproducing", (f"| XPUE, {title} | …{options(found)} | {seeds(found)} | {own(found)}; {owners}{won(found)} | "
                              "ngspice learns |")
        yield "reproducing", f"| 012345, {title} | …{options(few)} | … (committed: seeds {seeds(few)}) |"
    yield "stdp", f"first {WORDS[digits[1]['runs']]} seeds alone would have said {own(digits[1])}"
    yield "reproducing", ("| the exported circuit learns alone | … | 1 | X, +, U, = to neurons "
                          f"{', '.join(map(str, ideal['owners'][0]))} |")
    yield "stdp", f"`make reproduce` runs {ideal['runs']} seeds of XPUE and {WORDS[digits[0]['runs']]} of 012345"


def stdp_circuit():
    """What the self-learning circuit is built of, and its synapse's rule."""
    options = [record(f"stdp_{data}")["parameters"] for data in ("xpue", "012345")]
    pulses, strong, weak = [found["design"]["schedule"]["pulse"] * 1e3 for found in options], *(
        found["design"]["learning"] for found in options)
    gains = [found["design"]["network"]["neuron"]["feedback_resistance"] / 1e3 for found in options]
    yield "stdp", (f"pulse {pulses[1]:.1f} ms (not {pulses[0]:.1f}), {gains[1]:.0f} V/mA (not {gains[0]:.0f}; … "
                   f"{weak['homeostasis_current'] * 1e6:.1f} uA into {weak['homeostasis_capacitance'] * 1e9:.0f} nF beside "
                   f"{weak['homeostasis_resistance'] / 1e6:.0f} Mohm. … XPUE is best with "
                   f"{strong['homeostasis_current'] * 1e6:.1f} uA and the same {strong['homeostasis_resistance'] / 1e6:.0f} "
                   "Mohm.")
    for data, found in zip(("XPUE", "012345"), options, strict=True):
        yield "stdp", f"{data}, {found['presentations']} presentations: the same winner"
    yield "stdp", f"From random states, in {options[0]['presentations']} presentations in random order"
    yield "stdp", f"One transient a seed; start states ({' to '.join(map(str, options[0]['start_states_V']))} V)"
    device, usual = options[0]["design"]["network"]["memristor"], record("memristor_stdp")["parameters"]["memristor"]
    leaks = [f"1e{np.log10(found['leak_resistance']):.0f}" for found in (device, usual)]
    yield "stdp", f"R_leak = {leaks[0]} instead of {leaks[1]} ohm"
    constant = device["leak_resistance"] * MemristorParameters(**device).memory_capacitance
    yield "stdp", (f"K R_leak V = {device['transconductance'] * device['leak_resistance']:.0f} V times its input, with the time "
                   f"constant R_leak (C + C_gate) = {constant * 1e3:.2f} ms")
    rule = record("instar")
    writes, far = np.size(rule["measured_V"]), f"{rule['deviation_V'] * 1e3:.1f} mV from the closed form"
    states, inputs, doses = (WORDS[len(rule[key])] for key in ("states_V", "inputs_V", "doses_s"))
    window, off = rule["window_measured_V"], f"{np.ceil(rule['window_deviation_V'] * 1e4) / 10:.1f} mV from the closed form"
    yield "stdp", f"{writes} writes ({states} states, {inputs} inputs, {doses} doses) lie within {far.replace('from', 'of')}"
    yield "stdp", f"whichever came first ({off})"
    yield "reproducing", f"| {writes} writes, at most {far} |"
    yield "reproducing", f"| {min(window):.2f} to {max(window):+.2f} V, at most {off} |"


def stdp_mnist():
    """MNIST without labels: learned in the closed form, read by ngspice, and a stretch learned by both."""
    runs = {count: [record(f"mnist_stdp_grey_{count}{seed}") for seed in ("", "_seed_2", "_seed_3")] for count in (50, 100, 300)}
    means = {}
    for count, found in runs.items():
        shares = [run["closed_form_accuracy"] for run in found]
        means[count] = percent(fmean(shares), digits=1)
        yield "stdp", f"| grey | {count} | {percent(*shares)} % | {percent(fmean(shares))} % |"
        yield "reproducing", (f"--neurons {count} --seed N --samples 0` | 1, 2, 3 | {percent(*shares)} %; mean "
                              f"{percent(fmean(shares))} %")
    learning = MnistLearning()
    schedule, neuron = learning.circuit().schedule, learning.circuit().network.neuron
    steps = learning.epochs * 60
    last = learning.circuit(learning.pace(1 - 1 / steps)).write_time_constant
    yield "stdp", (f"from {learning.first_time_constant * 1e3:g} ms to {learning.last_time_constant:g} s of time constant over "
                   f"the run, in {steps} steps of {STRETCH:,} images, … the last learns with {last:.2f} s. An image is shown "
                   f"for {schedule.pulse * 1e3:g} ms of every {schedule.period * 1e3:g} ms; neurons fire at "
                   f"{neuron.threshold:g} V plus their homeostasis, with {neuron.hysteresis * 1e3:g} mV of hysteresis and "
                   f"{neuron.feedback_resistance / 1e3:g} V/mA")
    most = runs[300]
    silent, tied = (sorted({run[f"closed_form_{key}"] for run in most}) for key in ("silent", "tied"))
    yield "stdp", f"at 300 neurons {min(silent)} to {max(silent)} images are silent, {' or '.join(map(str, tied))} tied)"
    read = {count: runs[count][0] for count in (100, 300)}
    otherwise = {count: 10_000 - found["same_as_closed_form"] for count, found in read.items()}
    for count, others in ((100, "in the other {} two digits'"), (300, "of the other {}, two have two")):
        found = read[count]
        accuracy, alike = percent(found["strict_accuracy"]), f"{found['same_as_closed_form']:,}"
        yield "stdp", (f"| grey | {count} | {accuracy} % (95 % interval {span(found['strict_interval_95'])} %; {found['silent']} "
                       f"silent, {found['tied']} tied) | {alike} of 10,000; {others.format(WORDS[otherwise[count]])}")
        yield "reproducing", (f"| {count} neurons, read in ngspice | … | 1 | {accuracy} % of 10,000; {alike} decisions as the "
                              "closed form |")
    yield "README", (f"MNIST learned without labels: {means[100]} % with 100 neurons, {means[300]} % with 300 (grey 10x10, mean "
                     "of three seeds, closed form; ngspice decides "
                     f"{listed(f'{10_000 - count:,}' for count in otherwise.values())} of 10,000 test")
    yield "README", f"at most {WORDS[max(otherwise.values())]} of 10,000 differ"
    pace = most[0]["parameters"]["learning"]
    yield "stdp", f"learns 60,000 training images in {WORDS[pace['epochs']]} epochs"
    yield "stdp", f"from {pace['first_time_constant'] * 1e3:.1f} ms to {pace['last_time_constant']} s of time constant"

    stretch = record("mnist_stdp_grey_50_stretch")
    step, of, first = stretch["in_step"], stretch["presentations"], stretch["different_at"][0]
    leads = sorted(step["leads_where_different_s"])
    near, far = leads[:-2], leads[-2:]
    yield "stdp", (f"before every tenth presentation: the same winner in {step['same_winners']} of {of}. In {WORDS[len(near)]} "
                   f"of the other {len(leads)} the closed form's winner led by {near[0] * 1e9:.0f} to "
                   f"{float(f'{near[-1] * 1e9:.2g}'):.0f} ns, in {WORDS[len(far)]} by "
                   f"{listed(f'{lead * 1e6:.1f}' for lead in far)} us; … the states end within "
                   f"{step['largest_deviation_V'] * 1e3:.0f} mV")
    yield "stdp", (f"left alone: the same winner in {stretch['same_winners']} of {of}; the first difference is at the "
                   f"{first + 1}rd presentation (a lead of {stretch['leads_where_different_s'][0] * 1e9:.0f} ns), … states "
                   f"{stretch['rms_deviation_V'] * 1e3:.0f} mV apart at the end")
    yield "reproducing", (f"--stretch {of}` | 1 | {of} presentations: in step {step['same_winners']} same winners ({len(near)} "
                          f"of the other {len(leads)} led by {microseconds(near[-1])} us or less), free "
                          f"{stretch['same_winners']} |")


TOPICS = (layers, layers_in_ngspice, layers_taught, digits_and_xor, gradient, layers_on_chips, stdp_patterns, stdp_circuit,
          stdp_mnist)


@pytest.mark.parametrize("claim", [claim for topic in TOPICS for claim in topic()], ids=label)
def test_page_says_what_the_records_of_layers_say(claim):
    """A number that is edited in the page, or a study that is run again and not written up, is seen here."""
    check(*claim)
