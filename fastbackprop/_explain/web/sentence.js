// The sentence that says what happens at this place of the walk.
function tell() {
  const p = $("sentence"), now = phase(walk);
  p.className = now === "blame" || now === "correct" ? "back" : "";
  p.replaceChildren(...{ predict: predicted, compare: compared, blame: blamed, correct: corrected }
    [now]());
}
function predicted() {
  if (walk === 0) return ["Predict: the inputs x come in."];
  const k = walk, act = D.activations[k - 1], input = k === 1 ? "x" : "a" + (k - 1);
  const bias = layer(k).bias ? " + b" + k : "", of = act === "identity" ? "" : act + " of ";
  return [`Predict: layer ${k} of ${L} (layers[${k - 1}]), ${act}: `
    + `z${k} = sum of w${k} ${input}${bias}, a${k} = ${of}z${k}.`];
}
function compared() {
  const s = step(), size = (j) => Math.abs(s.d_y_hat[sample][j]);
  const largest = D.shown[L].map((_, j) => j).sort((a, b) => size(b) - size(a)).slice(0, 3);
  const n_others = D.widths[L] - largest.length;
  return ["Compare: ", ...largest.flatMap((j) => [...outputs(j), "; "]),
    ...(n_others > 0 ? [`${more(n_others)} outputs; `] : []),
    "C of this sample = ", number(s.costs[sample], `costs/${S()}`),
    ...(D.n_samples > 1 ? [", mean of all = ", number(s.cost, "cost")] : []), "."];
}
function blamed() {
  const k = backLayer(walk), act = D.activations[k - 1];
  return [k === L
    ? `Blame: the output first. delta${k} = dC/dz${k}: `
      + `how the cost would change with each sum z${k}.`
    : `Blame: layer ${k} (layers[${k - 1}]). Each neuron gets what it handed on: `
      + `delta${k} = ${act}'(z${k}) times the sum of w${k + 1} delta${k + 1}.`];
}
function corrected() {
  const s = step();
  return [...(D.plain
    ? ["Correct: every weight w becomes w - ", number(D.learning_rate, "learning_rate"), " dC/dw. "]
    : [`Correct: every weight takes its step, by ${D.optimizer}. `]),
    "C was ", number(s.cost, "cost"), ", the gradient predicts ",
    number(s.after.predicted_cost, "after/predicted_cost"),
    ", and it is now ", number(s.after.cost, "after/cost"), `: ${s.after.verdict}.`];
}
function outputs(j) {                         // y_hat, y and dC/dy_hat of one output
  const s = step(), o = real(L, j), width = D.widths[L];
  return [`${outputName(j)} = `, number(s.y_hat[sample][j], `y_hat/${S()}/${o}`),
    ...(s.y.length
      ? [`, ${indexed("y", width, o)} = `, number(s.y[sample][j], `y/${S()}/${o}`)] : []),
    `, ${indexed("dC/dy_hat", width, o)} = `, number(...valueD(j))];
}
