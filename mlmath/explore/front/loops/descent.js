// Chapter 2: the rules of mlmath.descent, step by step, on functions that were derived in SymPy.

const finite = (w, largest) => w.every(x => Math.abs(x) <= largest);      // false for NaN

// Each rule, given its settings, returns (w, g) => the next w.
const rules = {
  gradient_descent: ({ rate }) => (w, g) => w.map((x, i) => x - rate * g[i]),
  newton: ({ hessian }) => (w, g) => {
    const [a, b, c, d] = hessian(w), det = a * d - b * c;
    return [w[0] - (d * g[0] - b * g[1]) / det, w[1] - (a * g[1] - c * g[0]) / det];
  },
  line_search: ({ loss }) => (w, g) => {
    const here = loss(w), slope = g[0] * g[0] + g[1] * g[1], at = t => w.map((x, i) => x - t * g[i]);
    let t = 1;
    while (t > 1e-300 && !(loss(at(t)) <= here - 1e-4 * t * slope)) t *= 0.5;
    return at(t);
  },
};

// The rules that remember something are printed from SymPy (explore/descent.py): `memory` is what, t counts the steps.
const remembering = (update, { rate, momentum }) => {
  const memory = [0, 1, 2, 3].map(() => [0, 0]);
  let t = 0;
  return (w, g) => (update(2, t += 1, rate, momentum, g, ...memory, w = [...w]), w);
};

// Follow `rule` for `steps` steps or until it leaves the finite numbers.
function descend(rule, gradient, loss, start, steps, largest) {
  const path = [start], losses = [loss(start)];
  let w = start, diverged = !Number.isFinite(losses[0]);
  for (let k = 1; k <= steps && !diverged; k++) {
    w = rule(w, gradient(w, k - 1));
    const value = loss(w);
    diverged = !(finite(w, largest) && Number.isFinite(value));
    path.push(w);
    if (!diverged) losses.push(value);
  }
  return { path, losses, diverged, w };
}
const numbered = values => values.map((value, k) => [k, value]);

loops["rate-1d"] = ({ loss, slope }, { xlim, largest }) => ({
  frame({ rate, steps, start }) {
    const f = ([w]) => loss(w), g = ([w]) => [slope(w)];
    const { path, losses, diverged } = descend(rules.gradient_descent({ rate }), g, f, [start], steps, largest);
    const walk = path.map(([w]) => [w, loss(w)]), [w, height] = walk.at(-1), s = slope(w), next = w - rate * s;
    const tangent = xlim.map(x => [x, height + s * (x - w)]);
    const signs = path.slice(1).map(([v], k) => Math.sign(v - path[k][0])).filter(sign => sign !== 0);
    const turns = signs.filter((sign, k) => k > 0 && sign !== signs[k - 1]).length;
    const verdict = diverged || (losses.length > 2 && losses.at(-1) > losses.at(-2) && losses.at(-2) > losses.at(-3)) ? "diverges"
      : Math.abs(s) < 1e-3 ? "has arrived" : steps === 0 ? "at the start" : turns > signs.length / 2 ? "jumps to and fro" : "walks downhill";
    return {
      marks: {
        path: walk, iterates: walk, last: [[w, height]], grip: [[start, loss(start)]], tangent, next: [[w, height], [next, height], [next, loss(next)]],
        losses: numbered(losses), dots: numbered(losses),
      },
      readouts: { x: diverged ? NaN : w, loss: diverged ? NaN : height, slope: diverged ? NaN : s, verdict },
    };
  },
});

loops.bowl = ({ loss, gradient }, { largest }) => ({
  frame({ kappa, rate, steps, start }) {
    const f = w => loss(1 / kappa, w), g = w => gradient(1 / kappa, w);
    const { path, losses, diverged } = descend(rules.gradient_descent({ rate }), g, f, start, steps, largest);
    const eigenvalues = [1 / kappa, 1], factor = (lambda, eta) => Math.abs(1 - eta * lambda);
    const worst = eta => Math.max(...eigenvalues.map(lambda => factor(lambda, eta))), best = 2 / (1 + 1 / kappa);
    const curve = lambda => [0, 1 / lambda, 2.4].filter(eta => eta <= 2.4).map(eta => [eta, factor(lambda, eta)]);
    const marks = {
      path, iterates: path, grip: [start],
      flat: path.map((w, k) => [k, Math.abs(w[0])]), steep: path.map((w, k) => [k, Math.abs(w[1])]),
      flat_factor: curve(eigenvalues[0]), steep_factor: curve(1), best: [[best, worst(best)]], now: [[rate, worst(rate)]],
    };
    for (let i = 0; i < 6; i++) marks[`level${i}`] = ellipse([0, 0], [1 / kappa, 0, 1], 4 * (i + 0.5) ** 2);
    return { marks, readouts: { factor: worst(rate), best_factor: worst(best), best_at: best, loss: diverged ? NaN : losses.at(-1) } };
  },
  actions: { best_rate: ({ kappa }) => ({ rate: 2 / (1 + 1 / kappa) }) },
});

loops.descent = (program, { methods, losses: names, largest }) => ({
  frame(values) {
    const { rate, steps, start } = values, i = names.indexOf(values.loss);
    const [loss, gradient, hessian] = ["loss", "gradient", "hessian"].map(name => program[name + i]);
    const marks = { grip: [start] }, readouts = {};
    for (const method of methods) {
      if (!values[method]) continue;
      const rule = rules[method]?.({ rate, loss, hessian }) ?? remembering(program[method], values);
      const run = descend(rule, gradient, loss, start, steps, largest);
      const parts = { path: run.path, dots: run.path, end: [run.path.at(-1)], loss: numbered(run.losses) };
      for (const [part, drawn] of Object.entries(parts)) marks[`${part}_${method}`] = drawn;
      readouts[method] = run.diverged ? NaN : run.losses.at(-1);
    }
    return { marks, readouts };
  },
});

loops.sgd = ({ squares, best, gradient }, { points, order, xlim, largest }) => {
  const known = moments(points), n = points.length, lowest = best(known), loss = w => squares(w, known) / (2 * n);
  return {
    frame({ rate, steps, start, batch_size: size = n }) {
      const perEpoch = Math.ceil(n / size);
      const batch = step => {                       // the rows of this step: slices of each epoch's shuffled order
        const epoch = Math.floor(step / perEpoch) * n % order.length, from = step % perEpoch * size;
        return order.slice(epoch + from, epoch + Math.min(from + size, n)).map(row => points[row]);
      };
      const mean = (w, step) => {
        const slopes = batch(step).map(([x, y]) => gradient(w, x, y));
        return w.map((_, i) => sum(slopes.map(g => g[i])) / slopes.length);
      };
      const { path, losses, diverged, w } = descend(rules.gradient_descent({ rate }), mean, loss, start, steps, largest);
      const line = x => w[0] * x + w[1];
      return {
        marks: { path, iterates: path, now: [w], grip: [start], line: xlim.map(x => [x, line(x)]),
          losses: losses.map((value, k) => [k, Math.max(value - loss(lowest), 0)]) },
        readouts: { loss: diverged ? NaN : losses.at(-1), least: loss(lowest),
          line: diverged ? NaN : lineOf(w) },
      };
    },
  };
};
