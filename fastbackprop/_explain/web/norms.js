// Norms as they predict: a norm is {epsilon}, a batch norm also {mean, variance}, what it remembers.
function normalised({ epsilon, mean, variance }, a, from, n) {   // of a row: x^, and 1 / deviation
  const x = new Float64Array(n), scale = new Float64Array(n);
  let m = 0, v = 0;
  for (let j = 0; j < n; j++) m += a[from + j] / n;
  for (let j = 0; j < n; j++) v += (a[from + j] - m) ** 2 / n;
  for (let j = 0; j < n; j++) {
    scale[j] = 1 / Math.sqrt((mean ? variance[j] : v) + epsilon);
    x[j] = (a[from + j] - (mean ? mean[j] : m)) * scale[j];
  }
  return { x, scale };
}
function normForward(net, k, a, batch) {
  const n = net.widths[k + 1], z = new Float64Array(batch.n * n);
  const gamma = net.weights[k], beta = net.biases[k];
  for (let r = 0; r < batch.n; r++) {
    const { x } = normalised(net.norms[k], a, r * n, n);
    for (let j = 0; j < n; j++) z[r * n + j] = gamma[j] * x[j] + beta[j];
  }
  return z;
}
function normBackward(net, k, a, batch, delta) {    // as a product has it
  const n = net.widths[k + 1], gamma = net.weights[k];
  const dW = new Float64Array(n), db = new Float64Array(n), below = new Float64Array(batch.n * n);
  for (let r = 0; r < batch.n; r++) {
    const { x, scale } = normalised(net.norms[k], a, r * n, n);
    let mean = 0, along = 0;                        // of what the row's own mean and deviation do
    for (let j = 0; j < n; j++) {
      const d = delta[r * n + j];
      dW[j] += d * x[j]; db[j] += d;
      if (!net.norms[k].mean) { mean += gamma[j] * d / n; along += gamma[j] * d * x[j] / n; }
    }
    for (let j = 0; j < n; j++)
      below[r * n + j] = scale[j] * (gamma[j] * delta[r * n + j] - mean - x[j] * along);
  }
  return { dW, db, below };
}
function normThrough(net, k, a, r) {                // of a row: each output by its own input
  const n = net.widths[k + 1], { x, scale } = normalised(net.norms[k], a, r * n, n);
  const own = net.norms[k].mean ? () => 0 : (j) => (1 + x[j] * x[j]) / n;
  return x.map((_, j) => net.weights[k][j] * scale[j] * (1 - own(j)));
}
