// The functions that generated formulas call by name (mlmath/javascript.py), in forms that neither
// overflow nor lose digits. NumPy's side of each is in mlmath/javascript.py.

function sigmoid(z) {
  const small = Math.exp(-Math.abs(z));
  return (z < 0 ? small : 1) / (1 + small);
}

function logaddexp(a, b) {
  return a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

function softplus(z) {
  return logaddexp(0, z);
}

function logsumexp(...values) {
  return values.reduce((sum, value) => logaddexp(sum, value));
}

function heaviside(x, atZero) {
  return x === 0 ? atZero : (Math.sign(x) + 1) / 2;
}

// IEEE 754: 1 to any power is 1, and so is (-1) to an infinite one; Math.pow says NaN.
function power(base, exponent) {
  const one = base === 1 || (base === -1 && Math.abs(exponent) === Infinity);
  return one ? 1 : Math.pow(base, exponent);
}

function square(x) {
  return x * x;
}

function cube(x) {
  return x * x * x;
}
