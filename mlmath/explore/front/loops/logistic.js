// Chapter 3: the log loss summed over samples, Newton's method on it, and what a threshold decides.

// w => loss, gradient g and Hessian H (row by row) over samples [...x, y] with penalty `alpha`; each part is a formula from SymPy.
const logLoss = ({ sample, penalty }, samples, alpha = 0) => w => {
  const total = penalty(w, alpha), d = w.length;
  for (const one of samples) sample(w, one).forEach((part, i) => { total[i] += part; });
  return { loss: total[0], g: total.slice(1, d + 1), H: total.slice(d + 1) };
};

// Newton's method from w, each step halved until the loss falls; where no loss is the least, what 60 steps reach.
function newton(f, w) {
  for (let k = 0; k < 60; k++) {
    const { loss, g, H } = f(w), d = w.length, step = byQR(w.map((_, i) => H.slice(i * d, (i + 1) * d)), g), slope = dot(g, step);
    const from = w, at = t => from.map((x, i) => x - t * step[i]);
    if (!(slope > 0 && Number.isFinite(slope))) return w;
    if (slope < 1e-12 * loss) return at(1);         // the last step squares an error that is small already
    let t = 1;
    while (t > 1e-9 && !(f(at(t)).loss <= loss - 1e-4 * t * slope)) t /= 2;
    w = at(t);
  }
  return w;
}

loops.sigmoid = (program, { samples, xlim: [left, right], separable }) => {
  const f = logLoss(program, samples), best = newton(f, [0, 0]), xs = Array.from({ length: 161 }, (_, i) => left + (right - left) * i / 160);
  return {
    frame({ weight, bias }) {
      const w = [weight, bias], { loss } = f(w), p = x => program.probability(w, [x]), marks = { curve: xs.map(x => [x, p(x)]) };
      for (const k of [0, 1]) {
        const surprise = x => [x, program.sample(w, [x, k])[0]], own = samples.filter(([, y]) => y === k).map(([x]) => x);
        const parts = { likelihood: own.map(x => [x, 1 - k, x, p(x)]), surprise: xs.map(surprise), tip: own.map(surprise), bar: own.map(x => [x, 0, ...surprise(x)]) };
        for (const [part, drawn] of Object.entries(parts)) marks[part + k] = drawn;
      }
      return { marks, readouts: { likelihood: Math.exp(-loss), log_likelihood: -loss, loss: loss / samples.length,
        least: separable ? "0, never reached" : f(best).loss / samples.length,
        best: separable ? "none: the classes are separable" : `p = σ(${lineOf(best).slice(4)})` } };
    },
    actions: { best_fit: ({ weight, bias }) => (separable ? { weight, bias } : { weight: best[0], bias: best[1] }) },
  };
};

loops["newton-vs-descent"] = (program, { samples, ...data }) => {      // chapter 2's race, on the mean loss less its least value
  const totals = {}, mean = (parts, n) => parts.map(part => part / n);
  samples.forEach((set, i) => {
    const f = logLoss(program, set), least = f(newton(f, [0, 0])).loss, n = set.length;
    totals[`loss${i}`] = w => Math.max((f(w).loss - least) / n, 0);
    totals[`gradient${i}`] = w => mean(f(w).g, n);
    totals[`hessian${i}`] = w => mean(f(w).H, n);
  });
  return loops.descent(totals, data);
};

loops.boundary = (program, { xlim: [left, right], ylim: [low, high], alphas, columns, rows }) => ({
  frame({ alpha, negative, positive }) {
    const samples = [...negative.map(x => [...x, 0]), ...positive.map(x => [...x, 1])], norm = w => Math.hypot(w[0], w[1]), fits = [];
    const fit = (penalty, from, set = samples) => newton(logLoss(program, set, penalty), from);
    for (const penalty of alphas) fits.push(fit(penalty, fits.at(-1) ?? [0, 0, 0]));        // from large to small
    // Separable, in any units, if the weights still grow where hardly a penalty is left.
    const unit = samples.map(([a, b, y]) => [4 * (a - left) / (right - left), 4 * (b - low) / (high - low), y]), almost = fit(1e-8, [0, 0, 0], unit);
    const endless = norm(fit(1e-10, almost, unit)) > 1.05 * norm(almost);
    const w = fit(alpha, [0, 0, 0]), z = (a, b) => w[0] * a + w[1] * b + w[2], [a, b] = [(left + right) / 2, (low + high) / 2], values = [];
    for (let i = 0.5; i < rows; i++) for (let j = 0.5; j < columns; j++)
      values.push(2 * program.probability(w, [left + (right - left) * j / columns, high + (low - high) * i / rows]) - 1);
    // The boundary: from the middle (a, b) of the plane along w to where z = 0, and from there to both sides.
    const length = norm(w), [u, v] = [w[0] / length, w[1] / length], gap = z(a, b) / length, far = right - left + high - low;
    return {
      marks: { field: { columns, rows, values }, negative, positive, path: fits.map((v, i) => [alphas[i], norm(v)]), now: [[alpha, length]],
        line: length * far > 1e-9 ? [-far, far].map(t => [a - gap * u - t * v, b - gap * v + t * u]) : [] },
      readouts: { norm: length, loss: logLoss(program, samples)(w).loss / samples.length,
        wrong: `${samples.filter(([a, b, y]) => z(a, b) * (2 * y - 1) <= 0).length} of ${samples.length}`,
        limit: endless ? "‖w‖ runs to infinity: separable" : "‖w‖ stays finite" },
    };
  },
});

loops.threshold = ({ scores }, { y, p, bars, top, curves }) => ({
  frame({ threshold: t, curve }) {
    const counts = [[0, 0], [0, 0]], wrong = {};    // counts[truth][verdict]; the wrong parts of the bars
    p.forEach((share, i) => {
      const flagged = +(share >= t), [x, up] = bars[i];
      counts[y[i]][flagged] += 1;
      if (flagged !== y[i]) (wrong[bars[i]] ??= [x, 0, x, 0])[3] += up;
    });
    const [[tn, fp], [fn, tp]] = counts, [accuracy, precision, recall, f1, fall] = scores(tp, fp, fn, tn), roc = curve === curves[0];
    const text = [[0.25, top, `missed (FN) ${fn}`], [0.75, top, `found (TP) ${tp}`], [0.25, -top, `left alone (TN) ${tn}`], [0.75, -top, `false alarms (FP) ${fp}`]];
    return {
      marks: { wrong: Object.values(wrong), cut: [[t, -0.92 * top], [t, 0.92 * top]], grip: [[t, 0]], counts: text,
        now: [[roc ? fall : t, recall]], other: roc || !(tp + fp) ? [] : [[t, precision]] },
      readouts: { accuracy, precision: tp + fp ? precision : "none flagged", recall, fall, f1 },
    };
  },
});
