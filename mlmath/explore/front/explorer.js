// An explorer: controls, panels with marks that move over a drawn stage, and read-outs.
// `render` builds it from the widget's state (see explorer.py); loops/*.js say what moves, and how.

const loops = {};                 // name -> (program, data) => { frame(values), actions? }
const REACH = 1e4;                // marks are drawn at most this far outside the picture

const html = (name, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};
const svg = (name, attributes = {}) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Numbers as a reader writes them: 0.01235, −1.2×10⁻⁵; what is no finite number diverges.
const superscript = text => text.replace(/./g, c => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
function show(value) {
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return "diverges";
  const size = Math.abs(value), scientific = size !== 0 && (size < 1e-3 || size >= 1e5);
  const [digits, power] = scientific ? value.toExponential(2).split("e") : [value.toPrecision(4)];
  return (+digits + (power ? "×10" + superscript(power.replace("+", "")) : "")).replace(/^-/, "−");
}

const lineOf = ([w, b]) => `ŷ = ${show(w)} x ${b < 0 ? "−" : "+"} ${show(Math.abs(b))}`;

// ---- from data to picture -------------------------------------------------------------------------------

const place = (axis, value) => {
  const at = axis.offset + axis.scale * (axis.log ? Math.log10(Math.max(value, 1e-300)) : value);
  return Number.isNaN(at) ? REACH : clamp(at, -REACH, REACH);
};
const value = (axis, at) => {
  const number = (at - axis.offset) / axis.scale;
  return clamp(axis.log ? 10 ** number : number, Math.min(axis.low, axis.high), Math.max(axis.low, axis.high));
};

const outlines = {                // mark kind -> the `d` of an SVG path, from the mark's data
  path: (points, x, y) => {
    let d = "";
    for (const point of points) d += (d ? "L" : "M") + x(point[0]).toFixed(2) + " " + y(point[1]).toFixed(2);
    return d;
  },
  points: (points, x, y) => points.map(([a, b]) => `M${x(a).toFixed(2)} ${y(b).toFixed(2)}h0`).join(""),
  segments: (segments, x, y) => segments.map(([a, b, c, d]) => outlines.path([[a, b], [c, d]], x, y)).join(""),
  squares: (squares, x, y) => squares.map(([a, from, to, toward]) => {  // as wide as they are high, whatever the axes' units
    const side = (y(to) - y(from)).toFixed(2);
    return `M${x(a).toFixed(2)} ${y(from).toFixed(2)}v${side}h${toward * Math.abs(side)}V${y(from).toFixed(2)}z`;
  }).join(""),
};

// ---- panels ---------------------------------------------------------------------------------------------

class Panel {
  constructor(explorer, spec, pictures) {
    Object.assign(this, { explorer, spec, pictures, layers: pictures.map((picture, i) => this.layer(spec, picture, spec.axes[i])) });
  }

  layer(spec, picture, { x, y }) {
    const id = `explorer-clip-${Math.random().toString(36).slice(2)}`;  // a notebook loads this script once for each explorer
    const clip = svg("clipPath", { id }), group = svg("g", { "clip-path": `url(#${id})` });
    const [left, right] = [place(x, x.low), place(x, x.high)], [bottom, top] = [place(y, y.low), place(y, y.high)];
    const box = { x: Math.min(left, right), y: Math.min(top, bottom), width: Math.abs(right - left), height: Math.abs(bottom - top) };
    clip.append(svg("rect", box));
    picture.append(clip, group);
    const fields = html("div", { className: "fields" });
    picture.before(fields);
    return { x, y, box, picture, group, fields, marks: {} };
  }

  draw(marks, values) {
    const shown = this.spec.switch ? this.explorer.control(this.spec.switch).options.indexOf(values[this.spec.switch]) : 0;
    this.layers.forEach(({ picture, fields }, i) => [picture, fields].forEach(part => part.classList.toggle("on", i === shown)));
    for (const [name, mark] of this.spec.marks) (this[mark.kind] ?? this.outline).call(this, this.layers[shown], name, mark, marks[name] ?? []);
  }

  node(layer, name, mark, tag) {
    const style = ["width", "dash", "opacity"].filter(key => key in mark).map(key => `--${key}:${mark[key]}`).join(";");
    return layer.marks[name] ??= layer.group.appendChild(svg(tag, { class: `actor ${mark.kind} color-${mark.color}`, style }));
  }

  outline(layer, name, mark, data) {
    const d = outlines[mark.kind](data, a => place(layer.x, a), b => place(layer.y, b));
    this.node(layer, name, mark, "path").setAttribute("d", d);
  }

  texts(layer, name, mark, texts) {
    const node = this.node(layer, name, mark, "g");
    while (node.childElementCount > texts.length) node.lastChild.remove();
    texts.forEach(([a, b, text], i) => {
      const line = node.children[i] ?? node.appendChild(svg("text"));
      line.setAttribute("transform", `translate(${place(layer.x, a).toFixed(2)} ${place(layer.y, b).toFixed(2)})`);
      if (line.textContent !== text) line.textContent = text;
    });
  }

  field({ x, y, picture, fields, marks }, name, { colors, look }, { columns = 1, rows = 1, values = [0], box }) {
    const canvas = marks[name] ??= fields.appendChild(html("canvas", { className: look })), { width, height } = picture.viewBox.baseVal;
    const share = (at, i) => 100 * (i % 2 ? place(y, at) / height : place(x, at) / width);
    const [left, bottom, right, top] = (box ?? [x.low, y.low, x.high, y.high]).map(share);
    canvas.style = `left:${left}%;top:${top}%;width:${right - left}%;height:${bottom - top}%`;
    if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
    const image = new ImageData(columns, rows);
    for (let i = 0; i < values.length; i++) {
      image.data.set(colors[values[i] < 0 ? 0 : 1], 4 * i);
      image.data[4 * i + 3] = 255 * Math.abs(values[i]);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  handle(layer, name, mark, points) {
    const knobs = layer.marks[name] ??= [];
    while (knobs.length > points.length) knobs.pop().remove();
    while (knobs.length < points.length) knobs.push(this.knob(layer, mark, knobs.length));
    points.forEach(([a, b], i) => {
      const knob = Object.assign(knobs[i], { at: [a, b] });
      knob.setAttribute("transform", `translate(${place(layer.x, a).toFixed(2)} ${place(layer.y, b).toFixed(2)})`);
      knob.setAttribute("aria-valuenow", Number.isFinite(a) ? a : 0);
      knob.setAttribute("aria-valuetext", `${show(a)}, ${show(b)}`);
    });
  }

  knob(layer, mark, index) {
    const label = this.explorer.control(mark.moves[0]).kind === "points" ? `${mark.label} ${index + 1}` : mark.label;
    const knob = svg("g", { class: `handle${mark.draws ? " pen" : ""} color-${mark.color}`, tabindex: 0, role: "slider", "aria-label": label });
    knob.append(svg("circle", { r: 24, class: "reach" }), svg("circle", { r: 6, class: "knob" }));
    const move = (a, b, pressed) => this.explorer.change(this.explorer.moved(mark, index, [a, b], pressed));
    const sheet = mark.draws ? layer.group.appendChild(svg("rect", { ...layer.box, class: "sheet" })) : knob;  // what is pressed
    const follow = (event, pressed) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(layer.picture.getScreenCTM().inverse());
      move(value(layer.x, x), value(layer.y, y), pressed);
    };
    const span = axis => place(axis, axis.high) - place(axis, axis.low);
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    knob.addEventListener("keydown", event => {
      if (!(event.key in arrows)) return;
      event.preventDefault();
      const step = event.shiftKey ? 0.1 : 0.02, [right, up] = arrows[event.key];
      const nudged = (axis, at, by) => value(axis, place(axis, at) + by * step * span(axis));
      move(...knob.at = [nudged(layer.x, knob.at[0], right), nudged(layer.y, knob.at[1], up)]);
    });
    sheet.addEventListener("touchstart", event => event.preventDefault(), { passive: false });  // lest the page scroll
    sheet.addEventListener("pointerdown", event => {
      event.preventDefault();
      const nearest = this.nearest(layer, event);
      nearest.focus();
      (mark.draws ? sheet : nearest).setPointerCapture(event.pointerId);
      if (mark.draws) follow(event, "down");
    });
    sheet.addEventListener("pointermove", event => { if (sheet.hasPointerCapture(event.pointerId)) follow(event, "on"); });
    return layer.picture.appendChild(knob);
  }

  nearest(layer, { clientX, clientY }) {  // reaches overlap: the press is for the handle whose middle is nearest
    const gap = ({ x, y, width, height }) => Math.hypot(clientX - x - width / 2, clientY - y - height / 2);
    const gaps = [...layer.picture.querySelectorAll(".handle")].map(knob => [gap(knob.getBoundingClientRect()), knob]);
    return gaps.reduce((best, one) => (one[0] < best[0] ? one : best))[1];
  }
}

// ---- controls -------------------------------------------------------------------------------------------

const kinds = {                   // control kind -> its node, and how it shows a value
  slider(explorer, { name, label, low, high, step, log, narrow }) {
    const [from, to] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
    const input = html("input", { type: "range", min: from, max: to, step: step || (to - from) / 200, name });
    const output = html("output");
    output.setAttribute("aria-live", "off");
    input.addEventListener("input", () => {
      explorer.stop();
      const number = log ? +(10 ** input.value).toPrecision(3) : +input.value;
      explorer.change({ [name]: number });
    });
    const update = value => {
      input.value = log ? Math.log10(value) : value;
      output.value = show(value);
      input.setAttribute("aria-valuetext", output.value);
    };
    return { node: html("label", { className: narrow ? "slider narrow" : "slider" }, html("span", {}, label, output), input), update };
  },
  number(explorer, { name, label }) {     // as text: the loop reads it when the reader is done, not at each key
    const input = html("input", { type: "text", autocomplete: "off", spellcheck: false, enterKeyHint: "done", name });
    input.setAttribute("autocapitalize", "off");
    let shown = null;
    const done = () => { if (input.value !== shown) explorer.change({ [name]: input.value }); };
    input.addEventListener("change", done);
    input.addEventListener("keydown", event => { if (event.key === "Enter" && !event.isComposing) done(); });  // JupyterLab lets no change follow
    const update = value => { if (value !== shown) input.value = (shown = value) ?? ""; };
    return { node: html("label", { className: "number" }, html("span", {}, label), input), update };
  },
  choice(explorer, { name, label, options, along }) {
    const select = html("select", { name }, ...options.map(option => html("option", { value: option }, option)));
    select.addEventListener("input", () => explorer.change({ [name]: select.value, ...along[select.value] }));
    return { node: html("label", { className: "choice" }, html("span", {}, label), select), update: value => { select.value = value; } };
  },
  switch(explorer, { name, label, color }) {
    const input = html("input", { type: "checkbox", name });
    input.addEventListener("input", () => explorer.change({ [name]: input.checked }));
    const node = html("label", { className: color === null ? "switch" : `switch color-${color}` }, input, html("span", {}, label));
    return { node, update: value => { input.checked = value; } };
  },
  button(explorer, { name, label }) {
    const node = html("button", { type: "button", name }, label);
    node.onclick = () => explorer.change(explorer.loop.actions[name](explorer.values()));
    return { node };
  },
  play(explorer, { name, label, target, seconds }) {
    const node = html("button", { type: "button", name }, label), { low, high } = explorer.control(target) ?? {};
    let playing = null;
    const stop = () => { playing = null; node.textContent = label; };
    const slide = gone => {
      explorer.change({ [target]: Math.round(playing.from + gone * (high - low)) });
      return explorer.values()[target] < high;
    };
    const act = gone => (explorer.schedule(), node.isConnected && explorer.loop.actions[name](explorer.values(), gone === 1));
    const tick = now => {
      if (!playing) return;
      const gone = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : (now - playing.since) / (1000 * seconds);
      if (!(target ? slide : act)(gone)) stop();
      else requestAnimationFrame(tick);
    };
    node.onclick = () => {
      if (playing) return stop();
      const now = explorer.values()[target];
      playing = { since: performance.now(), from: now >= high ? low : now };
      node.textContent = "Pause";
      tick(playing.since);
    };
    return target ? { node, stop } : { node };                // a slider that is moved stops who moves a slider, not who learns
  },
};

// ---- the explorer ---------------------------------------------------------------------------------------

class Explorer {
  constructor(model, figure) {
    const spec = model.get("spec"), functions = [...model.get("program").matchAll(/^function (\w+)/gm)].map(match => match[1]);
    const helpers = { sigmoid, softplus, logaddexp, logsumexp, heaviside, power, square, cube };
    const program = new Function(...Object.keys(helpers), `${model.get("program")}\nreturn { ${functions.join(", ")} };`);
    Object.assign(this, { model, figure, spec, frames: 0, waiting: false, loop: loops[spec.loop](program(...Object.values(helpers)), spec.data) });

    const caption = figure.querySelector("figcaption"), pictures = figure.querySelectorAll(".panels > .panel");
    this.panels = spec.panels.map((panel, i) => new Panel(this, panel, [...pictures[i].querySelectorAll("svg")]));
    const shown = spec.controls.filter(control => control.kind in kinds);
    this.controls = Object.fromEntries(shown.map(control => [control.name, kinds[control.kind](this, control)]));
    this.outputs = Object.fromEntries(spec.readouts.map(([name]) => [name, html("output", { name })]));
    const lines = spec.readouts.map(([name, label]) => html("span", {}, `${label} `, this.outputs[name]));
    caption.before(
      // Read-outs last: their length varies, and must not move a control away from under a finger.
      html("div", { className: "controls" }, ...Object.values(this.controls).map(control => control.node)),
      html("div", { className: "readouts" }, ...lines),
    );
    for (const { name, kind } of spec.controls)
      if (!["button", "play"].includes(kind)) model.on(`change:${name}`, () => this.schedule());
    this.redraw();
    figure.dataset.ready = "true";
  }

  control(name) { return this.spec.controls.find(control => control.name === name); }
  values() {
    const kept = this.spec.controls.filter(({ kind }) => !["button", "play"].includes(kind));
    return Object.fromEntries(kept.map(({ name }) => [name, this.model.get(name)]));
  }
  stop() { for (const { stop } of Object.values(this.controls)) stop?.(); }

  moved(mark, index, [a, b], pressed) {    // what changes when handle `index` of `mark` goes to (a, b); `pressed`: on paper
    const [first, second] = mark.moves, { kind } = this.control(first);
    if (mark.draws) return this.loop.actions[mark.draws](this.values(), [a, b], pressed);
    if (kind === "point") return { [first]: [a, b] };
    if (kind === "points") return { [first]: this.model.get(first).map((point, i) => (i === index ? [a, b] : point)) };
    return second ? { [first]: a, [second]: b } : { [first]: a };
  }

  change(values) {                // the reader changed something: tell the model, draw in the next frame
    for (const [name, value] of Object.entries(values)) {
      const { kind, low, high } = this.control(name);
      this.model.set(name, kind === "slider" ? clamp(value, low, high) : value);
    }
    this.schedule(true);
  }

  schedule(save = false) {
    this.save ||= save;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.save) this.model.save_changes();
      this.save = false;
      this.redraw();
    });
  }

  redraw() {
    const values = this.values(), { marks, readouts } = this.loop.frame(values);
    for (const panel of this.panels) panel.draw(marks, values);
    for (const [name, output] of Object.entries(this.outputs)) {
      output.parentNode.hidden = readouts[name] === undefined;
      output.value = output.parentNode.hidden ? "" : show(readouts[name]);
    }
    for (const [name, control] of Object.entries(this.controls)) control.update?.(values[name]);
    this.figure.dataset.frame = ++this.frames;
  }
}

function render({ model, el }) {
  const figure = el.closest("figure.explorer") ?? el.appendChild(build(model));
  figure.explorer = new Explorer(model, figure);
  // JupyterLab would take the arrow keys of whatever has the focus to move between cells.
  for (const node of figure.querySelectorAll("input, select, button")) node.dataset.lmSuppressShortcuts = "true";
  return () => figure.explorer.stop();
}

function build(model) {           // in a notebook there is no prepared page: lay out the figure as static.py does
  const spec = model.get("spec"), panels = html("div", { className: "panels" }, ...spec.panels.map(({ label }, i) =>
    html("div", { className: "panel", role: "group", ariaLabel: label, innerHTML: model.get("stages")[i].join("") })));
  const figure = html("figure", { className: "explorer" }, panels, html("figcaption", {}, spec.caption));
  figure.dataset.explorer = spec.name;
  return figure;
}
