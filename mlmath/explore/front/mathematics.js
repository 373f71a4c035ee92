// The functions that generated formulas call by name (mlmath/javascript.py), in forms that neither
// overflow nor lose digits. NumPy's side of each is in mlmath/javascript.py.

function sigmoid(z) {
  const small = Math.exp(-Math.abs(z));
  return (z < 0 ? small : 1) / (1 + small);
}

const logaddexp = (a, b) => (a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))));
const softplus = z => logaddexp(0, z);
const logsumexp = (...values) => values.reduce((sum, value) => logaddexp(sum, value));
const heaviside = (x, atZero) => (x === 0 ? atZero : (Math.sign(x) + 1) / 2);
const square = x => x * x;
const cube = x => x * x * x;

// IEEE 754: 1 to any power is 1, and so is (-1) to an infinite one; Math.pow says NaN.
function power(base, exponent) {
  const one = base === 1 || (base === -1 && Math.abs(exponent) === Infinity);
  return one ? 1 : Math.pow(base, exponent);
}
