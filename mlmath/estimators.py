"""Chapter 1 in scikit-learn's form: estimators for a `Pipeline`, `cross_val_score` or `GridSearchCV`.

They only validate as scikit-learn does and call the functions of `mlmath.regression`; this is the one module of
mlmath that needs scikit-learn (`pip install mlmath[estimators]`).

    coef_       (d,) or (k, d)   the weights w, one row for each target
    intercept_  a number or (k,) the bias b
"""

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from mlmath.regression import least_squares, ridge, with_intercept


class _LinearModel(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """ŷ = Xw + b."""

    def predict(self, X: Any) -> np.ndarray:
        """Return ŷ = Xw + b, (n,) or (n, k), for X (n, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X @ self.coef_.T + self.intercept_

    def _validate(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True)
        return X, y.astype(X.dtype, copy=False)


class LinearRegression(_LinearModel):
    """Least squares, by `mlmath.regression.least_squares`.

    With `fit_intercept` the bias is the weight of a column of ones. Where a constant or collinear column leaves many
    equally good fits, `"qr"` and `"normal"` warn (`RankWarning`) and, as `"svd"` does, take the one of least ‖(b, w)‖.
    """

    def __init__(self, *, solver: str = "qr", fit_intercept: bool = True) -> None:
        self.solver = solver
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Fit w and b to X (n, d) and y (n,) or (n, k)."""
        X, y = self._validate(X, y)
        A = with_intercept(X) if self.fit_intercept else X
        try:
            w = least_squares(A, y, solver=self.solver)
        except np.linalg.LinAlgError as error:
            warnings.warn(str(error), np.exceptions.RankWarning, stacklevel=2)
            w = least_squares(A, y, solver="svd")
        self.coef_ = w[-X.shape[1] :].T
        self.intercept_ = w[0] if self.fit_intercept else np.zeros_like(w[0])
        return self


class Ridge(_LinearModel):
    """Least squares with the penalty α‖w‖², by `mlmath.regression.ridge`.

    With `fit_intercept` X and y are centered first, so that the bias is not penalized. The weight of a constant
    column is then 0, and collinear columns share theirs.
    """

    def __init__(self, *, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Fit w and b to X (n, d) and y (n,) or (n, k)."""
        X, y = self._validate(X, y)
        x_mean, y_mean = X.mean(axis=0), y.mean(axis=0)
        if not self.fit_intercept:
            x_mean, y_mean = np.zeros_like(x_mean), np.zeros_like(y_mean)
        self.coef_ = ridge(X - x_mean, y - y_mean, alpha=self.alpha).T
        self.intercept_ = y_mean - x_mean @ self.coef_.T
        return self
