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
  if (!isDense(k)) return [...saidForward(k), ...(k === L ? [" That is the answer y_hat."] : [])];
  if (isChain && act === "identity" && !layer(k).bias)
    return [`Predict: layer ${k} of ${L} multiplies what comes by its weight: `, valueA(k - 1, 0),
      " × ", weightOf("weight", k, 0, 0), " = ", valueA(k, 0),
      k === L ? ". That is the answer y_hat." : ", and hands it on."];
  const bias = layer(k).bias ? ` and the bias b${k}` : "";
  return [`Predict: in layer ${k} of ${L}, each neuron adds up what comes, each ${input} times its `
    + `weight w${k}${bias}; `
    + (act === "identity" ? `the sum z${k} is what it hands on as a${k}`
      : `of the sum z${k} its activation ${act} makes a${k}, which it hands on`)
    + (k === L ? ": the answer y_hat." : ".")];
}
function compared() {
  const s = step();
  if (s.cost === null)
    return ["Compare: numbers have grown beyond all bounds; there is nothing left to compare."];
  if (isHalfSquare())
    return ["Compare: the answer y_hat = ", [s.y_hat[sample][0], `y_hat/${S()}/0`],
      " should have been y = ", [s.y[sample][0], `y/${S()}/0`],
      `: an error of ${short(s.y_hat[sample][0] - s.y[sample][0])}. Half of its square is `
      + "the cost C = ", [s.costs[sample], `costs/${S()}`],
      ", whose slope dC/dy_hat is the error itself: when y_hat grows a little, C changes ",
      colored(0, number(...valueD(0))), " times as much. There blame begins."];
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
  if (isChain) return blamedInChain(k);
  if (!allDense && !(k === L && isDense(k))) return [saidBackward(k), ...(k === 1 ? [mostBlamed()] : [])];
  const many = D.n_samples > 1 ? ` (1/${D.n_samples} of this sample's)` : "";
  return [k === L
    ? `Blame: the output first. delta${k} says how C would change with each sum z${k}${many}; `
      + `each weight w${k} gets delta${k} times what came into it.`
    : `Blame: it travels back through the weights w${k + 1} to layer ${k}. delta${k} = `
      + `${act}'(z${k}) × the sum of w${k + 1} delta${k + 1}; each weight w${k} gets delta${k} `
      + `times what came into it.`, ...(k === 1 ? [mostBlamed()] : [])];
}
// When w grows a little, so does what it makes, times what came into it; and so on to the cost.
function blamedInChain(k) {
  const path = essential(pathOf({ k, i: 0, j: 0 })), ahead = path.slice(1, -1).reverse();
  const falls = product(path) < 0 ? "so C falls" : product(path) > 0 ? "so C rises"
    : "so C stays";
  return ["Blame: ", ...(k === L ? [] : [`it travels back through w${k + 1}, and `]),
    `the blame of w${k} is `, ...productOf({ k, i: 0, j: 0 }),
    `: when w${k} grows a little, ${k === L ? "y_hat" : `a${k}`} grows `, factor(path.at(-1)),
    ` times as much (what comes into w${k})`,
    ...(ahead.length ? [", y_hat "] : []),
    ...ahead.flatMap((x, n) => [...(n ? [" times "] : []), factor(x)]),
    ...(ahead.length ? [" times as much again"] : []), ", and C ", factor(path[0]),
    ` times as much again: ${falls}.`];
}
function mostBlamed() {
  const { k, i, j, share: part } = step().worst[0], one = D.widths[k] * D.widths[k - 1] === 1;
  const name = i === null ? indexed(letterB(k), D.widths[k], j)
    : isNorm(k) ? indexed(`gamma${k}`, D.widths[k], j) : one ? `w${k}` : `w${k}[${i}, ${j}]`;
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
    ? ["Correct: every weight w becomes w - ", [learningRate(), "learning_rate"],
      " × its blame (", [learningRate(), "learning_rate"], " is the learning rate)"]
    : [`Correct: every weight takes its step, by ${P ? optimizerName() : D.optimizer}`]),
    ...(isChain ? [": ", ...changes()] : []), "; predict again: ",
    ...(D.widths[L] === 1 ? ["y_hat was ", [s.y_hat[sample][0], `y_hat/${S()}/0`], ", is now ",
      [s.after.y_hat[sample][0], `after/y_hat/${S()}/0`],
      ...(s.y.length && s.y[sample][0] !== null ? [", should be ", [s.y[sample][0], `y/${S()}/0`]] : []), "; "] : []),
    "C was ", [s.cost, "cost"], ", is now ", [s.after.cost, "after/cost"],
    `: ${s.after.verdict}. Its slope alone foretold a C of `,
    [s.after.predicted_cost, "after/predicted_cost"], isBent() ? ", but on the way the slope changes."
      : ", and it stays nearly the same on the way."];
}
function isBent() {                           // whether the slope foretold something else
  const { cost, after } = step(), foretold = cost - after.predicted_cost;
  return !(Math.abs(after.cost - after.predicted_cost) < .1 * Math.abs(foretold));
}
function changes() {
  return D.activations.flatMap((_, n) => [...(n ? [", "] : []), `w${n + 1} `,
    weightOf("weight", n + 1, 0, 0), " → ", weightOf("weight_after", n + 1, 0, 0)]);
}
function outputs(j) {                         // y_hat, y and dC/dy_hat of one output
  const s = step(), o = real(L, j), width = D.widths[L], title = outputTitle(j);
  return [title === outputName(j) ? "" : `${title}: `,
    `${outputName(j)} = `, [s.y_hat[sample][j], `y_hat/${S()}/${o}`],
    ...(!s.y.length ? [] : s.y[sample][j] === null ? [`, ${indexed("y", width, o)} is missing`]
      : [`, ${indexed("y", width, o)} = `, [s.y[sample][j], `y/${S()}/${o}`]]),
    `, ${indexed("dC/dy_hat", width, o)} = `, valueD(j)];
}
