// The chain rule of a chosen weight.

// Whether dC/dy_hat times act' still gives delta: a saturated output has lost what a fused loss
// still knows, and behind softmax each output depends on every z.
function factorsGiveDelta(m) {
  if (D.activations[L - 1] === "softmax") return false;
  const delta = layer(L).delta[sample][m];
  const product = step().d_y_hat[sample][m] * layer(L).derivative[sample][m];
  return Math.abs(product - delta) <= 1e-3 * Math.abs(delta);
}
// The way from a neuron to the cost, of those shown: [name, number] of its factors.
function strongestPath(k, j) {
  let paths = D.shown[L].map((_, m) => factorsGiveDelta(m)
    ? [[`dC/d${outputName(m)}`, valueD(m)],
      [`d${outputName(m)}/d${nameZ(L, m)}`, valueOf("derivative", L, m)]]
    : [[`dC/d${nameZ(L, m)}`, valueOf("delta", L, m)]]);
  const size = (path) => Math.abs(path.reduce((product, x) => product * x[1][0], 1));
  for (let h = L - 1; h >= k; h--) paths = D.shown[h].map((_, n) =>
    paths.map((path, m) => [...path,
      [`d${nameZ(h + 1, m)}/d${nameA(h, n)}`, weightOf("weight", h + 1, n, m)],
      [`d${nameA(h, n)}/d${nameZ(h, n)}`, valueOf("derivative", h, n)]])
      .reduce((a, b) => size(b) > size(a) ? b : a));
  return paths[j];
}
function weight(box, { k, i, j }) {
  const w = nameW(k, i, j);
  $("head").textContent = "weight " + w;
  chainOf(box, w, k, i, j);
  deltaOf(box, k, j);
  line(box, D.n_samples > 1 ? `dC/d${w}, over all ${D.n_samples} samples = ` : `dC/d${w} = `,
    weightOf("weight_gradient", k, i, j));
  line(box, `share of all blame: `,
    [layer(k).blame[i][j], `blame/weights/${k - 1}/${real(k - 1, i)}/${real(k, j)}`]);
  correction(box, w, weightOf, "weight", k, i, j);
}
function chainOf(box, w, k, i, j) {           // the strongest path, and a_prev delta
  const factors = [...strongestPath(k, j), [`d${nameZ(k, j)}/d${w}`, valueA(k - 1, i)]];
  const n = D.widths.slice(k + 1).reduce((a, b) => a * b, 1);
  if (n > 1) {
    const shown = D.shown.some((_, h) => h > k && hidden(h)) ? " that is shown" : "";
    line(box, `Of ${n.toLocaleString("en")} paths to the cost the strongest${shown}:`);
  }
  line(box, `${n > 1 ? "" : `dC/d${w} = `}${factors.map((x) => x[0]).join(" * ")}`);
  line(box, "= ", ...factors.flatMap((x, n) => n ? [" * ", x[1]] : [x[1]])).dataset.chain = "1";
  line(box, `${n > 1 ? "All together: " : ""}dC/d${w} = `
    + `${nameA(k - 1, i)} * ${nameDelta(k, j)}`);
  line(box, "= ", valueA(k - 1, i), " * ", valueOf("delta", k, j));
}
// Behind softmax and sigmoid, fused: delta = (y_hat - y) / n, unless labels are smoothed.
const fusedDivisor = () => D.n_samples * (D.loss[0] === "b" ? D.widths[L] : 1);
function isDifference(j) {
  if (!/^(binary_)?cross_entropy$/.test(D.loss)) return false;
  const delta = layer(L).delta[sample][j];
  const difference = (step().y_hat[sample][j] - step().y[sample][j]) / fusedDivisor();
  return Math.abs(difference - delta) <= 1e-3 * Math.abs(delta);
}
function deltaOf(box, k, j) {                 // where delta of a neuron comes from
  if (k < L && layer(k).derivative) deltaFromAbove(box, k, j);
  else if (factorsGiveDelta(j)) {
    line(box, `${nameDelta(k, j)} = dC/d${outputName(j)} * `
      + `${D.activations[k - 1]}'(${nameZ(k, j)})`);
    line(box, "= ", valueD(j), " * ", valueOf("derivative", k, j));
  } else if (isDifference(j)) {
    const o = real(L, j), n = fusedDivisor();
    const over = n > 1 ? " / " + n : "";
    line(box, `${nameDelta(k, j)} = dC/dy_hat * dy_hat/d${nameZ(k, j)} = `
      + `(${outputName(j)} - ${indexed("y", D.widths[L], o)})${over}`);
    line(box, "= (", [step().y_hat[sample][j], `y_hat/${S()}/${o}`], " - ",
      [step().y[sample][j], `y/${S()}/${o}`], `)${over} = `, valueOf("delta", k, j));
  } else line(box, `${nameDelta(k, j)} = dC/d${nameZ(k, j)} = `, valueOf("delta", k, j));
}
function deltaFromAbove(box, k, j) {
  const next = layer(k + 1), act = D.activations[k - 1];
  const size = (m) => Math.abs(next.weight[j][m] * next.delta[sample][m]);
  const terms = D.shown[k + 1].map((_, m) => m).sort((a, b) => size(b) - size(a));
  line(box, `${nameDelta(k, j)} = ${act}'(${nameZ(k, j)}) * sum of w${k + 1} delta${k + 1}`);
  line(box, "= ", valueOf("derivative", k, j), " * (",
    ...terms.flatMap((m, n) => [n ? " + " : "",
      weightOf("weight", k + 1, j, m), " * ", valueOf("delta", k + 1, m)]),
    ...(hidden(k + 1) ? [` ${more(hidden(k + 1))}: `, [next.rest_out[sample][j]]] : []), ")");
}
