// The activations of _core/activations.py in float64: [act(z, alpha), act'(z, alpha)].
const sigmoid = (z) => z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z));
const sigmoidSlope = (z) => { const e = Math.exp(-Math.abs(z)); return e / ((1 + e) * (1 + e)); };
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const SELU = 1.0507009873554805, SELU_ALPHA = 1.6732632423543772;

function erfc(x) {                            // a series near 0, a continued fraction far from it
  if (x < 0) return 2 - erfc(-x);
  if (x > 27) return 0;
  if (x >= 2.5) {
    let k = x;
    for (let n = 80; n > 0; n--) k = x + n / 2 / k;
    return Math.exp(-x * x) / (Math.sqrt(Math.PI) * k);
  }
  let term = x, sum = x;
  for (let n = 1; term > 1e-18 * sum; n++) { term *= 2 * x * x / (2 * n + 1); sum += term; }
  return 1 - 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}
const normal = (z) => erfc(-z / Math.SQRT2) / 2;
const density = (z) => Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
const bounded = (z) => Math.min(Math.max(z, -1e3), 1e3);

function geluTanh(z) {                        // z sigmoid(v): v, and dv/dz
  const b = Math.sqrt(8 / Math.PI), c = .044715 * b;
  return [z * (b + c * z * z), b + 3 * c * z * z];
}
function mishFactor(z) {                      // tanh(log(1 + e^z)), and its slope
  const e = Math.exp(Math.min(z, 40)), q = e * e + 2 * e + 2;
  return [e * (e + 2) / q, 4 * e / q * ((e + 1) / q)];
}
const ACTIVATIONS = {
  identity: [(z) => z, () => 1],
  relu: [(z) => Math.max(z, 0), (z) => z > 0 ? 1 : 0],
  leaky_relu: [(z, alpha) => z < 0 ? alpha * z : z, (z, alpha) => z > 0 ? 1 : alpha],
  sigmoid: [sigmoid, sigmoidSlope],
  tanh: [Math.tanh, (z) => 4 * sigmoidSlope(2 * z)],
  softmax: [null, null],                      // of a whole row: net.js
  softplus: [softplus, sigmoid],
  elu: [(z, alpha) => z > 0 ? z : alpha * Math.expm1(z),
    (z, alpha) => z > 0 ? 1 : alpha * Math.exp(z)],
  selu: [(z) => SELU * (z > 0 ? z : SELU_ALPHA * Math.expm1(z)),
    (z) => SELU * (z > 0 ? 1 : SELU_ALPHA * Math.exp(z))],
  gelu: [(z) => Math.max(z, -1e3) * normal(z),
    (z) => normal(z) + bounded(z) * density(bounded(z))],
  gelu_tanh: [(z) => Math.max(z, -1e3) * sigmoid(geluTanh(bounded(z))[0]), (z) => {
    const y = bounded(z), [v, slope] = geluTanh(y);
    return sigmoid(v) + y * sigmoidSlope(v) * slope;
  }],
  silu: [(z) => Math.max(z, -1e3) * sigmoid(z),
    (z) => sigmoid(z) + bounded(z) * sigmoidSlope(z)],
  mish: [(z) => Math.max(z, -1e3) * mishFactor(z)[0], (z) => {
    const [t, slope] = mishFactor(bounded(z));
    return t + bounded(z) * slope;
  }],
  softsign: [(z) => z / (1 + Math.abs(z)), (z) => 1 / (1 + Math.abs(z)) ** 2],
  hard_sigmoid: [(z) => Math.min(Math.max(z / 6 + .5, 0), 1), (z) => Math.abs(z) < 3 ? 1 / 6 : 0],
  hard_tanh: [(z) => Math.min(Math.max(z, -1), 1), (z) => Math.abs(z) < 1 ? 1 : 0],
  exp: [Math.exp, Math.exp],
};
const SLOPES = { leaky_relu: .01, elu: 1 };   // what alpha is unless it is given
