// What stands beside the network: a chosen neuron, and the weights most to blame.
function correction(box, name, of, what, ...place) {            // before, the step, after
  const parts = isPlain()
    ? [" - ", [learningRate(), "learning_rate"], " * ", of(what + "_gradient", ...place)]
    : [" + ", of(what + "_step", ...place)];
  line(box, `${name}: `, of(what, ...place), ...parts, " = ", of(what + "_after", ...place));
}
function term(list, what, ...parts) {
  const b = list.appendChild(document.createElement("li"))
    .appendChild(document.createElement("button"));
  b.append(...written(parts));
  b.addEventListener("click", () => choose(what));
}
function keepFocus(box, rebuild) {            // on what stands in the same place afterwards
  const pressable = () => [...box.querySelectorAll("button, input, select")];
  const n = pressable().indexOf(document.activeElement);
  rebuild();
  if (n >= 0 && document.activeElement === document.body)
    pressable()[n]?.focus({ preventScroll: true });
}
function detail() {
  if (!chosen) return;
  if (detail.of === chosen) keepFocus($("chosen"), fillDetail); else fillDetail();
  detail.of = chosen;
}
function fillDetail() {
  const box = $("detail");
  if (!knobOf.held) $("own").replaceChildren();    // what the reader holds stays
  box.replaceChildren();
  (chosen.kind === "neuron" ? neuron : weight)(box, chosen);
}
function neuron(box, { k, i }) {
  const title = titleOf(k, i), own = nameA(k, i);
  $("head").textContent = (k ? `neuron ${own}, layer ${k}` : `input ${own}`)
    + (title === own || k === L && !D.outputNames ? "" : `: ${title}`);
  if (k === 0) {
    line(box, `${own} = `, valueA(0, i));
    line(box, `dC/d${own} = `, [step().d_x[sample][i], `d_x/${S()}/${real(0, i)}`]);
    knobOf(own, valueA(0, i)[0], (P) =>
      [P.batch.x, S() * D.widths[0] + real(0, i)]);
    return;
  }
  if (kindOf(k) === "Dropout" || isNorm(k)) { straight(box, k, i); return outputOf(box, k, i); }
  if (isDense(k)) sumOf(box, k, i); else line(box, `${nameZ(k, i)} = `, valueOf("z", k, i));
  const act = actOf(k);
  const formula = act === "identity" ? nameZ(k, i) : `${act}(${nameZ(k, i)})`;
  line(box, `${nameA(k, i)} = ${formula} = `, valueOf("a", k, i));
  if (layer(k).derivative) line(box, `${act}'(${nameZ(k, i)}) = `, valueOf("derivative", k, i));
  line(box, `${nameDelta(k, i)} = dC/d${nameZ(k, i)} = `, valueOf("delta", k, i));
  outputOf(box, k, i);
  if (layer(k).bias) bias(box, k, i);
}
function outputOf(box, k, i) {
  if (k < L) return;
  line(box, ...outputs(i));
  if (step().y.length) knobOf(indexed("y", D.widths[L], real(L, i)), step().y[sample][i],
    (P) => [P.batch.y, S() * D.widths[L] + real(L, i)]);
}
function sumOf(box, k, i) {                   // z of a neuron, the largest terms first
  const { weight: W, bias, rest_in } = layer(k), list = document.createElement("ul");
  list.className = "terms";
  line(box, `${nameZ(k, i)} = sum of`);
  box.append(list);
  D.shown[k - 1].map((_, h) => [Math.abs(W[h][i] * valueA(k - 1, h)[0]), h])
    .sort((a, b) => b[0] - a[0]).forEach(([, h]) =>
      term(list, { kind: "weight", k, i: h, j: i }, `${nameW(k, h, i)} ${nameA(k - 1, h)} = `,
        weightOf("weight", k, h, i), " * ", valueA(k - 1, h),
        k === 1 && D.inputNames ? ` (${inputTitle(h)})` : ""));
  if (hidden(k - 1)) line(box, `${more(hidden(k - 1))}: `, [rest_in[sample][i]]);
  if (bias) line(box, `+ ${nameB(k, i)} = `, biasOf("bias", k, i));
  line(box, `${nameZ(k, i)} = `, valueOf("z", k, i));
}
function bias(box, k, i) {
  line(box, D.n_samples > 1
    ? `dC/d${nameB(k, i)}, over all ${D.n_samples} samples = `
    : `dC/d${nameB(k, i)} = 1 * ${nameDelta(k, i)} = `, biasOf("bias_gradient", k, i));
  line(box, `share of all blame of ${nameB(k, i)}: `,
    share(layer(k).bias_blame[i], `blame/biases/${k - 1}/${real(k, i)}`));
  correction(box, nameB(k, i), biasOf, "bias", k, i);
  knobOf(nameB(k, i), layer(k).bias[i], (P) => [P.net.biases[k - 1], real(k, i)]);
}
function worst() {
  const list = $("worst");
  list.replaceChildren();
  for (const { share: part, k, i, j } of step().worst) {   // of all, also those folded away
    const isBias = i === null, isGamma = !isBias && isNorm(k);
    const from = isBias || isGamma ? null : D.shown[k - 1].indexOf(i);
    const to = D.shown[k].indexOf(j);
    const name = isBias || isGamma
      ? indexed(isGamma ? "gamma" + k : letterB(k), D.widths[k], j)
      : D.widths[k] * D.widths[k - 1] === 1 ? "w" + k : `w${k}[${i}, ${j}]`;
    const value = share(part,
      isBias ? `blame/biases/${k - 1}/${j}` : `blame/weights/${k - 1}/${i}/${j}`);
    const what = from === null ? { kind: "neuron", k, i: to } : { kind: "weight", k, i: from, j: to };
    if (to >= 0 && from !== -1) term(list, what, `${name}  `, value);
    else {
      list.appendChild(document.createElement("li"))
        .append(`${name}  `, value);
    }
  }
}
