// Chapter 5: a kernel that slides over an image, and a network that sees what is drawn. What is computed is printed from
// SymPy, and so are the places where it is drawn (explore/convolution.py); left to write is what comes when.

const field = (columns, numbers, most, box) => ({ columns, rows: numbers.length / columns, values: numbers.map(a => a / most), box });
const inRows = (numbers, n) => spread([0, numbers.length - n], numbers.length / n - 1).map(at => numbers.slice(at, at + n));

loops.convolution = ({ size, places, pad, slide, look }, { images, shape: [h, w], kernel }) => ({
  frame(values) {
    const { stride, padding, dilation, step } = values, pixels = images[values.image], W = kernel.map(name => values[name]);
    const given = [stride, padding, dilation], [m, n] = [h, w].map(length => size(length, ...given));
    const at = (step - 1) % (m * n), u = Math.floor(at / n), v = at % n;            // the place in the output
    const [x, y, seen, products] = [(h + 2 * padding) * (w + 2 * padding), m * n, 9, 9].map(count => new Float64Array(count));
    pad(h, w, padding, pixels, x);
    slide(w, ...given, m, n, W, x, y);
    look(w, ...given, u, v, W, x, seen, products);
    const [image, ring, under, output, edge, now] = places(h, w, ...given, m, n, u, v);
    const most = numbers => Math.max(1e-300, ...numbers.map(Math.abs)), short = number => show(+number.toPrecision(3));
    const texts = (up, text) => W.map((_, k) => [k % 3, Math.floor(k / 3) + up, text(k)]);
    const said = length => `⌊(${length} + 2·${padding} − ${dilation}·(3 − 1) − 1) / ${stride}⌋ + 1 = ${size(length, ...given)}`;
    return {
      marks: { ring, under, edge, now, image: field(w, pixels, most(pixels), image), output: field(n, y, most(y), output),
        products: field(3, products, 2 * most(pixels) * most(W), [-0.5, 2.5, 2.5, -0.5]), sum: [[1, 2.85, `sum ${short(y[at])}`]],
        factors: texts(-0.2, k => `${short(seen[k])} × ${short(W[k])}`), results: texts(0.2, k => short(products[k])) },
      readouts: { size: h === w ? said(h) : `${said(h)} rows, ${said(w)} columns`, place: `row ${u}, column ${v}`, sum: y[at] },
    };
  },
});

loops["draw-a-digit"] = (program, { sizes, starts, weights, pictures, side, pen: width }) => {
  const bytes = Uint8Array.from(atob(weights), c => c.charCodeAt(0)), w = new Float32Array(bytes.buffer), past = [];
  const a = sizes.map(size => new Float64Array(size)), p = a.at(-1), percent = k => `${k} (${(100 * p[k]).toFixed(1)} %)`;
  return {
    frame({ drawing, pen }) {
      a[0].set(drawing.flat());
      starts.forEach(([W, b], k) => program[`step${k}`](w.subarray(W), w.subarray(b), a[k], a[k + 1]));
      const bars = [...p].map((height, k) => [k, 0, k, height]), [best, next] = [...p.keys()].sort((k, l) => p[l] - p[k]);
      const marks = { ink: field(side, a[0], 1), bars, best: [bars[best]], pen: [pen] };
      pictures.forEach(({ layer, columns, rows, most, box }, k) => {
        const picture = new Float64Array(columns * rows);
        program[`picture${k}`](a[layer], picture);
        marks[`picture${k}`] = field(columns, picture, most, box);
      });
      return { marks, readouts: { best: a[0].some(Boolean) ? percent(best) : "an empty page", next: percent(next) } };
    },
    actions: {
      clear: ({ drawing }) => (past.push(drawing), { drawing: drawing.map(row => row.map(() => 0)) }),
      undo: ({ drawing }) => ({ drawing: past.pop() ?? drawing }),
      draw({ drawing, pen, down, erase }, to, pressed) {      // from where the pen was, or where it comes down
        const before = drawing.flat(), after = [...before];
        if (pressed !== "on") past.push(drawing);
        if (pressed || down) program.stroke(...(pressed === "down" ? to : pen), ...to, width, +!erase, before, after);
        return { pen: to, drawing: inRows(after, side) };
      },
    },
  };
};
