// What the page shows: the data, and where the reader is in it.
const $ = (id) => document.getElementById(id), SVG = "http://www.w3.org/2000/svg";
const D = JSON.parse($("data").textContent), L = D.activations.length;
D.play = JSON.parse($("play-data").textContent);
D.why = D.play.why ?? null;                   // it is shown, but can't be played with
if (D.why) D.play = null;
let time = 0, sample = 0, walk = 0, chosen = null, playing = null;
const last = 2 * L + 2;                       // inputs, L layers, compare, L layers back, correct
const step = () => P ? P.step : D.steps[time];
const actOf = (k) => (P ? P.net : D).activations[k - 1];
const lossName = () => P ? P.net.loss.name : D.loss;
const learningRate = () => P ? P.net.optimizer.learning_rate : D.learning_rate;
const isPlain = () => P
  ? P.net.optimizer.kind === "sgd" && !P.net.optimizer.momentum && !P.net.optimizer.weight_decay
  : D.plain;
const phase = (p) => p <= L ? "predict" : p === L + 1 ? "compare" : p < last ? "blame" : "correct";
const forwardLayer = (p) => p <= L ? p : L;   // layers that have predicted, 1 to L
const backLayer = (p) =>                      // the lowest layer that has its blame
  p <= L + 1 ? L + 1 : Math.max(1, 2 * L + 2 - p);
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const isChain = D.widths.every((n) => n === 1)        // one way only, as in the car
  && D.kinds.every((x) => x === "Dense");
