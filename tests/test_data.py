"""The stored data sets equal scikit-learn's, cannot be changed by accident, and are cheap to load."""

import gzip
from dataclasses import FrozenInstanceError
from importlib import resources

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from mlmath import data


def test_diabetes_equals_scikit_learns():
    ours, theirs = data.diabetes(), load_diabetes(scaled=False)
    np.testing.assert_array_equal(ours.X, theirs.data)
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert list(ours.feature_names) == theirs.feature_names
    assert len(ours.units) == ours.X.shape[1]


def test_diabetes_scales_to_scikit_learns_default_as_its_docstring_says():
    X = data.diabetes().X
    scaled = (X - X.mean(axis=0)) / X.std(axis=0) / np.sqrt(442)
    np.testing.assert_allclose(scaled, load_diabetes().data, rtol=1e-9, atol=1e-12)


def test_breast_cancer_equals_scikit_learns_with_malignant_for_1():
    ours, theirs = data.breast_cancer(), load_breast_cancer()
    np.testing.assert_array_equal(ours.X, theirs.data)
    assert theirs.target_names.tolist() == ["malignant", "benign"]
    np.testing.assert_array_equal(ours.y, theirs.target == 0)
    assert list(ours.feature_names) == theirs.feature_names.tolist()
    assert ours.y.sum() == 212
    assert len(ours.units) == 30


def test_the_groups_of_ten_columns_are_those_of_the_docstring():
    names = data.breast_cancer().feature_names
    for start, word in [(0, "mean"), (10, "error"), (20, "worst")]:
        assert all(word in name for name in names[start : start + 10])


def test_digits_equal_scikit_learns():
    ours, theirs = data.digits(), load_digits()
    np.testing.assert_array_equal(ours.X, theirs.data)
    np.testing.assert_array_equal(ours.X[5].reshape(8, 8), theirs.images[5])
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert list(ours.feature_names) == theirs.feature_names
    assert len(ours.units) == 64


@pytest.mark.parametrize("load", [data.breast_cancer, data.digits])
def test_classes_are_whole_numbers_and_cannot_be_changed(load):
    assert load().y.dtype.kind == "i"
    with pytest.raises(ValueError, match="read-only"):
        load().y[0] = 3
    assert len(repr(load())) < 150


# --- A share held out -------------------------------------------------------------------------------------------------


def test_hold_out_deals_every_sample_once_with_its_label():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    X_train, X_test, y_train, y_test = data.hold_out(X, y, share=0.3, rng=np.random.default_rng(1))
    assert len(X_test) == len(y_test) == 3
    assert sorted([*y_train, *y_test]) == list(range(10))
    np.testing.assert_array_equal(np.concatenate([X_train, X_test]), X[np.r_[y_train, y_test]])
    assert list(y_test) != list(range(3))


def test_the_fixed_quarter_of_the_digits_is_the_same_every_time():
    digits = data.digits()
    _, X_test, y_train, y_test = data.hold_out(digits.X, digits.y, rng=np.random.default_rng(0))
    order = np.random.default_rng(0).permutation(1797)
    assert (len(y_train), len(y_test)) == (1348, 449)
    np.testing.assert_array_equal(X_test, digits.X[order[:449]])
    assert set(y_train) == set(y_test) == set(range(10))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"share": 1.0}, ValueError, "share must be at least 0 and less than 1, but it is 1.0"),
        ({"share": 0.01}, ValueError, "share must leave samples to train and to test, but it is 0.01, 0 of 10"),
        ({"share": 0.99}, ValueError, "but it is 0.99, 10 of 10"),
        ({"rng": 0}, TypeError, "rng must be a numpy.random.Generator, but it is 0"),
        ({"y": np.zeros(9)}, ValueError, "X and y must have the same length, but they have 10 and 9"),
    ],
)
def test_hold_out_says_what_is_wrong(arguments, error, message):
    arguments = {"X": np.zeros((10, 2)), "y": np.zeros(10), "rng": np.random.default_rng(0)} | arguments
    with pytest.raises(error, match=message):
        data.hold_out(**arguments)


# --- Problems in the plane --------------------------------------------------------------------------------------------


def radius_and_angle(X):
    return np.hypot(*X.T), np.arctan2(X[:, 1], X[:, 0])


@pytest.mark.parametrize("name", ["circle", "xor", "gaussians", "spiral"])
def test_problems_are_balanced_in_any_run_of_rows_and_the_same_for_the_same_seed(name):
    X, y = data.two_dimensional(name, 200, rng=np.random.default_rng(3))
    assert X.shape == (200, 2)
    assert y[:100].sum() == y[100:].sum() == 50
    np.testing.assert_array_equal(X, data.two_dimensional(name, rng=np.random.default_rng(3))[0])
    assert not np.array_equal(X, data.two_dimensional(name, rng=np.random.default_rng(4))[0])


@pytest.mark.parametrize("name", ["circle", "xor", "gaussians", "spiral"])
def test_noise_is_the_standard_deviation_of_what_is_added(name):
    X, y = data.two_dimensional(name, 4000, noise=0, rng=np.random.default_rng(3))
    noisy, labels = data.two_dimensional(name, 4000, noise=0.5, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_allclose((noisy - X).std(axis=0), 0.5, rtol=0.05)
    assert (np.abs(X) <= 3).mean() > 0.995


def test_without_noise_each_problem_is_the_shape_that_it_is_called():
    sets = {name: data.two_dimensional(name, 600, noise=0, rng=np.random.default_rng(0)) for name in data.SHAPES}
    X, y = sets["circle"]
    np.testing.assert_array_equal(radius_and_angle(X)[0] < 1.75, y == 1)
    X, y = sets["xor"]
    np.testing.assert_array_equal((X[:, 0] > 0) != (X[:, 1] > 0), y == 1)
    X, y = sets["gaussians"]
    assert ((X.sum(axis=1) > 0) == (y == 1)).mean() > 0.99
    X, y = sets["spiral"]
    r, angle = radius_and_angle(X)
    turns = (angle - np.pi * r - np.pi * y) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"name": "moons"},
            ValueError,
            "name must be one of 'circle', 'xor', 'gaussians', 'spiral', but it is 'moons'",
        ),
        ({"n": 1}, ValueError, "n must be at least 2, but it is 1"),
        ({"noise": -0.1}, ValueError, "noise must be at least 0, but it is -0.1"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator, but it is None"),
    ],
)
def test_two_dimensional_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        data.two_dimensional(**{"name": "xor", "rng": np.random.default_rng(0)} | arguments)


# --- The files --------------------------------------------------------------------------------------------------------


def test_a_data_set_cannot_be_changed():
    diabetes = data.diabetes()
    with pytest.raises(ValueError, match="read-only"):
        diabetes.X[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        diabetes.y += 1
    with pytest.raises(FrozenInstanceError):
        diabetes.X = np.zeros((1, 1))


def test_a_data_set_is_read_once_and_prints_in_one_line():
    assert data.diabetes() is data.diabetes()
    assert repr(data.diabetes()).startswith("diabetes: 442 samples, 10 features (age, sex, bmi, ")
    assert "\n" not in repr(data.diabetes())


def test_files_are_small_reproducible_and_described():
    folder = resources.files(data)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    files = [file for file in folder.iterdir() if file.name.endswith(".csv.gz")]
    assert files
    for file in files:
        packed = file.read_bytes()
        assert packed[4:8] == bytes(4), "the gzip header must hold no time"
        assert len(packed) < 200_000
        assert f"## `{file.name}`" in readme
        header = gzip.decompress(packed).decode().splitlines()[0]
        assert all(f"`{column}`" in readme for column in header.split(","))
    assert "Source:" in readme
    assert "Licence:" in readme


def test_the_prose_is_the_books_own_in_plain_characters():
    text = data.prose()
    assert len(text) == 58_714
    assert len(set(text)) == 75
    assert text.isascii()
    assert text.endswith("\n")
    assert "gradient" in text
    assert not set("$\\{}`") & set(text)


def test_what_cannot_be_held_out_is_named():
    with pytest.raises(ValueError, match="X must have one entry for each sample"):
        data.hold_out(None, np.ones(3), rng=np.random.default_rng(0))
