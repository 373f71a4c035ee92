// Chapter 1: lines, nearly collinear columns, polynomials.

const sum = numbers => { let total = 0; for (const number of numbers) total += number; return total; };
const dot = (a, b) => { let total = 0; for (let i = 0; i < a.length; i++) total += a[i] * b[i]; return total; };

const moments = points => [
  points.length, sum(points.map(p => p[0])), sum(points.map(p => p[1])),
  sum(points.map(p => p[0] * p[0])), sum(points.map(p => p[0] * p[1])), sum(points.map(p => p[1] * p[1])),
];

// The points around `center` where a u² + 2b uv + c v² = level, by the Cholesky factor of [[a, b], [b, c]].
function ellipse([x, y], [a, b, c], level) {
  const l = Math.sqrt(a), m = b / l, h = Math.sqrt(c - m * m), r = Math.sqrt(Math.max(level, 0));
  return spread([0, 2 * Math.PI], 72).map(angle => {
    const v = r * Math.sin(angle) / h;
    return [x + (r * Math.cos(angle) - m * v) / l, y + v];
  });
}

loops["fit-a-line"] = ({ squares, best }, { levels, x: [left, right] }) => ({
  frame({ slope, intercept, points }) {
    const known = moments(points), [n, sx, , sxx] = known, unique = n * sxx - sx * sx > 1e-9 * n * sxx;
    const lowest = unique ? best(known) : [NaN, NaN], least = unique ? squares(lowest, known) : NaN;
    const line = x => slope * x + intercept;
    const marks = {
      line: [[left, line(left)], [right, line(right)]],
      squares: points.map(([x, y]) => [x, line(x), y, x < (left + right) / 2 ? 1 : -1]),
      data: points, current: [[slope, intercept]], bottom: unique ? [lowest] : [],
    };
    levels.forEach((level, i) => { marks[`level${i}`] = unique ? ellipse(lowest, [sxx, sx, n], level) : []; });
    return { marks, readouts: {
      sse: sum(points.map(([x, y]) => (y - line(x)) ** 2)),
      least: unique ? Math.max(least, 0) : "not unique",
      best: unique ? lineOf(lowest) : "not unique: all x are equal",
    } };
  },
  actions: {
    best_fit({ slope, intercept, points }) {
      const [w, b] = best(moments(points));
      return Number.isFinite(w) && Number.isFinite(b) ? { slope: w, intercept: b } : { slope, intercept };
    },
  },
});

// Least squares by modified Gram–Schmidt on the columns of [X y]: R w = Qᵀy, as stable as Householder's QR.
function byQR(columns, y) {
  const q = [...columns, y].map(column => [...column]), n = columns.length, R = [], w = [];
  for (let j = 0; j < n; j++) {
    const norm = Math.sqrt(dot(q[j], q[j])), unit = q[j].map(entry => entry / norm);
    R[j] = q.map((column, k) => (k > j ? dot(unit, column) : norm));
    for (let k = j + 1; k <= n; k++) for (let i = 0; i < unit.length; i++) q[k][i] -= R[j][k] * unit[i];
  }
  for (let j = n - 1; j >= 0; j--) w[j] = w.reduce((rest, known, k) => rest - R[j][k] * known, R[j][n]) / R[j][j];
  return w;
}

// The normal equations of two columns by Cholesky: LLᵀw = Xᵀy.
function byCholesky([a, b], y) {
  const l = Math.sqrt(dot(a, a)), m = dot(a, b) / l, h = Math.sqrt(dot(b, b) - m * m);
  const z0 = dot(a, y) / l, z1 = (dot(b, y) - m * z0) / h, w1 = z1 / h;
  return [(z0 - m * w1) / l, w1];
}

// The singular value decomposition XV = UΣ of two columns: turn them until they are perpendicular (Jacobi, one-sided).
// One turn would do without rounding; the second and third make them perpendicular to the last digit.
function svd([a, b]) {
  let V = [[1, 0], [0, 1]];
  for (let turn = 0; turn < 3; turn++) {
    const half = Math.atan2(2 * dot(a, b), dot(a, a) - dot(b, b)) / 2, c = Math.cos(half), s = Math.sin(half);
    const rotate = (p, q) => [p.map((_, i) => c * p[i] + s * q[i]), p.map((_, i) => c * q[i] - s * p[i])];
    [a, b] = rotate(a, b);
    V = rotate(...V);
  }
  return { turned: [a, b], V, values: [a, b].map(column => Math.sqrt(dot(column, column))) };
}
function bySVD(columns, y) {
  const { turned, V, values } = svd(columns), z = turned.map((u, j) => dot(u, y) / values[j] / values[j]);
  return [0, 1].map(i => V[0][i] * z[0] + V[1][i] * z[1]);
}

loops.conditioning = (program, { first, second, weights }) => ({
  frame({ epsilon }) {
    const columns = [first, first.map((a, i) => a + epsilon * second[i])], { values } = svd(columns);
    const cond = values[0] / values[1], digits = solve => {
      const found = weights.map(w => solve(columns, columns[0].map((a, i) => w[0] * a + w[1] * columns[1][i])));
      const error = rms(found.flatMap((w, k) => [w[0] - weights[k][0], w[1] - weights[k][1]]));
      return Number.isFinite(error) ? clamp(-Math.log10(error / rms(weights.flat())), 0, 16) : 0;
    };
    const got = Object.entries({ normal: byCholesky, qr: byQR, svd: bySVD }).map(([name, solve]) => [name, digits(solve)]);
    const each = show => Object.fromEntries(got.map(([name, count]) => [name, show(count)]));
    return {
      marks: { ...each(count => [[cond, count]]), columns0: [[0, 0], [1, 0]], columns1: [[0, 0], [1, epsilon]] },
      readouts: { cond, square: cond * cond, ...each(count => count.toFixed(1)) },
    };
  },
});

loops.polynomial = (program, { degrees, xlim: [left, right], train, test }) => {
  const at = (w, t) => w.reduceRight((total, weight) => total * t + weight, 0);
  const error = (w, points) => Math.sqrt(sum(points.map(([t, y]) => (y - at(w, t)) ** 2)) / points.length);
  const fit = (degree, alpha) => {  // ridge: one more row √λ for each penalized weight
    const penalty = k => Array.from({ length: degree }, (_, i) => (i + 1 === k ? Math.sqrt(alpha) : 0));
    const columns = Array.from({ length: degree + 1 }, (_, k) => [...train.map(([t]) => t ** k), ...penalty(k)]);
    return byQR(columns, [...train.map(point => point[1]), ...Array(degree).fill(0)]);
  };
  return {
    frame({ degree, alpha }) {
      const fits = Array.from({ length: degrees + 1 }, (_, d) => fit(d, alpha)), w = fits[degree];
      const curve = spread([-1, 1], 160).map(t => [left + (right - left) * (t + 1) / 2, at(w, t)]);
      const errors = points => fits.map((weights, d) => [d, error(weights, points)]), [a, b] = [errors(train), errors(test)];
      return {
        marks: { curve, train: a, test: b, train_now: [a[degree]], test_now: [b[degree]] },
        readouts: { train_error: a[degree][1], test_error: b[degree][1], size: Math.max(...w.map(Math.abs)) },
      };
    },
  };
};
