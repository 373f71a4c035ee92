"""The estimators keep scikit-learn's rules, and fit what the functions fit."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.exceptions import RankWarning
from sklearn import linear_model
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlmath import data
from mlmath.estimators import LinearRegression, Ridge
from mlmath.regression import least_squares, with_intercept

MODELS = [
    "LinearRegression()",
    "LinearRegression(fit_intercept=False)",
    "LinearRegression(solver='normal')",
    "LinearRegression(solver='svd')",
    "Ridge()",
    "Ridge(fit_intercept=False)",
]
CHECK = """
import json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from mlmath.estimators import LinearRegression, Ridge
warnings.simplefilter("ignore")
for model in sys.argv[1:]:
    checks = check_estimator(eval(model), on_skip=None, on_fail=None)
    print(json.dumps([[c["check_name"], c["status"], repr(c["exception"])] for c in checks]))
"""


@pytest.fixture(scope="module")
def checks():
    """The checks of every model, in a process of its own: SciPy reads the array-API switch when it is imported."""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", CHECK, *MODELS]
    lines = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(zip(MODELS, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("model", MODELS)
def test_every_check_of_scikit_learn_passes(checks, model):
    assert len(checks[model]) > 40
    assert [check for check in checks[model] if check[1] != "passed"] == []


def diabetes(k=None):
    X, y = data.diabetes().X, data.diabetes().y
    return X, y if k is None else np.column_stack([y * (i + 1) + X[:, i] for i in range(k)])


@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LinearRegression(), linear_model.LinearRegression()),
        (LinearRegression(solver="normal"), linear_model.LinearRegression()),
        (LinearRegression(solver="svd"), linear_model.LinearRegression()),
        (Ridge(alpha=3.0), linear_model.Ridge(alpha=3.0)),
    ],
)
def test_the_fit_agrees_with_scikit_learns_in_numbers_and_shapes(ours, theirs, fit_intercept, k):
    X, y = diabetes(k)
    ours.set_params(fit_intercept=fit_intercept).fit(X, y)
    theirs.set_params(fit_intercept=fit_intercept).fit(X, y)
    assert ours.coef_.shape == theirs.coef_.shape
    if fit_intercept:
        assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-10)


def test_the_estimator_fits_what_the_function_fits():
    X, y = diabetes()
    model = LinearRegression().fit(X, y)
    np.testing.assert_array_equal(np.r_[model.intercept_, model.coef_], least_squares(with_intercept(X), y))


@pytest.mark.parametrize("model", [LinearRegression(), LinearRegression(solver="svd"), Ridge()])
def test_float32_stays_float32(model):
    X, y = (a.astype(np.float32) for a in diabetes())
    model.fit(X, y)
    assert model.coef_.dtype == model.predict(X).dtype == np.float32


def test_they_work_in_a_pipeline_and_a_search():
    X, y = diabetes()
    assert cross_val_score(make_pipeline(StandardScaler(), LinearRegression()), X, y).mean() > 0.45
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [10.0, 1e5]}).fit(X, y)
    assert search.best_params_["ridge__alpha"] == 10


@pytest.mark.parametrize("solver", ["qr", "normal"])
@pytest.mark.parametrize("added", [np.full(442, 0.1), None], ids=["constant", "collinear"])
def test_dependent_columns_are_said_and_predict_as_well_as_without_them(solver, added):
    X, y = diabetes()
    column = X[:, 2] * 0.3 + X[:, 3] if added is None else added
    more = np.column_stack([X, column])
    with pytest.warns(RankWarning, match=r"independent columns.* only 11 of its 12"):
        model = LinearRegression(solver=solver).fit(more, y)
    silent = LinearRegression(solver="svd").fit(more, y)
    np.testing.assert_array_equal(model.coef_, silent.coef_)
    np.testing.assert_allclose(model.predict(more), LinearRegression().fit(X, y).predict(X), rtol=1e-8)


def test_ridge_gives_a_constant_column_no_weight_and_equal_columns_equal_weights():
    X, y = diabetes()
    model = Ridge(alpha=2.0).fit(np.column_stack([X, np.full(442, 0.1), X[:, 2]]), y)
    assert model.coef_[10] == pytest.approx(0, abs=1e-9)
    assert model.coef_[11] == pytest.approx(model.coef_[2], rel=1e-9)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (LinearRegression(solver="lu"), ValueError, "solver must be one of"),
        (Ridge(alpha=0), ValueError, "alpha must be greater than 0.*least_squares"),
        (Ridge(alpha=-1.0), ValueError, "alpha must be greater than 0"),
        (Ridge(alpha="1"), TypeError, "alpha must be a real number"),
    ],
)
def test_bad_settings_are_named_when_the_model_is_fitted(model, error, message):
    with pytest.raises(error, match=message):
        model.fit(*diabetes())
