"""The datasets against their drawings, the defaults against the paper, MNIST against its
checksums.
"""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from memristive import datasets
from memristive.cli.runs import data_of
from memristive.datasets import (
    DatasetError,
    encode,
    fashion,
    load_dataset,
    shrink,
)
from memristive.io.tables import read_arrays, read_table
from memristive.parameters import ParameterError
from memristive.scores.checks import settled_membranes


def test_templates_are_the_thresholded_means_of_the_first_hundred_images(mnist, templates):
    assert (templates.patterns.shape, templates.shape, templates.labels) == (
        (10, 100),
        (10, 10),
        tuple("0123456789"),
    )
    for digit in range(10):
        images = mnist["x_train"][np.flatnonzero(mnist["y_train"] == digit)[:100]]
        mean = np.mean(images, axis=0).astype(np.uint8)
        grey = np.asarray(Image.fromarray(mean).resize((10, 10), Image.Resampling.BICUBIC)).ravel()
        # the 20th largest
        assert (
            templates.patterns[digit].tolist() == (grey > np.sort(grey)[80]).astype(float).tolist()
        )


@pytest.mark.parametrize(("size", "most"), [(4, 2), (5, 4), (10, 19), (14, 38), (28, 156)])
def test_a_fifth_of_the_pixels_is_on_at_any_size(mnist, size, most):
    """Fewer only where pixels tie with the limit."""
    images = mnist["x_test"][:50]
    on, grey = encode(images, size), shrink(images, size)
    assert on.sum(axis=1).max() == most
    assert all(
        levels[pixels == 1].min() > levels[pixels == 0].max()
        for pixels, levels in zip(on, grey, strict=True)
    )


def test_grey_levels_are_proportional_to_the_image_and_reach_one(mnist):
    grey = shrink(mnist["x_test"][:8], 10)
    levels = encode(mnist["x_test"][:8], 10, "grey")
    assert levels == pytest.approx(grey / grey.max(axis=1, keepdims=True), rel=1e-12)
    black = encode(np.zeros((1, 28, 28), np.uint8), 10, "grey")
    assert not black.any()


def test_shrunk_image_keeps_its_orientation():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, :7, 14:] = 200  # above, to the right
    small = shrink(image, 4).reshape(4, 4)
    assert (small[0, 2:] > 150).all() and not small[2:].any() and not small[:, 0].any()
    assert np.array_equal(shrink(image, 28), image.reshape(1, 784))


def write_idx(path, array):
    """Write a compressed IDX file."""
    path.write_bytes(
        gzip.compress(
            struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
        )
    )


@pytest.fixture
def fashion_folder(tmp_path, monkeypatch):
    """Folder with the four files of a small Fashion-MNIST; yields it with its images."""
    images = np.random.default_rng(1).integers(0, 256, (20, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(20, dtype=np.uint8) % 10)
    monkeypatch.setenv("FASHION_MNIST_DIR", str(tmp_path))
    return tmp_path, images


def test_fashion_is_read_from_idx_files_in_proportion_to_its_grey_levels(fashion_folder):
    _, images = fashion_folder
    dataset = fashion(28)
    assert (
        np.array_equal(dataset.test.levels * 255, images.reshape(20, 784))
        and dataset.test.labels.tolist() == [*range(10)] * 2
    )
    assert (
        fashion().training.levels == pytest.approx(shrink(images, 10) / 255)
        and len(dataset.labels) == 10
    )
    assert load_dataset("fashion", size=14).size_suffix == "_14x14" and not fashion().size_suffix


def test_images_of_a_user_get_a_resistor_that_lets_neurons_fire():
    levels = np.random.default_rng(1).random((40, 12))
    images = datasets.Images(levels, np.arange(40) % 2)
    dataset = datasets.from_images("mine", images, images, (3, 4))
    settled = settled_membranes(dataset.setup, np.full((1, 12), dataset.rule.start_state), levels)
    assert settled.mean() == pytest.approx(1.7 * dataset.setup.neuron.threshold)
    assert dataset.patterns[1] == pytest.approx(levels[1::2].mean(axis=0))


# down, up, right and left, as signs and axes
MOVES = ((1, 1), (-1, 1), (1, 2), (-1, 2))


def test_copies_of_mnist_are_a_pixel_away():
    images = np.random.default_rng(1).random((4, 6, 6))
    same, *copies = datasets.moved_by_a_pixel(images).reshape(5, 4, 6, 6)
    assert np.array_equal(same, images)
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))  # edges are dark
    for copy, move in zip(copies, MOVES, strict=True):
        assert np.array_equal(copy, np.roll(framed, *move)[:, 1:-1, 1:-1])


def test_held_out_images_are_not_learned(tmp_path):
    random = np.random.default_rng(1)
    np.savez(tmp_path / "mine.npz", images=random.random((90, 4)), labels=np.arange(90) % 3)
    whole = datasets.matching_dataset(str(tmp_path / "mine.npz")).training
    held_out = data_of(str(tmp_path / "mine.npz"), None, held_out=True)
    learned, tested = (
        {tuple(row) for row in part.levels} for part in (held_out.training, held_out.test)
    )
    assert not learned & tested and len(tested) == 12
    assert learned | tested == {tuple(row) for row in whole.levels}


def test_classes_that_differ_by_spaces_are_one(tmp_path):
    rows = [f"{name},{k}" for k, name in enumerate(["A", "B", "B "] * 8)]
    (tmp_path / "t.csv").write_text("\n".join(["class,x", *rows]))
    assert set(read_table(tmp_path / "t.csv", "class")[1]) == {"A", "B"}


def test_values_that_no_classifier_can_square_are_refused(tmp_path):
    values, labels = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
    values[3, 1] = 1e308
    np.savez(tmp_path / "t.npz", x=values, y=labels)
    rows = [f"{a},{b},{label}" for (a, b), label in zip(values, labels, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,class", *rows]))
    for name, word in (("t.npz", "sample 3"), ("t.csv", "row 5")):
        with pytest.raises(ParameterError, match=word):
            read_table(tmp_path / name)


def test_files_of_numpy_are_read_or_refused_in_one_line(tmp_path):
    values, names = np.arange(24.0).reshape(12, 2), np.repeat([b"a", b"b"], 6)
    np.save(tmp_path / "t.npy", np.column_stack([values, np.arange(12) % 2]))
    np.savez(tmp_path / "bytes.npz", x=values, y=names)
    samples, labels = read_table(tmp_path / "t.npy")
    assert np.array_equal(samples, values) and labels.tolist() == [0, 1] * 6
    assert read_arrays(tmp_path / "bytes.npz")[0][1].tolist() == ["a"] * 6 + ["b"] * 6
    shapes = {"x_train": values, "x_test": values[:, :1], "y_train": names, "y_test": names}
    np.savez(tmp_path / "shapes.npz", **shapes)
    damaged = bytearray((tmp_path / "t.npy").read_bytes())
    damaged[15] = ord("(")  # in the header
    (tmp_path / "damaged.npy").write_bytes(damaged)
    for name in ("shapes.npz", "damaged.npy"):
        with pytest.raises(ParameterError, match=name) as error:
            read_arrays(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(DatasetError, match="size"):
        datasets.matching_dataset("mnist", 0)
