// The next step as a walk through the valley of the cost: how far it goes, and what the slope says.
const MOST_WORK = 2e7;                        // multiplications for one picture
function valleyCosts(n) {                     // of 0 to 2 of the step, in n parts
  const { net, batch } = current(), state = P ? copyState(P.state) : {};
  const after = copyNet(net), done = whole(net, batch);
  correct(after, done.layers, state);
  const between = (a, b, t) => a && a.map((x, q) => x + t * (b[q] - x));
  return Array.from({ length: n + 1 }, (_, p) => {
    const t = 2 * p / n, there = { ...net,
      weights: net.weights.map((w, k) => between(w, after.weights[k], t)),
      biases: net.biases.map((b, k) => between(b, after.biases[k], t)) };
    return [t, compare(there, batch, forward(there, batch).at(-1)).cost];
  });
}
function valley() {
  if (!D.play) return;
  const s = step(), { net, batch } = current(), canvas = $("valley");
  const work = batch.n * net.weights.reduce((sum, w) => sum + w.length, 1);
  const isDrawn = 5 * work <= MOST_WORK && s.cost !== null && s.after.predicted_cost !== null;
  canvas.hidden = !isDrawn;
  $("valley-note").textContent = isDrawn ? "To the right: how far the weights go, against their blame; "
    + "upwards: the cost C. The curve is what C really is there, the straight line what the slope "
    + "foretells. The step begins at the left end and jumps to the dot." : "";
  if (isDrawn) drawValley(canvas, s, valleyCosts(40 * work <= MOST_WORK ? 40 : 4));
}
function drawValley(canvas, s, costs) {
  const pen = canvas.getContext("2d"), style = getComputedStyle(document.body);
  canvas.width = Math.max(canvas.clientWidth, 200);
  const { width, height } = canvas, end = s.after.cost ?? costs.at(-1)[1];
  const high = Math.max(s.cost, Math.min(end, 4 * Math.abs(s.cost) + 1e-30));
  const least = Math.min(...costs.map(([, c]) => c).filter(Number.isFinite), s.cost);
  const low = Math.min(least, 0);             // so that what is small looks small
  const span = high - low || 1, air = .08 * span;
  const X = (t) => 12 + t / 2 * (width - 24);
  const Y = (c) => height - 26 - (c - low + air) / (span + 2 * air) * (height - 46);
  pen.clearRect(0, 0, width, height);
  pen.save(); pen.beginPath(); pen.rect(0, 18, width, height - 40); pen.clip();
  pen.lineWidth = 2; pen.strokeStyle = style.getPropertyValue("--soft"); pen.setLineDash([6, 5]);
  pen.beginPath(); pen.moveTo(X(0), Y(s.cost));
  pen.lineTo(X(2), Y(s.cost + 2 * (s.after.predicted_cost - s.cost))); pen.stroke();
  pen.setLineDash([]); pen.lineWidth = 3; pen.strokeStyle = style.getPropertyValue("--forward");
  pen.beginPath();
  for (const [t, c] of costs) if (Number.isFinite(c)) pen.lineTo(X(t), Y(c));
  pen.stroke(); pen.restore();
  const dot = (t, c, color) => {
    pen.fillStyle = style.getPropertyValue(color);
    pen.beginPath(); pen.arc(X(t), Math.min(Math.max(Y(c), 24), height - 28), 6, 0, 7); pen.fill();
  };
  dot(0, s.cost, "--ink"); dot(1, s.after.cost ?? Infinity, "--backward");
  pen.font = "14px system-ui, sans-serif"; pen.fillStyle = style.getPropertyValue("--soft");
  pen.fillText(`C = ${short(Number(high.toPrecision(4)))}`, 6, 14);
  pen.textAlign = "center";
  pen.fillText(`learning rate ${short(learningRate())}: C = ${short(s.after.cost)}`, width / 2,
    height - 6);
  pen.textAlign = "start";
  pen.fillText(low === 0 ? "C = 0" : "", 8, height - 6);
}
