// Labels of lines, where they touch no line, no circle and no other label; else there is none.
const MOST_LABELS = 12;                       // of a layer: among more, none is found
const overlaps = (p, q) => p.x < q.x + q.w && q.x < p.x + p.w && p.y < q.y + q.h && q.y < p.y + p.h;
function meets(box, { x1, y1, x2, y2 }) {     // whether a line goes through a box (Liang, Barsky)
  let from = 0, to = 1;
  for (const [p, q] of [[x1 - x2, x1 - box.x], [x2 - x1, box.x + box.w - x1],
    [y1 - y2, y1 - box.y], [y2 - y1, box.y + box.h - y1]]) {
    if (p === 0 && q < 0) return false;
    if (p < 0) from = Math.max(from, q / p);
    if (p > 0) to = Math.min(to, q / p);
  }
  return from < to;
}
function endsOf(k, i, j, { X, Y, radius }) {  // from circle to circle
  const [x1, y1, x2, y2] = [X(k - 1), Y(k - 1, i), X(k), Y(k, j)];
  const length = Math.hypot(x2 - x1, y2 - y1), [u, v] = [(x2 - x1) / length, (y2 - y1) / length];
  return { x1: x1 + radius * u, y1: y1 + radius * v, x2: x2 - radius * u, y2: y2 - radius * v };
}
function boxesOf(places) {                    // of all circles, with their names
  return D.shown.flatMap((neurons, h) => neurons.map((_, i) => ({
    x: places.X(h) - places.radius - 3, y: places.Y(h, i) - places.radius - 3,
    w: 2 * places.radius + 6,
    h: 2 * places.radius + (fitsInside(titleOf(h, i), places.radius) ? 6 : 26) })));
}
const within = (x, low, high) => Math.max(low, Math.min(x, high));
function placeLabel(ends, w, lines, taken, size, distances, width) {   // w: of its text
  const h = size + 4;
  if (w > width) return null;
  const dx = ends.x2 - ends.x1, dy = ends.y2 - ends.y1, length = Math.hypot(dx, dy);
  const [u, v] = [-dy / length, dx / length];
  const away = Math.abs(u) * w / 2 + Math.abs(v) * h / 2 + 4;
  for (const t of [.5, .35, .65, .25, .75, .15, .85, .42, .58, .3, .7, .2, .8])
    for (const side of distances) {
      const x = within(ends.x1 + t * dx + side * u * away, w / 2, width - w / 2);
      const y = ends.y1 + t * dy + side * v * away;
      const box = { x: x - w / 2, y: y - h / 2, w, h };
      if (!taken.some((other) => overlaps(box, other)) && !lines.some((l) => meets(box, l)))
        return { x, y: y + size * .35, box };
    }
  return null;
}
const isAsked = (k, { i, j, onPath }) => onPath >= 0 || same(chosen, { kind: "weight", k, i, j });
// What the labels of a layer say, those first that must be seen: [{id, i, j, parts}].
function labelsOf(k, path) {
  const labels = [];
  if (!isDense(k)) return D.shown[k].map((_, i) =>
    ({ id: `s${k}.${i}`, i, j: i, onPath: -1, ...saidStraight(k, i) })).filter((x) => x.text);
  D.shown[k - 1].forEach((_, i) => D.shown[k].forEach((_, j) => {
    const id = `w${k}.${i}.${j}`, onPath = path.findIndex((x) => x.on === id);
    labels.push({ id, i, j, onPath, ...saidOf(k, i, j) });
  }));
  const rank = (x) => isAsked(k, x) ? 1e9 + x.size : x.size;
  return labels.sort((a, b) => rank(b) - rank(a));
}
function saidOf(k, i, j) {                    // the weight; its blame, once it is there; its step
  const { weight: W, weight_gradient: G, weight_after: V } = layer(k);
  const size = Math.abs(W[i][j]);
  if (walk === last) return { size, text: isChain ? `${short(W[i][j])} → ${short(V[i][j])}`
    : short(V[i][j]), value: V[i][j], kind: "stepped", name: isChain && `${nameW(k, i, j)}: ` };
  if (walk > L + 1 && backLayer(walk) <= k) {
    if (!isChain) return { size: Math.abs(G[i][j]), text: short(G[i][j]), kind: "blamed" };
    const path = essential(pathOf({ k, i, j }));
    const numbers = path.map((x) => short(x.value[0]));
    return { size, text: `${numbers.join(" × ")} = ${short(G[i][j])}`, kind: "blamed",
      name: `${nameW(k, i, j)}: `,
      factors: path, result: short(G[i][j]) };
  }
  return { size, text: isChain ? `${nameW(k, i, j)} = ${short(W[i][j])}` : short(W[i][j]) };
}
function drawLabels(svg, k, places, path, lines, taken) {   // lines of all layers, taken by all
  const n_lines = lines[k - 1].length, all = lines.flat(), { width } = places;
  // On a single line there is room above the circles, too.
  const distances = n_lines === 1 ? [-1, 1, -4, 4] : [-1, 1];
  const size = Math.min(places.font, isChain ? 17 : 14);
  for (const label of labelsOf(k, path)) {
    if (n_lines > MOST_LABELS && !isAsked(k, label)) continue;
    const ends = endsOf(k, label.i, label.j, places);
    const wide = (text) => widthOf(text, size, label.kind ? 600 : 400) + 3;
    let place = label.name
      && placeLabel(ends, wide(label.name + label.text), all, taken, size, [-1, 1], width);
    if (!place) label.name = null;
    place ||= placeLabel(ends, wide(label.text), all, taken, size, distances, width);
    if (!place && label.factors) {            // then its result alone: the sentence has them all
      place = placeLabel(ends, wide(label.result), all, taken, size, distances, width);
      Object.assign(label, { factors: null, text: label.result });
    }
    if (!place) continue;
    taken.push(place.box);
    const color = label.onPath >= 0 ? `f${path[label.onPath].n}` : "";
    const e = element("text", { x: place.x, y: place.y, "font-size": size, "data-of": label.id,
      class: `on-line ${label.kind ?? ""} ${color}` }, svg);
    if (label.name) element("tspan", {}, e).textContent = label.name;
    if (label.factors) label.factors.forEach((x, n) => {
      if (n) element("tspan", {}, e).textContent = " × ";
      element("tspan", { class: `f${x.n}` }, e).textContent = short(x.value[0]);
    });
    if (label.factors) element("tspan", {}, e).textContent = ` = ${label.result}`;
    else element("tspan", {}, e).textContent = label.text;
  }
}
