"""The datasets against their drawings and against MNIST as it is known."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from datasets import (
    MNIST_FILE,
    MNIST_SHA256,
    DatasetError,
    digits_012345,
    encode,
    load_mnist,
    mnist_templates,
    shrink,
    xpue,
)

XPUE = {"X": ["X.X", ".X.", "X.X"], "+": [".X.", "XXX", ".X."], "U": ["X.X", "X.X", "XXX"], "=": ["XXX", "...", "XXX"]}
DIGITS = {"0": ["XXX", "X.X", "X.X", "X.X", "XXX"], "1": [".X."] * 5, "2": ["XXX", "..X", "XXX", "X..", "XXX"],
          "3": ["XXX", "..X", "XXX", "..X", "XXX"], "4": ["X.X", "X.X", "XXX", "..X", "..X"],
          "5": ["XXX", "X..", "XXX", "..X", "XXX"]}


@pytest.mark.parametrize(("make", "drawings", "shape", "name"), [
    (xpue, XPUE, (3, 3), "xpue"), (digits_012345, DIGITS, (5, 3), "012345")])
def test_patterns_are_those_drawn_in_the_paper(make, drawings, shape, name):
    dataset = make()
    assert dataset.name == name
    assert dataset.labels == tuple(drawings)
    assert dataset.shape == shape
    for pattern, rows in zip(dataset.patterns, drawings.values(), strict=True):
        assert pattern.reshape(shape).tolist() == [[float(pixel == "X") for pixel in row] for row in rows]


def test_no_image_of_xpue_contains_another():
    patterns = xpue().patterns
    contained = [(a, b) for a in range(4) for b in range(4) if a != b and (patterns[a] >= patterns[b]).all()]
    assert contained == []
    # 012345 is not that kind: its 1 is drawn in the middle column, where the others have but three pixels.
    assert digits_012345().patterns[1].sum() == 5


def test_mnist_is_whole_and_canonical(mnist):
    shapes = {name: (array.shape, str(array.dtype)) for name, array in mnist.items()}
    assert shapes == {"x_train": ((60000, 28, 28), "uint8"), "y_train": ((60000,), "uint8"),
                      "x_test": ((10000, 28, 28), "uint8"), "y_test": ((10000,), "uint8")}
    # The digit counts of the original files.
    assert np.bincount(mnist["y_train"]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist["y_test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist["y_train"][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # and their order
    assert mnist["y_test"][:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert hashlib.sha256(MNIST_FILE.read_bytes()).hexdigest() == MNIST_SHA256


@pytest.mark.parametrize(("damage", "message"), [
    ("one bit", "checksum differs"), ("truncated", "checksum differs"), ("empty", "checksum differs"),
    ("missing", "No such file"), ("folder", "directory")])
def test_damaged_mnist_is_refused_by_name_with_the_remedy(tmp_path, damage, message):
    path = tmp_path / "mnist.npz"
    content = bytearray(MNIST_FILE.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    elif damage == "truncated":
        del content[-1]
    elif damage == "empty":
        content.clear()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        load_mnist(path=path)
    assert str(path) in str(caught.value)
    assert "git checkout data/mnist.npz" in str(caught.value)


def test_undamaged_copy_of_mnist_is_accepted(tmp_path, mnist):
    path = tmp_path / "copy.npz"
    path.write_bytes(MNIST_FILE.read_bytes())
    assert np.array_equal(load_mnist(path=path)["y_test"], mnist["y_test"])


def test_parts_of_mnist_are_those_of_the_whole(mnist):
    part = load_mnist("y_test", "x_train", first=7)
    assert {name: array.shape for name, array in part.items()} == {"y_test": (7,), "x_train": (7, 28, 28)}
    assert all(np.array_equal(array, mnist[name][:7]) for name, array in part.items())
    assert load_mnist("y_test", first=10**6)["y_test"].shape == (10000,)
    with np.load(MNIST_FILE, allow_pickle=False) as arrays:
        assert all(np.array_equal(mnist[name], arrays[name]) for name in arrays.files)


def test_templates_are_the_thresholded_means_of_the_first_hundred_images(mnist, templates):
    assert templates.patterns.shape == (10, 100)
    assert templates.shape == (10, 10)
    assert templates.labels == tuple("0123456789")
    assert (templates.patterns.sum(axis=1) == 19).all()
    whole = mnist_templates(28, "grey").patterns
    for digit in range(10):
        images = [image for image, label in zip(mnist["x_train"][:2000], mnist["y_train"][:2000], strict=True)
                  if label == digit][:100]
        assert len(images) == 100
        mean = np.mean(images, axis=0).astype(np.uint8)
        assert whole[digit] == pytest.approx(mean.ravel() / mean.max(), rel=1e-12)
        shrunk = Image.fromarray(mean).resize((10, 10), Image.Resampling.BICUBIC)
        grey = np.asarray(shrunk).ravel().tolist()
        limit = sorted(grey, reverse=True)[19]  # the 20th largest
        assert templates.patterns[digit].tolist() == [float(pixel > limit) for pixel in grey]


def test_binary_image_has_the_pixels_strictly_above_the_20th_largest(mnist):
    images = mnist["x_test"][:300]
    on, grey = encode(images), shrink(images, 10)
    assert set(np.unique(on)) == {0.0, 1.0}
    counts = on.sum(axis=1)
    assert counts.max() == 19  # fewer only where pixels tie
    assert np.median(counts) == 19
    for pixels, levels in zip(on, grey, strict=True):
        assert (levels > np.sort(levels)[80]).tolist() == pixels.astype(bool).tolist()


@pytest.mark.parametrize(("size", "most"), [(4, 2), (5, 4), (7, 9), (8, 12), (10, 19), (14, 38), (28, 156)])
@pytest.mark.parametrize("encoding", ["binary", "grey"])
def test_images_shrink_to_any_size(mnist, size, most, encoding):
    images = mnist["x_test"][:20]
    levels = encode(images, size, encoding)
    assert levels.shape == (20, size * size)
    assert levels.min() >= 0
    assert (levels.max(axis=1) == 1).all()
    if encoding == "binary":
        assert levels.sum(axis=1).max() == most  # one below a fifth of the pixels, fewer where some tie
    if size == 28:
        assert np.array_equal(shrink(images, 28), images.reshape(20, 784))  # row by row, untouched
    assert mnist_templates(size, encoding).patterns.shape == (10, size * size)


def test_shrunk_image_keeps_its_orientation():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, :7, 14:] = 200  # above, to the right
    small = shrink(image, 4).reshape(4, 4)
    assert (small[0, 2:] > 150).all()
    assert not small[2:].any()
    assert not small[:, 0].any()


def test_grey_levels_are_proportional_to_the_image_and_reach_one(mnist):
    image = mnist["x_test"][:8] // 2
    # Undimmed against dimmed by two: the exposure evens it out. A level is a whole grey level of the brightest pixel's.
    full, half = encode(image, 10, "grey"), encode(image // 2, 10, "grey")
    assert full == pytest.approx(half, abs=0.04)
    grey = shrink(image, 10)
    assert full == pytest.approx(grey / grey.max(axis=1, keepdims=True), rel=1e-12)
    assert (full.max(axis=1) == 1).all()


@pytest.mark.parametrize("encoding", ["binary", "grey"])
@pytest.mark.parametrize("level", [0, 200])
def test_uniform_image_is_dark_in_binary_and_full_in_grey_unless_black(encoding, level):
    levels = encode(np.full((1, 28, 28), level, np.uint8), 10, encoding)
    assert np.unique(levels).tolist() == [1.0 if encoding == "grey" and level else 0.0]


def test_arrays_that_mnist_does_not_have_and_none_of_its_images():
    with pytest.raises(DatasetError, match="MNIST has x_train, y_train, x_test, y_test, no 'train'"):
        load_mnist("x_test", "train")
    assert load_mnist("x_test", first=0)["x_test"].shape == (0, 28, 28)
    assert len(load_mnist("y_test", first=20000)["y_test"]) == 10000


def test_arrays_of_mnist_are_their_callers_own():
    """To be written into, as those that np.load gives; what another is given stays as it was."""
    images = load_mnist("x_test", first=2)["x_test"]
    images //= 2
    assert images.max() == 127 and load_mnist("x_test", first=2)["x_test"].max() == 255


def test_templates_that_all_share_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        mnist_templates().patterns[0, 0] = 1.0


@pytest.mark.parametrize(("images", "size", "said"), [
    (np.zeros((2, 784), np.uint8), 10, r"got uint8 of shape \(2, 784\)"), (np.zeros((28, 28), np.uint8), 10, r"shape \(28, 28\)"),
    (np.zeros((2, 28, 28)), 10, r"must be 8-bit \(uint8\), n x rows x columns, got float64"),
    (np.zeros((2, 28, 28), np.uint8), 2, "size must be 3 or more, got 2")])
def test_images_of_another_kind_are_refused(images, size, said):
    """MNIST as n x 784 gave whole rows on or off, in silence."""
    for encoding in ("binary", "grey"):
        with pytest.raises(DatasetError, match=said):
            encode(images, size, encoding)


def test_no_images_are_no_levels_and_the_smallest_size_has_a_pixel_on(mnist):
    for encoding in ("binary", "grey"):
        assert encode(mnist["x_test"][:0], 10, encoding).shape == (0, 100)
    assert encode(mnist["x_test"][:20], 3).sum(axis=1).max() >= 1
