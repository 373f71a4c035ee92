"""The stored data sets equal scikit-learn's, cannot be changed by accident, and are cheap to load."""

import gzip
from dataclasses import FrozenInstanceError
from importlib import resources

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

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
