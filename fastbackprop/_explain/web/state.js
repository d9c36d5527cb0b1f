// What the page shows: the data, and where the reader is in it.
const D = JSON.parse(document.getElementById("data").textContent), L = D.activations.length;
const $ = (id) => document.getElementById(id), SVG = "http://www.w3.org/2000/svg";
let time = 0, sample = 0, walk = 0, chosen = null, playing = null;
const last = 2 * L + 2;                       // inputs, L layers, compare, L layers back, correct
const step = () => D.steps[time];
const phase = (p) => p <= L ? "predict" : p === L + 1 ? "compare" : p < last ? "blame" : "correct";
const forwardLayer = (p) => p <= L ? p : L;   // layers that have predicted, 1 to L
const backLayer = (p) =>                      // the lowest layer that has its blame
  p <= L + 1 ? L + 1 : Math.max(1, 2 * L + 2 - p);
