// Live pictures of what the net has learned: surfaces over two inputs, a curve over one, images.
const GRID = 48, CURVE_POINTS = 200;
let librarys = null;                          // the library's own net and batch, unpacked once
function current() {
  if (P) return P;
  return librarys ??= { net: librarysNet(), batch: librarysBatch() };
}
const ink = (name) => {
  const [r, g, b] = getComputedStyle(document.body).getPropertyValue(name).trim()
    .match(/[0-9a-f]{2}/gi).map((x) => parseInt(x, 16));
  return [r, g, b];
};
function canvasOf(id, size, label, parent) {  // the one of before, so that nothing flickers
  let canvas = $(id);
  if (!canvas) {
    const figure = parent.appendChild(document.createElement("figure"));
    canvas = figure.appendChild(document.createElement("canvas"));
    Object.assign(canvas, { id, width: size, height: size });
    canvas.setAttribute("role", "img");
    figure.appendChild(document.createElement("figcaption")).textContent = label;
  }
  canvas.setAttribute("aria-label", label);
  return canvas;
}
function rangeOf(x, column, width) {          // of an input over the samples, with some air
  let [low, high] = [Infinity, -Infinity];
  for (let q = column; q < x.length; q += width) {
    low = Math.min(low, x[q]); high = Math.max(high, x[q]);
  }
  const air = .2 * (high - low) || 1;
  return [low - air, high + air];
}
function pictures() {
  if (!D.play) return;
  if (D.widths[0] === 2) surfaces(); else if (D.widths[0] === 1) fitted();
  else if (D.image) image(); else $("pictures-section").hidden = true;
}
// ---- two inputs ------------------------------------------------------------------------------
function surfaces() {
  const { net, batch } = current(), ranges = [0, 1].map((c) => rangeOf(batch.x, c, 2));
  const x = new Float64Array(2 * GRID * GRID);
  for (let q = 0; q < GRID * GRID; q++) ranges.forEach(([low, high], c) => {
    const t = (c ? GRID - 1 - Math.floor(q / GRID) : q % GRID) / (GRID - 1);
    x[2 * q + c] = low + t * (high - low);
  });
  const layers = forward(net, { n: GRID * GRID, x });
  $("pictures-note").textContent = `Each point is a pair of inputs: ${inputTitle(0)} to the right, `
    + `${inputTitle(1)} upwards. The large picture is what the net answers, with the samples in `
    + `it; the small ones are what each hidden neuron hands on.`;
  const box = $("pictures"), main = canvasOf("surface", 260, "the answer y_hat", box);
  paint(main, (q) => answerColor(layers.at(-1).a, q, batch));
  points(main, batch, ranges);
  for (let k = 1; k < L; k++) D.shown[k].forEach((j, i) => {
    const a = layers[k - 1].a, n = D.widths[k];
    let largest = 1e-30;
    for (let q = 0; q < GRID * GRID; q++) largest = Math.max(largest, Math.abs(a[q * n + j]));
    paint(canvasOf(`seen${k}.${i}`, 88, nameA(k, i), box), (q) => mix(a[q * n + j] / largest));
  });
}
const mix = (t) => {                          // -1 is the colour of minus, 1 that of plus
  const to = ink.cache[t < 0 ? "--minus" : "--plus"], from = ink.cache["--card"];
  const size = Math.min(Math.abs(t), 1);
  return from.map((c, n) => c + size * (to[n] - c));
};
const hue = (m, n) => {                       // of class m of n
  const h = 2 * Math.PI * m / n + .6;
  return [0, 2, 4].map((turn) => 135 + 95 * Math.cos(h + turn));
};
function middleOf(batch) {
  const y = batch.y;
  let [low, high] = [Infinity, -Infinity];
  for (const v of y) { low = Math.min(low, v); high = Math.max(high, v); }
  return [(low + high) / 2, (high - low) / 2 || 1];
}
function answerColor(a, q, batch) {
  const n = D.widths[L];
  if (n === 1) { const [middle, reach] = middleOf(batch); return mix((a[q] - middle) / reach); }
  let best = 0;
  for (let m = 1; m < n; m++) if (a[q * n + m] > a[q * n + best]) best = m;
  const sure = .6 * Math.min(1, Math.max(.3, a[q * n + best])), card = ink.cache["--card"];
  return hue(best, n).map((c, i) => card[i] + sure * (c - card[i]));
}
function paint(canvas, colorOf) {
  const names = ["--plus", "--minus", "--card", "--ink"];
  ink.cache ??= Object.fromEntries(names.map((x) => [x, ink(x)]));
  const small = paint.canvas ??= Object.assign(document.createElement("canvas"),
    { width: GRID, height: GRID });
  const pen = small.getContext("2d"), picture = pen.createImageData(GRID, GRID);
  for (let q = 0; q < GRID * GRID; q++) picture.data.set([...colorOf(q), 255], 4 * q);
  pen.putImageData(picture, 0, 0);
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
}
function points(canvas, batch, [[x0, x1], [y0, y1]]) {
  const pen = canvas.getContext("2d"), n = D.widths[L], size = canvas.width;
  const color = (r) => {
    if (n === 1 || batch.nTargets !== n) {
      const [middle, reach] = middleOf(batch);
      return mix((batch.y[r * batch.nTargets] - middle) / reach);
    }
    const row = batch.y.subarray(r * n, (r + 1) * n);
    return hue(row.indexOf(Math.max(...row)), n);
  };
  pen.strokeStyle = `rgb(${ink.cache["--ink"]})`; pen.lineWidth = 1.2;
  for (let r = 0; r < batch.n; r++) {
    pen.beginPath();
    pen.arc((batch.x[2 * r] - x0) / (x1 - x0) * size, (y1 - batch.x[2 * r + 1]) / (y1 - y0) * size,
      batch.n > 50 ? 2.6 : 5, 0, 7);
    pen.fillStyle = `rgb(${color(r).map(Math.round)})`; pen.fill(); pen.stroke();
  }
}
// ---- one input -------------------------------------------------------------------------------
function frameOf(values) {
  const all = values.filter(Number.isFinite), low = Math.min(...all), high = Math.max(...all);
  const air = .25 * (high - low) || 1;
  return [low - air, high + air];
}
function fitted() {
  const { net, batch } = current(), [low, high] = rangeOf(batch.x, 0, 1), n = CURVE_POINTS;
  const x = Float64Array.from({ length: n }, (_, q) => low + q / (n - 1) * (high - low));
  const all = forward(net, { n, x }).at(-1).a, width = D.widths[L];
  const a = Array.from(x, (_, q) => all[q * width]);
  const y = Array.from({ length: batch.n }, (_, r) => batch.y[r * batch.nTargets]);
  // The frame is that of the library's numbers, so that what moves is the line.
  fitted.frame ??= frameOf([...a, ...y]);
  const [bottom, top] = fitted.frame, span = top - bottom;
  $("pictures-note").textContent = `To the right the input ${inputTitle(0)}, upwards the answer: `
    + "the line is what the net answers, the circles are what it should.";
  const canvas = canvasOf("fitted", 300, "the answer y_hat over x", $("pictures"));
  const pen = canvas.getContext("2d"), size = canvas.width;
  const X = (v) => (v - low) / (high - low) * size;
  const Y = (v) => size - 14 - (v - bottom) / span * (size - 28);
  const style = getComputedStyle(document.body);
  pen.clearRect(0, 0, size, size);
  pen.strokeStyle = style.getPropertyValue("--forward"); pen.lineWidth = 3;
  pen.beginPath(); a.forEach((v, q) => pen.lineTo(X(x[q]), Y(v))); pen.stroke();
  pen.strokeStyle = style.getPropertyValue("--backward"); pen.lineWidth = 2;
  y.forEach((v, r) => { pen.beginPath(); pen.arc(X(batch.x[r]), Y(v), 4, 0, 7); pen.stroke(); });
  pen.font = "14px system-ui, sans-serif"; pen.fillStyle = style.getPropertyValue("--soft");
  const few = (v) => short(Number(v.toPrecision(2)));
  pen.textAlign = "start";
  pen.fillText(`y_hat ${few(top)}`, 4, 16); pen.fillText(few(bottom), 4, size - 24);
  pen.fillText(`${inputTitle(0)} ${few(low)}`, 4, size - 6);
  pen.textAlign = "end"; pen.fillText(few(high), size - 4, size - 6); pen.textAlign = "start";
}
// ---- images ----------------------------------------------------------------------------------
function image() {
  const { net, batch } = current(), [rows, columns] = D.image, n = D.widths[0], r = S();
  const x = batch.x.subarray(r * n, (r + 1) * n), out = D.widths[L];
  const one = { n: 1, x, y: batch.y.subarray(r * batch.nTargets, (r + 1) * batch.nTargets),
    nTargets: batch.nTargets };
  const done = whole(net, one), answer = done.layers.at(-1).a;
  const top = [...answer.keys()].sort((a, b) => answer[b] - answer[a])[0];
  const wanted = batch.nTargets === out ? one.y.indexOf(Math.max(...one.y)) : null;
  const call = (m) => m === null ? "?" : D.outputNames && D.shown[L].includes(m)
    ? D.outputNames[D.shown[L].indexOf(m)] : String(m);
  $("pictures-note").textContent = `Sample ${r} is ${call(wanted)}, and the net says ${call(top)} `
    + `(${percent(answer[top])}). Right: the blame of each pixel, dC/dx. More ink in an orange `
    + "pixel would make it more wrong, in a blue one more right.";
  const size = Math.max(1, Math.floor(200 / Math.max(rows, columns)));
  const largest = Math.max(1e-30, ...done.dx.map(Math.abs)), brightest = Math.max(1e-30, ...x);
  for (const [id, label] of [["pixels", "the image"], ["pixel-blame", "blame of its pixels"]]) {
    const canvas = canvasOf(id, 200, label, $("pictures")), pen = canvas.getContext("2d");
    Object.assign(canvas, { width: columns * size, height: rows * size });
    for (let q = 0; q < rows * columns; q++) {
      const place = [q % columns * size, Math.floor(q / columns) * size, size, size];
      const light = Math.round(235 - 215 * Math.max(0, x[q]) / brightest);
      pen.fillStyle = `rgb(${light},${light},${light})`; pen.fillRect(...place);
      if (id === "pixels") continue;
      const d = done.dx[q] / largest;
      pen.fillStyle = d > 0 ? `rgba(226,92,12,${.85 * d})` : `rgba(30,110,220,${-.85 * d})`;
      pen.fillRect(...place);
    }
  }
}
