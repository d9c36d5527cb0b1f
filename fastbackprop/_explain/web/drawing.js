// The network as a picture whose neurons and weights can be pressed.
const RADIUS = 26;                            // of a neuron's circle
function element(name, attributes, parent) {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return parent ? parent.appendChild(e) : e;
}
function press(e, what) {
  e.addEventListener("click", () => choose(what));
  e.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(what); }
  });
}
const same = (a, b) => a && b && a.kind === b.kind && a.k === b.k && a.i === b.i && a.j === b.j;

function draw() {
  const box = $("drawing");
  const focused = document.activeElement && document.activeElement.dataset
    ? document.activeElement.dataset.id : null;
  const places = placesIn(box.clientWidth), { width, height } = places;
  const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`,
    role: "group", "aria-label": "network" });
  const labels = [];
  for (let k = 1; k <= L; k++) labels.push(...drawWeights(svg, k, places));
  for (const [x, y, text] of labels)          // above all lines, below all neurons
    element("text", { x, y, class: "on-line" }, svg).textContent = text;
  for (let k = 0; k <= L; k++) {
    D.shown[k].forEach((_, i) => drawNeuron(svg, k, i, places));
    if (hidden(k)) {
      const x = Math.min(Math.max(places.X(k), 42), width - 42);
      element("text", { x, y: height - 6, class: "more" }, svg).textContent = more(hidden(k));
    }
  }
  box.replaceChildren(svg);
  const again = focused && svg.querySelector(`[data-id="${focused}"]`);
  if (again) again.focus({ preventScroll: true });
}
function placesIn(room) {                     // where neuron i of layer k is drawn
  const rows = Math.max(...D.shown.map((x) => x.length));
  const gap = Math.max(92, (room - 70) / L);
  return { gap, width: 70 + gap * L, height: rows * 74 + 50,
    X: (k) => 35 + gap * k,
    Y: (k, i) => 32 + (rows - D.shown[k].length) * 37 + i * 74 };
}
function directionOfWeights(k) {              // which way numbers go through layer k's weights now
  if (walk <= L) return walk === k ? "forward" : "";
  return walk > L + 1 && walk < last && backLayer(walk) === k ? "back" : "";
}
function directionOfNeurons(k) {
  if (walk <= L) return walk === k ? "forward" : "";
  if (walk === L + 1) return k === L ? "forward" : "";
  return walk < last && backLayer(walk) === k ? "back" : "";
}
function drawWeights(svg, k, places) {        // lines; returns the labels that they may have
  const byBlame = $("lines").value === "blame", values = layer(k);
  const W = values[walk === last ? "weight_after" : "weight"];
  const sizes = byBlame ? values.blame : W;
  const largest = Math.max(1e-30, ...sizes.flat().map(Math.abs));
  const hasRoom = places.gap >= 120
    && D.shown.slice(1).every((x, n) => x.length * D.shown[n].length <= 9);
  const labels = [];
  D.shown[k - 1].forEach((_, i) => D.shown[k].forEach((_, j) => {
    drawWeight(svg, { kind: "weight", k, i, j }, W[i][j], Math.abs(sizes[i][j]) / largest, places);
    if (hasRoom) labels.push([...labelPlace(k, i, j, places), short(W[i][j])]);
  }));
  return labels;
}
function labelPlace(k, i, j, { X, Y, gap }) { // clear of the circles, and apart where lines cross
  const n = D.shown[k - 1].length, edge = Math.max(.3, 48 / gap);
  const t = n === 1 ? .5 : edge + (1 - 2 * edge) * i / (n - 1);
  return [X(k - 1) + gap * t, Y(k - 1, i) + (Y(k, j) - Y(k - 1, i)) * t - 5];
}
function drawWeight(svg, what, w, size, { X, Y }) {
  const { k, i, j } = what, share = short(layer(k).blame[i][j]);
  const color = $("lines").value === "blame" ? "blame" : w < 0 ? "minus" : "plus";
  const g = element("g", {
    class: `weight ${color} ${directionOfWeights(k)} ${same(chosen, what) ? "chosen" : ""}`,
    role: "button", tabindex: -1, "data-id": `w${k}.${i}.${j}`, "data-value": String(w),
    "aria-label": `weight ${nameW(k, i, j)} ${short(w)}, share of the blame ${share}` }, svg);
  const ends = { x1: X(k - 1) + RADIUS, y1: Y(k - 1, i), x2: X(k) - RADIUS, y2: Y(k, j) };
  element("line", { class: "line", "stroke-width": .6 + 5 * size,
    "stroke-opacity": .25 + .75 * size, ...ends }, g);
  element("line", { class: "hit", ...ends }, g);
  press(g, what);
}
function drawNeuron(svg, k, i, { X, Y }) {
  const isKnown = k <= forwardLayer(walk);
  const isBlamed = k >= 1 && k >= backLayer(walk) && walk > L + 1;
  const [a] = valueA(k, i), delta = k ? layer(k).delta[sample][i] : null;
  const what = { kind: "neuron", k, i };
  const label = `${k ? "neuron" : "input"} ${nameA(k, i)}`;
  const g = element("g", {
    class: `neuron ${directionOfNeurons(k)} ${same(chosen, what) ? "chosen" : ""}`,
    role: "button", tabindex: 0, "data-id": `n${k}.${i}`,
    "aria-label": label + (isKnown ? ` = ${short(a)}` : "")
      + (isBlamed ? `, delta = ${short(delta)}` : "") }, svg);
  if (isKnown) g.dataset.a = String(a);
  if (isBlamed) g.dataset.delta = String(delta);
  element("circle", { cx: X(k), cy: Y(k, i), r: RADIUS }, g);
  const write = (y, text, kind) =>
    element("text", { x: X(k), y: Y(k, i) + y, ...(kind && { class: kind }) }, g)
      .textContent = text;
  write(isBlamed ? -2 : 4, isKnown ? shorter(a) : "");
  if (isBlamed) write(11, shorter(delta), "delta");
  write(RADIUS + 13, k === L ? outputName(i) : nameA(k, i), "name");
  press(g, what);
}
