// The network as a picture whose neurons and weights can be pressed.
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
  const places = placesIn(box.clientWidth), { width, height } = places, path = shownPath();
  const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`,
    role: "group", "aria-label": "network" });
  const lines = [];
  for (let k = 1; k <= L; k++)
    lines.push((isDense(k) ? drawWeights : drawStraight)(svg, k, places, path));
  drawCaptions(svg, places);
  for (let k = 0; k <= L; k++) {
    D.shown[k].forEach((_, i) => drawNeuron(svg, k, i, places, path));
    if (hidden(k)) {
      const x = Math.min(Math.max(places.X(k), 52), width - 52);
      element("text", { x, y: height - 6, class: "more" }, svg).textContent = more(hidden(k));
    }
  }
  const taken = boxesOf(places);
  for (let k = 1; k <= L; k++) drawLabels(svg, k, places, path, lines, taken);
  if (places.side) drawTargets(svg, places);
  box.replaceChildren(svg);
  const again = focused && svg.querySelector(`[data-id="${focused}"]`);
  if (again) again.focus({ preventScroll: true });
}
// Which way numbers go through layer k's weights now: blame of layer k - 1 comes through them.
function directionOfWeights(k) {
  if (walk <= L) return walk === k ? "forward" : "";
  return walk > L + 1 && walk < last && backLayer(walk) === k - 1 ? "back" : "";
}
const isCorrected = (k) => walk === last || walk > L + 1 && backLayer(walk) === k;
function directionOfNeurons(k) {
  if (walk <= L) return walk === k ? "forward" : "";
  if (walk === L + 1) return k === L ? "forward" : "";
  return walk < last && backLayer(walk) === k ? "back" : "";
}
function drawWeights(svg, k, places, path) {  // returns the ends of all lines
  const byBlame = $("lines").value === "blame", values = layer(k), ends = [];
  const W = values[walk === last ? "weight_after" : "weight"];
  const sizes = byBlame ? values.blame : W;
  const largest = Math.max(1e-30, ...sizes.flat().map(Math.abs));
  D.shown[k - 1].forEach((_, i) => D.shown[k].forEach((_, j) => {
    ends.push(drawWeight(svg, { kind: "weight", k, i, j }, W[i][j],
      Math.abs(sizes[i][j]) / largest, places, path));
  }));
  return ends;
}
function drawWeight(svg, what, w, size, places, path) {
  const { k, i, j } = what, id = `w${k}.${i}.${j}`, onPath = path.findIndex((x) => x.on === id);
  const color = $("lines").value === "blame" ? "blame" : w < 0 ? "minus" : "plus";
  const fades = path.length && onPath < 0 && !same(chosen, what);
  const g = element("g", {
    class: `weight ${color} ${directionOfWeights(k)} ${same(chosen, what) ? "chosen" : ""} `
      + `${onPath >= 0 ? `f${path[onPath].n}` : ""} ${fades ? "faded" : ""}`,
    role: "button", tabindex: -1, "data-id": id, "data-value": String(w),
    "aria-label": `weight ${nameW(k, i, j)} ${short(w)}, `
      + `share of the blame ${percent(layer(k).blame[i][j])}` }, svg);
  const ends = endsOf(k, i, j, places);
  element("title", {}, g).textContent = `${nameW(k, i, j)} = ${short(w)}`;
  element("line", { class: "line", "stroke-width": .6 + 5 * size,
    "stroke-opacity": .25 + .75 * size, ...ends }, g);
  element("line", { class: "hit", ...ends }, g);
  press(g, what);
  return ends;
}
function drawNeuron(svg, k, i, { X, Y, radius, font, room }, path) {
  const isKnown = k <= forwardLayer(walk);
  const isBlamed = k >= 1 && k >= backLayer(walk) && walk > L + 1;
  const [a] = valueA(k, i), delta = k ? layer(k).delta[sample][i] : null;
  const what = { kind: "neuron", k, i }, onPath = path.findIndex((x) => x.on === `n${k}.${i}`);
  const title = titleOf(k, i), own = k === L ? outputName(i) : nameA(k, i);
  const name = `${k ? "neuron" : "input"} ${own}${title === own ? "" : ` ${title}`}`;
  const g = element("g", {
    class: `neuron ${directionOfNeurons(k)} ${same(chosen, what) ? "chosen" : ""} `
      + `${onPath >= 0 ? `f${path[onPath].n}` : ""}`,
    role: "button", tabindex: 0, "data-id": `n${k}.${i}`,
    "aria-label": name + (isKnown ? ` = ${short(a)}` : "")
      + (isBlamed ? `, delta = ${short(delta)}` : "") }, svg);
  if (isKnown) g.dataset.a = String(a);
  if (isBlamed) g.dataset.delta = String(delta);
  element("circle", { cx: X(k), cy: Y(k, i), r: radius }, g);
  press(g, what);
  // Beside the button, whose name says it all: what is read out is one name, not its pieces.
  const said = element("g", { "data-says": `n${k}.${i}`, "aria-hidden": "true" }, svg);
  const write = (y, text, kind, size = font) =>
    element("text", { x: X(k), y: Y(k, i) + y, "font-size": size, ...(kind && { class: kind }) },
      said).textContent = text;
  write(isBlamed ? font * .3 : font * .55, isKnown ? shorter(a) : "");
  if (isBlamed) write(font * 1.35,
    walk === last ? `→ ${shorter(step().after.a[k - 1][sample][i])}` : shorter(delta),
    walk === last ? "stepped" : "delta");
  if (fitsInside(title, radius)) write(-radius * .36, title, "name", 14);
  else {                                      // beside the lines, which all lie on the other side
    write(radius + 17, shortened(title, room(k)), k ? "name start" : "name end", 14);
  }
}
// y_hat as the picture has it: of before the step, and in its last place of after it.
const answersNow = () => (walk === last ? step().after : step()).y_hat[sample];
function drawTargets(svg, { X, Y, radius, font }) {   // y beside y_hat, the error as a bar between
  const answers = answersNow();
  if (walk <= L || !step().y.length || answers.includes(null)) return;
  const targets = step().y[sample];
  const sizes = [...answers, ...targets].map(Math.abs), x = X(L) + radius + 10;
  const largest = Math.max(1e-30, ...sizes);     // so that a bar is as long as the error is serious
  targets.forEach((target, m) => {
    const y = Y(L, m), e = answers[m] - target;
    if (target === null) {
      element("text", { x, y: y + 5, class: "target", "font-size": 14 }, svg)
        .textContent = "y missing";
      return;
    }
    const width = Math.max(1.5, Math.min(70, 70 * Math.abs(e) / largest));
    element("rect", { x, y: y + 4, width, height: 8, class: "error" }, svg);
    element("text", { x, y: y - 4, class: "target", "font-size": Math.min(font, 18) }, svg)
      .textContent = `y = ${shorter(target)}`;
    element("text", { x, y: y + 28, class: "target delta", "font-size": 14 }, svg)
      .textContent = `${e < 0 ? "" : "+"}${shorter(e)}`;
  });
}
