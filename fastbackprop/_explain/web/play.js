// The reader's own numbers. P is null as long as the page shows the library's.
let P = null;
function unpacked(text, dtype) {              // base64 of the library's own bytes, as float64
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return Float64Array.from(new (dtype === "float32" ? Float32Array : Float64Array)(bytes.buffer));
}
function librarysNet() {
  const { weights, biases, alphas, norms, dtype, loss, optimizer } = D.play;
  const list = (x) => unpacked(x, dtype);
  return { widths: D.widths, kinds: D.kinds, activations: [...D.activations],
    slopes: [...alphas], norms,
    weights: weights.map(list), biases: biases.map((x) => x && list(x)),
    loss: lossOf(loss.name, D.widths.at(-1), loss), optimizer: { ...optimizer } };
}
function librarysBatch() {
  const { x, y, dtype, n, n_targets } = D.play;
  return { n, x: unpacked(x, dtype), y: unpacked(y, dtype), nTargets: n_targets };
}
function begin() {                            // the first touch: from here on the page computes
  if (P || !D.play) return;
  time = 0; $("time").value = 0;              // of a training it is the first step's net and batch
  P = { net: librarysNet(), batch: librarysBatch(), state: {}, costs: [], steps: 0,
    step: D.steps[time] };
}
function change(how) {                        // the reader changed something
  begin(); how(P); refresh();
}
function refresh() { P.step = playedStep(P); changed(); }
function trainStep() {
  begin();
  const done = whole(P.net, P.batch);
  if (!Number.isFinite(done.cost)) return false;
  if (!P.costs.length) P.costs.push(done.cost);
  correct(P.net, done.layers, P.state);
  P.steps += 1;
  const cost = compare(P.net, P.batch, forward(P.net, P.batch).at(-1)).cost;
  P.costs.push(cost);
  return Number.isFinite(cost);
}
function reset() { P = null; changed(); }
const finite = (x) => Number.isFinite(x) ? x : null;
// One step as the page is given it by the library (fold.py), for the neurons that are shown.
function playedStep({ net, batch, state }) {
  const rows = D.steps[time].samples, done = whole(net, batch), after = copyNet(net);
  correct(after, done.layers, copyState(state));
  const then = forward(after, batch);
  const cost = compare(after, batch, then.at(-1)).cost;
  const pick = (x, width, columns) => rows.map((r) => columns.map((c) => finite(x[r * width + c])));
  const { total, predicted } = sums(net, after, done);
  const last = D.widths[L], shown = D.shown[L];
  const predictedCost = done.cost + predicted, y_hat = then.at(-1).a;
  return { index: P.steps, samples: rows, cost: finite(done.cost),
    costs: rows.map((r) => finite(done.costs[r])),
    x: pick(batch.x, D.widths[0], D.shown[0]), d_x: pick(done.dx, D.widths[0], D.shown[0]),
    y: batch.nTargets === last ? pick(batch.y, last, shown) : [],
    y_hat: pick(done.layers.at(-1).a, last, shown), d_y_hat: pick(done.d, last, shown),
    after: { cost: finite(cost), predicted_cost: finite(predictedCost), falls: cost < done.cost,
      verdict: verdict(done.cost, cost, predictedCost), y_hat: pick(y_hat, last, shown),
      a: then.map(({ a }, k) => pick(a, D.widths[k + 1], D.shown[k + 1])) },
    worst: worstOf(done, total),
    layers: D.widths.slice(1).map((_, k) => ({
      ...ofNeurons(net, after, done, k, total, pick),
      ...(net.kinds[k] === "Dense" ? playedProduct : playedStraight)(net, after, batch, done, k,
        total) })) };
}
function sums(net, after, done) {             // of all |dC/dw|; and of gradient * step
  let total = 0, predicted = 0;
  done.layers.forEach(({ dW, db }, k) => {
    for (const [g, old, now] of [[dW, net.weights[k], after.weights[k]],
      [db, net.biases[k], after.biases[k]]])
      if (g && now) g.forEach((x, q) => { total += Math.abs(x); predicted += x * (now[q] - old[q]); });
  });
  return { total, predicted };
}
function verdict(before, cost, predicted) {
  if (cost < before) return "it falls";
  if (!Number.isFinite(cost)) return "it is not finite any more: the step is too long";
  if (predicted === before) return "nobody is to blame: there is nothing to correct";
  return cost === before ? "it stays: the step is too short to be seen"
    : "it does not fall: the step is too long";
}
// A layer as the page is given it: its neurons, and its weights or what stands for them.
function ofNeurons(net, after, { layers }, k, total, pick) {
  const nOut = D.widths[k + 1], to = D.shown[k + 1], rows = D.steps[time].samples;
  const { z, a, delta, db } = layers[k], slope = ACTIVATIONS[net.activations[k]][1];
  const list = (of) => net.biases[k] ? to.map((j) => finite(of(j))) : null;
  const b = net.biases[k], c = after.biases[k];
  return { z: pick(z, nOut, to), a: pick(a, nOut, to), delta: pick(delta, nOut, to),
    derivative: slope && rows.map((r) =>
      to.map((j) => finite(slope(z[r * nOut + j], net.slopes[k])))),
    bias: list((j) => b[j]), bias_gradient: list((j) => db[j]),
    bias_step: list((j) => c[j] - b[j]), bias_after: list((j) => c[j]),
    bias_blame: list((j) => total ? Math.abs(db[j]) / total : 0) };
}
function playedProduct(net, after, batch, { layers }, k, total) {
  const [nIn, nOut] = [D.widths[k], D.widths[k + 1]], [from, to] = [D.shown[k], D.shown[k + 1]];
  const rows = D.steps[time].samples, { delta, dW } = layers[k];
  const before = k ? layers[k - 1].a : batch.x, W = net.weights[k], V = after.weights[k];
  const table = (of) => from.map((i) => to.map((j) => finite(of(i * nOut + j))));
  const others = (all, some) => [...Array(all).keys()].filter((i) => !some.includes(i));
  const [hiddenIn, hiddenOut] = [others(nIn, from), others(nOut, to)];
  const sum = (indices, of) => indices.reduce((s, i) => s + of(i), 0);
  return { weight: table((q) => W[q]), weight_gradient: table((q) => dW[q]),
    weight_step: table((q) => V[q] - W[q]), weight_after: table((q) => V[q]),
    blame: table((q) => total ? Math.abs(dW[q]) / total : 0),
    rest_in: rows.map((r) => to.map((j) =>
      finite(sum(hiddenIn, (i) => before[r * nIn + i] * W[i * nOut + j])))),
    rest_out: rows.map((r) => from.map((i) =>
      finite(sum(hiddenOut, (j) => delta[r * nOut + j] * W[i * nOut + j])))) };
}
function playedStraight(net, after, batch, { layers }, k, total) {
  const to = D.shown[k + 1], rows = D.steps[time].samples, kind = net.kinds[k];
  if (kind === "Activation") return {};
  if (kind === "Dropout") return { through: rows.map(() => to.map(() => 1)), derivative: null };
  const before = k ? layers[k - 1].a : batch.x, { dW } = layers[k];
  const list = (of) => to.map((j) => finite(of(j))), g = net.weights[k], h = after.weights[k];
  return { through: rows.map((r) => { const all = normThrough(net, k, before, r);
    return to.map((j) => finite(all[j])); }),
  gamma: list((j) => g[j]), gamma_gradient: list((j) => dW[j]),
  gamma_step: list((j) => h[j] - g[j]), gamma_after: list((j) => h[j]),
  gamma_blame: list((j) => total ? Math.abs(dW[j]) / total : 0) };
}
function worstOf({ layers }, total) {         // the six weights or biases most to blame
  const all = [];
  layers.forEach(({ dW, db }, k) => {
    const n = D.widths[k + 1], share = (g) => total ? finite(Math.abs(g) / total) : 0;
    dW.forEach((g, q) =>
      all.push({ k: k + 1, i: Math.floor(q / n), j: q % n, share: share(g) }));
    if (db) db.forEach((g, j) => all.push({ k: k + 1, i: null, j, share: share(g) }));
  });
  return all.sort((a, b) => b.share - a.share).slice(0, 6);
}
