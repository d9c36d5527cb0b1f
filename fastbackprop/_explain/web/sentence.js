// The sentence that says what happens at this place of the walk, in the four words.
function tell() {
  const p = $("sentence"), now = phase(walk);
  p.className = now === "blame" || now === "correct" ? "back" : "";
  p.replaceChildren(...written({ predict: predicted, compare: compared, blame: blamed,
    correct: corrected }[now]()));
}
function predicted() {
  if (walk === 0) return D.widths[0] > 1 ? ["Predict: the inputs x come in."]
    : ["Predict: the input x = ", valueA(0, 0), " comes in."];
  const k = walk, act = actOf(k), input = k === 1 ? "x" : "a" + (k - 1);
  if (isChain && act === "identity" && !layer(k).bias)
    return [`Predict: layer ${k} of ${L} multiplies what comes by its weight: `, valueA(k - 1, 0),
      " × ", weightOf("weight", k, 0, 0), " = ", valueA(k, 0),
      k === L ? ". That is the answer y_hat." : ", and hands it on."];
  const bias = layer(k).bias ? ` and the bias b${k}` : "";
  return [`Predict: in layer ${k} of ${L}, each neuron adds up what comes, each ${input} times its `
    + `weight w${k}${bias}; `
    + (act === "identity" ? `the sum z${k} is what it hands on as a${k}`
      : `of the sum z${k} its activation ${act} makes a${k}`)
    + (k === L ? ": the answer y_hat." : ", which it hands on.")];
}
function compared() {
  const s = step();
  if (D.widths[L] === 1 && D.n_samples === 1 && lossName() === "half_squared_error")
    return ["Compare: the answer y_hat = ", [s.y_hat[sample][0], `y_hat/${S()}/0`],
      " should have been y = ", [s.y[sample][0], `y/${S()}/0`],
      `: an error of ${short(s.y_hat[sample][0] - s.y[sample][0])}. Half of its square is `
      + "the cost C = ", [s.costs[sample], `costs/${S()}`],
      ", and the slope of the cost there is dC/dy_hat = ", valueD(0), "."];
  const size = (j) => Math.abs(s.d_y_hat[sample][j]);
  const largest = D.shown[L].map((_, j) => j).sort((a, b) => size(b) - size(a)).slice(0, 3);
  const n_others = D.widths[L] - largest.length;
  return ["Compare: ", ...largest.flatMap((j) => [...outputs(j), "; "]),
    ...(n_others > 0 ? [`${more(n_others)} outputs; `] : []),
    D.n_samples > 1 ? "C of this sample = " : "the cost C = ", [s.costs[sample], `costs/${S()}`],
    ...(D.n_samples > 1 ? [", mean of all = ", [s.cost, "cost"], `. Of ${D.n_samples} samples each `
      + `brings 1/${D.n_samples} of the blame`] : []), "."];
}
function blamed() {
  const k = backLayer(walk), act = actOf(k);
  if (isChain) return ["Blame: ", ...(k === L ? ["if y_hat grew by a bit, C would change by ",
    factor(pathOf({ k, i: 0, j: 0 })[0]), " bits; "] : ["it travels back through ",
    `w${k + 1} = `, weightOf("weight", k + 1, 0, 0), "; "]),
  `${nameW(k, 0, 0)} gets `, ...productOf({ k, i: 0, j: 0 }), k === L
    ? `: the slope of the cost, times what came through w${k}.`
    : `: the slope of the cost, times each weight behind w${k}, times what came through w${k}.`];
  const many = D.n_samples > 1 ? ` (1/${D.n_samples} of this sample's)` : "";
  return [k === L
    ? `Blame: the output first. delta${k} says how C would change with each sum z${k}${many}; `
      + `each weight w${k} gets delta${k} times what came through it.`
    : `Blame: it travels back through the weights w${k + 1} to layer ${k}. delta${k} = `
      + `${act}'(z${k}) × the sum of w${k + 1} delta${k + 1}; each weight w${k} gets delta${k} `
      + `times what came through it.`, ...(k === 1 ? [mostBlamed()] : [])];
}
function mostBlamed() {
  const { k, i, j, share: part } = step().worst[0], one = D.widths[k] * D.widths[k - 1] === 1;
  const name = i === null ? indexed(`b${k}`, D.widths[k], j) : one ? `w${k}` : `w${k}[${i}, ${j}]`;
  return ` Most to blame is ${name}, with ${percent(part)} of it.`;
}
function factor(x) { return colored(x.n, number(...x.value)); }
function productOf(what) {                    // -6 × 4 × 2 = -48, each factor in its colour
  return [...essential(pathOf(what)).flatMap((x, n) => n ? [" × ", factor(x)] : [factor(x)]),
    " = ", weightOf("weight_gradient", what.k, what.i, what.j)];
}
function corrected() {
  const s = step();
  return [...(isPlain()
    ? ["Correct: every weight w becomes w - ", [learningRate(), "learning_rate"], " × its blame"]
    : [`Correct: every weight takes its step, by ${P ? optimizerName() : D.optimizer}`]),
    ...(isChain ? [": ", ...changes()] : []),
    ". Predict again: C was ", [s.cost, "cost"], "; a slope that stays straight, "
    + "as the gradient sees it, predicts ", [s.after.predicted_cost, "after/predicted_cost"],
    "; it is now ", [s.after.cost, "after/cost"], `: ${s.after.verdict}`,
    ...(D.widths[L] === 1 ? ["; y_hat was ", [s.y_hat[sample][0], `y_hat/${S()}/0`],
      " and is now ", [s.after.y_hat[sample][0], `after/y_hat/${S()}/0`]] : []), "."];
}
function changes() {
  return D.activations.flatMap((_, n) => [...(n ? [", "] : []), `w${n + 1} `,
    weightOf("weight", n + 1, 0, 0), " → ", weightOf("weight_after", n + 1, 0, 0)]);
}
function outputs(j) {                         // y_hat, y and dC/dy_hat of one output
  const s = step(), o = real(L, j), width = D.widths[L], title = outputTitle(j);
  return [title === outputName(j) ? "" : `${title}: `,
    `${outputName(j)} = `, [s.y_hat[sample][j], `y_hat/${S()}/${o}`],
    ...(s.y.length
      ? [`, ${indexed("y", width, o)} = `, [s.y[sample][j], `y/${S()}/${o}`]] : []),
    `, ${indexed("dC/dy_hat", width, o)} = `, valueD(j)];
}
