// A chosen weight: its chain rule, its share, its correction.
function weight(box, { k, i, j }) {
  const w = nameW(k, i, j);
  const isNamed = k === 1 && D.inputNames || k === L && D.outputNames;
  $("head").textContent = `weight ${w}`
    + (isNamed ? `: ${titleOf(k - 1, i)} to ${titleOf(k, j)}` : "");
  knobOf(w, layer(k).weight[i][j], (P) =>
    [P.net.weights[k - 1], real(k - 1, i) * D.widths[k] + real(k, j)]);
  chainOf(box, w, k, i, j);
  deltaOf(box, k, j);
  if (D.n_samples > 1) line(box, `C is the mean of ${D.n_samples} samples, so that this one brings `
    + `1/${D.n_samples} of its own blame: it is in dC/dy_hat already.`);
  line(box, D.n_samples > 1 ? `dC/d${w}, over all ${D.n_samples} samples = ` : `dC/d${w} = `,
    weightOf("weight_gradient", k, i, j));
  line(box, `share of all blame: `,
    share(layer(k).blame[i][j], `blame/weights/${k - 1}/${real(k - 1, i)}/${real(k, j)}`));
  correction(box, w, weightOf, "weight", k, i, j);
}
function chainOf(box, w, k, i, j) {           // the strongest path, and a_prev delta
  const factors = pathOf({ k, i, j });
  const n = D.widths.slice(k + 1).reduce((a, b, h) => isDense(k + 1 + h) ? a * b : a, 1);
  const hasNorms = D.kinds.some((_, h) => h >= k && isNorm(h + 1));
  if (n > 1) {
    const shown = D.shown.some((_, h) => h > k && hidden(h)) ? " that is shown" : "";
    line(box, `Of ${n.toLocaleString("en")} paths to the cost the strongest${shown}:`);
  }
  const between = (parts) => parts.flatMap((x, q) => q ? [" * ", x] : [x]);
  line(box, n > 1 || hasNorms ? "" : `dC/d${w} = `, ...between(factors.map((x) => colored(x.n, x.name))));
  line(box, "= ", ...between(factors.map(factor))).dataset.chain = "1";
  walkButton(box, factors);
  if (hasNorms) line(box, "(Through the means and deviations of norms it acts besides.)");
  line(box, `${n > 1 || hasNorms ? "All together: " : ""}dC/d${w} = `
    + `${nameA(k - 1, i)} * ${nameDelta(k, j)}`);
  line(box, "= ", valueA(k - 1, i), " * ", valueOf("delta", k, j));
}
function walkButton(box, factors) {           // factor by factor, with the product so far
  const p = box.appendChild(document.createElement("p"));
  const b = p.appendChild(document.createElement("button"));
  const done = walked === null ? factors : factors.slice(0, walked);
  b.id = "walk-path";
  b.textContent = walked === null ? "walk this path" : "next factor";
  b.addEventListener("click", () => walkPath(walked === null ? 1 : walked + 1));
  p.append(` ${walked === null ? "product" : `${done.at(-1).name}: product so far`} `
    + short(product(done)));
}
// Behind softmax and sigmoid, fused: delta = (y_hat - y) / n, unless labels are smoothed.
const fusedDivisor = () => D.n_samples * (lossName()[0] === "b" ? D.widths[L] : 1);
function isDifference(j) {
  if (!/^(binary_)?cross_entropy$/.test(lossName())) return false;
  const delta = layer(L).delta[sample][j];
  const difference = (step().y_hat[sample][j] - step().y[sample][j]) / fusedDivisor();
  return Math.abs(difference - delta) <= 1e-3 * Math.abs(delta);
}
function deltaOf(box, k, j) {                 // where delta of a neuron comes from
  if (k < L && layer(k).derivative) deltaFromAbove(box, k, j);
  else if (factorsGiveDelta(j)) {
    line(box, `${nameDelta(k, j)} = dC/d${outputName(j)} * ${actOf(k)}'(${nameZ(k, j)})`);
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
function deltaStraight(box, k, j) {           // from a layer on whose lines numbers go straight
  const delta = valueOf("delta", k + 1, j);
  if (isNorm(k + 1)) {
    line(box, `${nameDelta(k, j)} = what comes back of delta${k + 1} through the norm = `,
      valueOf("delta", k, j));
    return;
  }
  const has = kindOf(k + 1) === "Dropout";
  line(box, `${nameDelta(k, j)} = ${actOf(k)}'(${nameZ(k, j)}) * ${has ? "mask * " : ""}`
    + nameDelta(k + 1, j));
  line(box, "= ", valueOf("derivative", k, j), " * ",
    ...(has ? [throughOf(k + 1, j), " * "] : []), delta);
}
function deltaFromAbove(box, k, j) {
  const next = layer(k + 1), act = actOf(k);
  if (!isDense(k + 1)) return deltaStraight(box, k, j);
  const size = (m) => Math.abs(next.weight[j][m] * next.delta[sample][m]);
  const terms = D.shown[k + 1].map((_, m) => m).sort((a, b) => size(b) - size(a));
  line(box, `${nameDelta(k, j)} = ${act}'(${nameZ(k, j)}) * sum of w${k + 1} delta${k + 1}`);
  line(box, "= ", valueOf("derivative", k, j), " * (",
    ...terms.flatMap((m, n) => [n ? " + " : "",
      weightOf("weight", k + 1, j, m), " * ", valueOf("delta", k + 1, m)]),
    ...(hidden(k + 1) ? [` ${more(hidden(k + 1))}: `, [next.rest_out[sample][j]]] : []), ")");
}
