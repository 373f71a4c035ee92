// Chapter 4: units, bumps, backpropagation and networks that learn. What is computed was derived in SymPy and printed,
// loops over a batch and a layer too (explore/network.py); left to write is which layer comes when, and the pictures.

const spread = ([low, high], n) => Array.from({ length: n + 1 }, (_, i) => low + (high - low) * (n && i / n));
const rms = numbers => Math.sqrt(dot(numbers, numbers) / numbers.length);

// All formulas: each mark is a program of the controls' values and of t, which runs along the picture; so are the read-outs.
loops.activation = (program, { names, given, curves, readouts }) => ({
  frame(values) {
    const known = given.map(name => values[name]), f = (name, t) => program[name + names.indexOf(values.activation)](known, t);
    const marks = curves.map(([name, limits, n]) => [name, spread(limits, n).map(t => f(name, t))]);
    return { marks: Object.fromEntries(marks), readouts: Object.fromEntries(readouts.map(name => [name, f(name, 0)])) };
  },
});

loops.bumps = (program, { shapes, xlim, target, counts }) => {
  const last = target.length - 1, fine = spread(xlim, last), f = x => {         // the target, straight between what is known of it
    const at = last * (x - xlim[0]) / (xlim[1] - xlim[0]), k = Math.min(Math.floor(at), last - 1);
    return target[k] + (at - k) * (target[k + 1] - target[k]);
  };
  const built = ({ shape, steepness }, n) => {                // n bumps side by side, each as high as the target at its middle
    const middles = spread(xlim, n - 1), heights = middles.map(f), h = middles[1] - middles[0], bump = program[`bump${shapes.indexOf(shape)}`];
    const part = (x, k) => heights[k] * bump(x, middles[k], h, steepness), curve = fine.map(x => [x, sum(middles.map((_, k) => part(x, k)))]);
    const pieces = middles.flatMap((m, k) => spread([m - h, m + h], 24).map(x => [x, part(x, k)]));
    return { curve, pieces, error: Math.max(...curve.map(([, height], i) => Math.abs(height - target[i]))) };
  };
  return { frame(values) {
    const { curve, pieces, error } = built(values, values.bumps), errors = counts.map(n => [n, built(values, n).error]);
    return { marks: { curve, pieces, errors, now: [[values.bumps, error]] }, readouts: { error } };
  } };
};

loops.backprop = ({ network }, { inputs, found, forward, says, lit }) => ({
  frame(values) {
    const numbers = network(inputs.map(([name]) => values[name])), done = found.slice(0, values.step), [p, loss] = numbers.slice(forward - 2);
    const texts = done.map(([x, y, label], k) => [x, y, `${label} ${show(+numbers[k].toPrecision(3))}`.trim()]);
    const given = inputs.map(([name, x, y, label]) => [x, y, `${label} ${show(values[name])}`]);
    return { marks: { given, forward: texts.slice(0, forward), backward: texts.slice(forward), now: done.slice(-1), lit: lit[values.step] },
      readouts: { p, loss, says: says[values.step] } };
  },
});

// A dense network on a batch X: its weights w lie layer after layer, W row by row and then b, and so does their gradient.
function dense(sizes, { weigh, pull }, act, w, X) {
  const n = X.length / sizes[0], last = sizes.length - 1, g = new Float64Array(w.length);
  const rows = fill => sizes.map(m => new Float64Array(n * m).fill(fill));
  const a = rows(0), z = rows(0), slope = rows(1), delta = rows(0), take = size => (at += size, [w, g].map(v => v.subarray(at - size, at)));
  let at = 0;
  const layers = sizes.slice(1).map((m, l) => [take(sizes[l] * m), take(m)]);
  a[0].set(X);
  return { sizes, layers, a, delta,
    forward() {
      layers.forEach(([[W], [b]], l) => {
        weigh(n, sizes[l], sizes[l + 1], W, b, a[l], z[l + 1]);
        if (l + 1 < last) act(z[l + 1].length, z[l + 1], a[l + 1], slope[l + 1]);
      });
      return z[last];                                         // the last layer stays linear
    },
    backward() {
      for (let l = last - 1; l >= 0; l--)
        pull(n, sizes[l], sizes[l + 1], layers[l][0][0], a[l], slope[l], delta[l + 1], delta[l], layers[l][0][1], layers[l][1][1]);
    } };
}

loops.playground = (program, { sets, names, rests, xavier, starts, cells, reach, most, largest }) => {
  const pixels = Array.from({ length: cells * cells }, (_, c) => c), middle = i => reach * ((2 * i + 1) / cells - 1);
  const grid = { X: pixels.flatMap(c => [middle(c % cells), -middle(c / cells | 0)]) }, few = pixels.filter(c => c % 2 + (c / cells & 1) === 0);
  let train, test, field, w, key, epoch, lost, curve;
  const begin = ({ data, layers, units, activation, start }) => {
    const now = [data, layers, units, activation, start].join(), kind = names.indexOf(activation), sizes = [2, ...Array(layers).fill(units), 1];
    if (now === key) return;
    w = Float64Array.from(sizes.slice(1).flatMap((m, l) => {  // normal numbers of variance 2/n (He) or 2/(n + m) (Xavier)
      const rows = starts[start - 1][l < layers ? l : 2].slice(0, sizes[l]), scale = Math.sqrt(2 / (sizes[l] + xavier[kind] * m));
      return [...rows.flatMap(row => row.slice(0, m).map(u => scale * u)), ...Array(m).fill(0)];
    }));
    const { train: some, test: others } = sets[data], act = program[`act${kind}`];
    [train, test, field] = [some, others, grid].map(({ X, y }) => ({ y, ...dense(sizes, program, act, w, X) }));
    [key, epoch, lost, curve] = [now, 0, false, []];
  };
  const judged = ({ forward, delta, y }) => {                 // mean loss and share of right answers; ∂L/∂z of the last layer
    const z = forward(), losses = new Float64Array(z.length);
    program.judge(z.length, z, y, losses, delta.at(-1));
    return [sum(losses), y.filter((label, i) => label === +(z[i] > 0)).length / z.length];
  };
  const learn = ({ rate, alpha }) => {                        // one epoch: a step along the gradient of all training points
    const kept = w.slice(), [loss] = judged(train);
    if (epoch >= 1.03 * (curve.at(-1)?.[0] ?? 0)) curve.push([epoch, loss, judged(test)[0]]);
    train.backward();
    for (const layer of train.layers) layer.forEach(([v, g], bias) => program.descend(v.length, v, g, rate, bias ? 0 : alpha));
    if ((lost = !finite(w, largest))) w.set(kept);
    else epoch += 1;
  };
  return {
    frame(values) {
      begin(values);
      const [loss] = judged(train), [missed, right] = judged(test), p = field.forward().map(z => 2 * sigmoid(z) - 1);
      const { a, sizes, layers } = field, last = layers.length, rest = rests[names.indexOf(values.activation)];
      const size = Math.min(1.6, 8 / Math.max(...sizes)), at = (l, j) => [3 * l / last, size * ((sizes[l] - 1) / 2 - j)];
      const picture = (numbers, n, box) => ({ columns: n, rows: n, values: numbers, box }), test_losses = curve.map(([k, , v]) => [k, v]);
      const marks = { ...sets[values.data].marks, field: picture(p, cells), losses: curve, test_losses };
      sizes.forEach((m, l) => {                               // what each unit says, as a picture as bright as can be
        for (let j = 0; j < m; j++) {
          const said = few.map(c => (l === last ? p[c] : a[l][c * m + j] - (l && rest)));
          const top = Math.max(1e-300, ...said.map(Math.abs)), [x, y] = at(l, j), [u, v] = [0.19 * size, 0.42 * size];
          marks[`unit${l === last ? 3 : l}_${j}`] = picture(said.map(s => s / top), cells / 2, [x - u, y - v, x + u, y + v]);
        }
      });
      layers.forEach(([[W]], l) => W.forEach((v, k) => {      // a wider line for a larger weight, in the color of its sign
        const edge = `${v < 0 ? "minus" : "plus"}${[0.4, 1.2].filter(limit => Math.abs(v) > limit).length}`;
        const [x, y] = at(l, Math.floor(k / sizes[l + 1])), [right, to] = at(l + 1, k % sizes[l + 1]);
        (marks[edge] ??= []).push([x + 0.19 * size, y, right - 0.19 * size, to]);
      }));
      return { marks, readouts: { epoch, loss: lost ? NaN : loss, test_loss: lost ? NaN : missed, accuracy: `${(100 * right).toFixed(0)} %` } };
    },
    actions: {
      reset: () => ((key = null), {}),
      play(values, still) {                                   // 12 ms a frame at most, or all at once where nothing shall move
        begin(values);
        const end = performance.now() + (still ? 400 : 12);
        for (let k = still ? most : values.speed; k > 0 && epoch < most && !lost && performance.now() < end; k--) learn(values);
        return !still && epoch < most && !lost;
      },
    },
  };
};

loops.depth = (program, { names, width, draws, inputs, errors, nodes, shares }) => ({
  frame({ depth, scale, activation }) {
    const k = names.indexOf(activation), size = width * width, at = l => l * (size + width), w = new Float64Array(at(depth + 1));
    for (let l = 0; l <= depth; l++) w.set(draws.slice(l * size, (l + 1) * size).map(u => scale * u / Math.sqrt(width)), at(l));
    const net = dense(Array(depth + 2).fill(width), program, program[`act${k}`], w, inputs), echoes = [[depth + 1, rms(errors)]];
    net.forward();
    net.delta.at(-1).set(errors);
    net.backward();
    const wave = new Float64Array(depth + 1).fill(rms(inputs)), growth = new Float64Array(depth);  // what theory expects, layer by layer
    program[`expect${k}`](depth, nodes.length, scale, nodes, shares, wave.subarray(0, depth), wave.subarray(1), growth);
    for (let l = depth; l > 0; l--) echoes.unshift([l, growth[l - 1] * echoes[0][1]]);
    const forward = numbered(net.a.slice(0, -1).map(rms)), backward = net.delta.slice(1).map((d, l) => [l + 1, rms(d)]);
    const factor = (from, to) => (to[1] / from[1]) ** (1 / depth);
    return { marks: { forward, backward, waves: numbered([...wave]), echoes, forward_dots: forward, backward_dots: backward },
      readouts: { forward_factor: factor(forward[0], forward.at(-1)), backward_factor: factor(backward.at(-1), backward[0]) } };
  },
  actions: { xavier: () => ({ scale: 1 }), he: () => ({ scale: Math.SQRT2 }) },
});
