// A step of training in float64: predict, compare, blame, correct, as the library defines them.
// A net is {widths, kinds, activations, slopes, weights, biases, norms, loss, optimizer}, its weights
// flat, row by row (of norms gamma); a batch is {n, x, y, nTargets}. Norms and dropout are as they
// predict: nothing is dropped, and batch norms take what they remember.
function lossOf(name, n, given = {}) {        // what a loss is told beside a, z and y
  return { name, n, p: given.parameter ?? DEFAULTS[name], on: 1 - (given.smoothing ?? 0),
    off: (given.smoothing ?? 0) / (name === "cross_entropy" ? n : 2), sums: given.sums ?? false };
}
function softmax(z, a, from, n) {
  let largest = -Infinity, sum = 0;
  for (let j = 0; j < n; j++) largest = Math.max(largest, z[from + j]);
  for (let j = 0; j < n; j++) sum += a[from + j] = Math.exp(z[from + j] - largest);
  for (let j = 0; j < n; j++) a[from + j] /= sum;
}
function forward(net, batch) {                // z and a of each layer
  const layers = [];
  let a = batch.x;
  for (let k = 0; k < net.weights.length; k++) {
    const z = net.kinds[k] === "Dense" ? productForward(net, k, a, batch)
      : net.norms[k] ? normForward(net, k, a, batch) : a;
    layers.push({ z, a: a = activated(net, k, z) });
  }
  return layers;
}
function productForward(net, k, a, batch) {
  const [nIn, nOut] = [net.widths[k], net.widths[k + 1]], W = net.weights[k];
  const z = new Float64Array(batch.n * nOut);
  for (let r = 0; r < batch.n; r++) {
    const to = r * nOut;
    if (net.biases[k]) z.set(net.biases[k], to);
    for (let i = 0; i < nIn; i++) {
      const x = a[r * nIn + i];
      if (x) for (let j = 0; j < nOut; j++) z[to + j] += x * W[i * nOut + j];
    }
  }
  return z;
}
function activated(net, k, z) {
  const n = net.widths[k + 1], act = ACTIVATIONS[net.activations[k]][0];
  const a = new Float64Array(z.length);
  if (act) for (let q = 0; q < z.length; q++) a[q] = act(z[q], net.slopes[k]);
  else for (let from = 0; from < z.length; from += n) softmax(z, a, from, n);
  return a;
}
// Costs of rows, dC/dy_hat and dC/dz of the last layer, with the 1/n of the mean in both.
function compare(net, batch, { z, a }) {
  const n = net.widths.at(-1), loss = LOSSES[net.loss.name], kind = net.activations.at(-1);
  const costs = new Float64Array(batch.n), d = new Float64Array(z.length);
  const delta = new Float64Array(z.length), fused = !!FUSED[net.loss.name] && kind !== "softmax"
    || net.loss.name === "cross_entropy";
  const slope = ACTIVATIONS[kind][1], alpha = net.slopes.at(-1);
  for (let r = 0; r < batch.n; r++) {
    const part = (x, size = n) => x.subarray(r * size, (r + 1) * size);
    const [own, y_hat, dz] = [part(d), part(a), part(delta)];
    costs[r] = loss(y_hat, part(z), part(batch.y, batch.nTargets), net.loss, own, dz);
    let mixed = 0;
    for (let j = 0; j < n; j++) mixed += y_hat[j] * own[j];
    for (let j = 0; j < n; j++) {
      if (!fused) dz[j] = slope ? own[j] * slope(part(z)[j], alpha) : y_hat[j] * (own[j] - mixed);
      dz[j] /= batch.n; own[j] /= batch.n;
    }
  }
  return { costs, d, delta, cost: costs.reduce((s, c) => s + c, 0) / batch.n };
}
function backward(net, batch, layers, delta) {      // adds delta and gradients; returns dC/dx
  for (let k = layers.length - 1; k >= 0; k--) {
    const a = k ? layers[k - 1].a : batch.x;
    const { dW, db, below } = net.kinds[k] === "Dense" ? productBackward(net, k, a, batch, delta)
      : net.norms[k] ? normBackward(net, k, a, batch, delta)
        : { dW: net.weights[k], db: null, below: delta.slice() };
    Object.assign(layers[k], { delta, dW, db });
    if (k) derive(net, k - 1, layers[k - 1], below);
    delta = below;
  }
  return delta;
}
function productBackward(net, k, a, batch, delta) {  // dC/dW, dC/db, and dC/da of what came in
  const [nIn, nOut] = [net.widths[k], net.widths[k + 1]], W = net.weights[k];
  const dW = new Float64Array(nIn * nOut), below = new Float64Array(batch.n * nIn);
  const db = net.biases[k] && new Float64Array(nOut);
  for (let r = 0; r < batch.n; r++) {
    const from = r * nOut;
    for (let i = 0; i < nIn; i++) {
      const x = a[r * nIn + i];
      let sum = 0;
      for (let j = 0; j < nOut; j++) {
        dW[i * nOut + j] += x * delta[from + j]; sum += W[i * nOut + j] * delta[from + j];
      }
      below[r * nIn + i] = sum;
    }
    if (db) for (let j = 0; j < nOut; j++) db[j] += delta[from + j];
  }
  return { dW, db, below };
}
function derive(net, k, { z, a }, d) {        // dC/dz of layer k in place of dC/da
  const slope = ACTIVATIONS[net.activations[k]][1], n = net.widths[k + 1];
  if (slope) for (let q = 0; q < d.length; q++) d[q] *= slope(z[q], net.slopes[k]);
  else for (let from = 0; from < d.length; from += n) softmaxBack(a, d, from, n);
}
function softmaxBack(a, d, from, n) {         // dC/dz of a row behind softmax, of dC/da
  let mixed = 0;
  for (let j = from; j < from + n; j++) mixed += a[j] * d[j];
  for (let j = from; j < from + n; j++) d[j] = a[j] * (d[j] - mixed);
}
function whole(net, batch) {                  // predict, compare, blame
  const layers = forward(net, batch), compared = compare(net, batch, layers.at(-1));
  return { layers, ...compared, dx: backward(net, batch, layers, compared.delta) };
}
// Correct by SGD (with momentum, Nesterov's too) or Adam, as PyTorch has them.
function correct(net, layers, state) {
  const o = net.optimizer;
  state.steps = (state.steps ?? 0) + 1;
  layers.forEach(({ dW, db }, k) => {
    for (const [name, values, g] of [["w" + k, net.weights[k], dW], ["b" + k, net.biases[k], db]]) {
      if (!values) continue;
      const planes = state[name] ??= [new Float64Array(g.length), new Float64Array(g.length)];
      const decay = name[0] === "b" && o.decay_biases === false ? 0 : o.weight_decay ?? 0;
      (o.kind === "adam" ? adam : sgd)(o, values, g, planes, decay, state.steps);
    }
  });
}
function sgd(o, w, gradients, [v], decay) {
  for (let q = 0; q < w.length; q++) {
    const g = gradients[q] + decay * w[q];
    v[q] = o.momentum * v[q] + g;
    w[q] -= o.learning_rate * (o.nesterov ? g + o.momentum * v[q] : v[q]);
  }
}
function adam(o, w, gradients, [m, v], decay, steps) {
  const c1 = 1 - o.beta_1 ** steps, c2 = 1 - o.beta_2 ** steps;
  for (let q = 0; q < w.length; q++) {
    const g = gradients[q] + decay * w[q];
    m[q] = o.beta_1 * m[q] + (1 - o.beta_1) * g;
    v[q] = o.beta_2 * v[q] + (1 - o.beta_2) * g * g;
    w[q] -= o.learning_rate * (m[q] / c1) / (Math.sqrt(v[q] / c2) + o.epsilon);
  }
}
const copyNet = (net) => ({ ...net, activations: [...net.activations], slopes: [...net.slopes],
  weights: net.weights.map((x) => x.slice()), biases: net.biases.map((x) => x && x.slice()),
  optimizer: { ...net.optimizer }, loss: { ...net.loss } });
const copyState = (state) => Object.fromEntries(Object.entries(state).map(
  ([name, x]) => [name, Array.isArray(x) ? x.map((plane) => plane.slice()) : x]));
