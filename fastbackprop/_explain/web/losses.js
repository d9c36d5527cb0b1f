// The losses of _core/losses.py in float64. Each is asked for one row: outputs a, their z, targets
// y; it returns the cost, and writes dC/dy_hat into d. Fused ones write dC/dz into dz.
const ofErrors = {                            // of e = y_hat - y: the cost, and its slope
  half_squared_error: [(e) => e * e / 2, (e) => e],
  mean_squared_error: [(e) => e * e, (e) => 2 * e],
  mean_absolute_error: [Math.abs, Math.sign],
  huber: [(e, p) => Math.abs(e) > p ? p * (Math.abs(e) - p / 2) : e * e / 2,
    (e, p) => Math.min(Math.max(e, -p), p)],
  log_cosh: [(e) => Math.abs(e) + Math.log1p(Math.exp(-2 * Math.abs(e))) - Math.LN2, Math.tanh],
  quantile: [(e, q) => e > 0 ? (1 - q) * e : -q * e, (e, q) => e > 0 ? 1 - q : e < 0 ? -q : 0],
};
const DEFAULTS = { huber: 1, quantile: .5, focal_cross_entropy: 2 };
const FUSED = { cross_entropy: "softmax", focal_cross_entropy: "softmax",
  binary_cross_entropy: "sigmoid", poisson: "exp" };
const TINY = 2.2250738585072014e-308;
const LOSSES = {
  poisson(a, z, y, { n }, d, dz) {
    let cost = 0;
    for (let j = 0; j < n; j++) {
      cost += (a[j] - y[j] * z[j]) / n;
      dz[j] = (a[j] - y[j]) / n; d[j] = dz[j] / Math.max(a[j], TINY);
    }
    return cost;
  },
  gaussian_nll(a, z, y, { n }, d) {
    const half = n / 2;
    let cost = 0;
    for (let j = 0; j < half; j++) {
      const e = a[j] - y[j], s = a[half + j], precision = Math.exp(-s);
      cost += (s + e * e * precision) / 2 / half;
      d[j] = e * precision / half; d[half + j] = (1 - e * e * precision) / 2 / half;
    }
    return cost;
  },
  hinge(a, z, y, { n }, d) {
    let cost = 0;
    for (let j = 0; j < n; j++) {
      const t = 2 * y[j] - 1, lack = 1 - t * a[j];
      cost += Math.max(0, lack) / n; d[j] = lack > 0 ? -t / n : 0;
    }
    return cost;
  },
  cross_entropy(a, z, y, { n, on, off }, d, dz) {
    const largest = Math.max(...z);
    let sum = 0, cost = 0;
    for (let j = 0; j < n; j++) sum += Math.exp(z[j] - largest);
    const log = largest + Math.log(sum);
    for (let j = 0; j < n; j++) {
      const t = on * y[j] + off;
      if (t) cost += t * (log - z[j]);
      dz[j] = a[j] - t; d[j] = -t / Math.max(a[j], TINY);
    }
    return cost;
  },
  focal_cross_entropy(a, z, y, { n, p }, d) {
    let cost = 0;
    for (let j = 0; j < n; j++) {
      const q = 1 - a[j], log = Math.log(Math.max(a[j], TINY));
      if (y[j]) cost -= y[j] * q ** p * log;
      d[j] = y[j] ? y[j] * ((p ? p * q ** (p - 1) * log : 0) - q ** p / a[j]) : 0;
    }
    return cost;
  },
  binary_cross_entropy(a, z, y, { n, on, off, sums }, d, dz) {
    const over = sums ? 1 : n;
    let cost = 0;
    for (let j = 0; j < n; j++) {
      const t = on * y[j] + off;
      cost += (softplus(z[j]) - t * z[j]) / over;
      dz[j] = (a[j] - t) / over; d[j] = dz[j] / Math.max(a[j] * (1 - a[j]), TINY);
    }
    return cost;
  },
};
for (const [name, [cost, slope]] of Object.entries(ofErrors)) {
  LOSSES[name] = (a, z, y, { n, p }, d) => {
    const over = name === "half_squared_error" ? 1 : n;
    let sum = 0;
    for (let j = 0; j < n; j++) {
      const e = a[j] - y[j], own = Array.isArray(p) ? p[j] : p;
      sum += cost(e, own) / over; d[j] = slope(e, own) / over;
    }
    return sum;
  };
}
const isClassLoss = (name) => /entropy|hinge/.test(name);
