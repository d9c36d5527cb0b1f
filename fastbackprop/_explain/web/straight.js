// Layers that aren't Dense: each number goes straight through, on a line of its own.
const kindOf = (k) => D.kinds[k - 1];         // of layer k: Dense, Activation, Dropout, a norm
const isDense = (k) => kindOf(k) === "Dense";
const isNorm = (k) => kindOf(k) === "LayerNorm" || kindOf(k) === "BatchNorm";
const called = (k) => isDense(k) || kindOf(k) === "Activation" ? actOf(k) : kindOf(k);
const allDense = D.kinds.every((x) => x === "Dense");
// What blame is multiplied by on its way through; a dropout multiplies what predicts, too.
const throughOf = (k, i) => [layer(k).through[sample][i],
  `layers/${k - 1}/${isNorm(k) ? "through" : "derivative"}/${S()}/${real(k, i)}`];
const gammaOf = (what, k, j) =>
  [layer(k)[what][j], `layers/${k - 1}/${what.replace("gamma", "weight")}/0/${real(k, j)}`];
const nameGamma = (k, j) => indexed("gamma" + k, D.widths[k], real(k, j));
function drawStraight(svg, k, places, path) { // returns the ends of all lines
  return D.shown[k].map((_, i) => {
    const ends = endsOf(k, i, i, places), onPath = path.findIndex((x) => x.on === `n${k}.${i}`);
    const stops = kindOf(k) === "Dropout" && layer(k).through[sample][i] === 0;
    const g = element("g", { class: `straight ${directionOfWeights(k)} ${stops ? "stops" : ""} `
      + `${path.length && onPath < 0 ? "faded" : ""}` }, svg);
    element("line", { class: "line", "stroke-width": 2, ...ends }, g);
    return ends;
  });
}
function drawCaptions(svg, { X, caption }) {  // what each of these layers is, above it
  for (let k = 1; k <= L; k++) if (!isDense(k))
    element("text", { x: X(k), y: caption, class: "more" }, svg).textContent = called(k);
}
function saidStraight(k, i) {                 // beside its line
  const isBack = walk > L + 1 && backLayer(walk) < k;
  if (kindOf(k) === "Activation") return { size: 0, text: "" };
  if (!isBack && isNorm(k)) return { size: 0, text: "" };
  const [value] = throughOf(k, i);
  return { size: Math.abs(value), text: `× ${short(value)}`, kind: isBack ? "blamed" : "" };
}
// ---- beside the network -------------------------------------------------------------------------
function straight(box, k, i) {                // how a number comes out of such a layer
  const a = nameA(k, i), before = nameA(k - 1, i);
  if (kindOf(k) === "Dropout") {
    line(box, `${a} = mask * ${before}`);
    line(box, "= ", throughOf(k, i), " * ", valueA(k - 1, i), " = ", valueOf("a", k, i));
    line(box, P ? "Here, as in predict, nothing is dropped: each mask is 1."
      : "The mask of this step: 0 for what is dropped, 1 / (1 - rate) for what stays.");
  } else {
    line(box, `${a} = ${nameGamma(k, i)} * normalised(${before}) + ${nameB(k, i)}`);
    line(box, `${before} = `, valueA(k - 1, i), `, ${nameGamma(k, i)} = `, gammaOf("gamma", k, i),
      `, ${nameB(k, i)} = `, biasOf("bias", k, i), `: ${a} = `, valueOf("a", k, i));
    line(box, normalisedBy(k));
  }
  line(box, `${nameDelta(k, i)} = dC/d${a} = `, valueOf("delta", k, i));
  if (!isNorm(k)) return;
  line(box, `dC/d${nameGamma(k, i)}${D.n_samples > 1 ? `, over all ${D.n_samples} samples` : ""} = `,
    gammaOf("gamma_gradient", k, i));
  line(box, `share of all blame of ${nameGamma(k, i)}: `,
    share(layer(k).gamma_blame[i], `blame/weights/${k - 1}/0/${real(k, i)}`));
  correction(box, nameGamma(k, i), gammaOf, "gamma", k, i);
  knobOf(nameGamma(k, i), layer(k).gamma[i], (P) => [P.net.weights[k - 1], real(k, i)]);
  bias(box, k, i);
}
const normalisedBy = (k) => kindOf(k) === "LayerNorm"
  ? "Normalised: less the mean of this sample's numbers in the layer before, over their deviation."
  : P ? "Normalised: by the mean and deviation that training has remembered, as in predict."
    : "Normalised: less the mean of this neuron's numbers in the batch, over their deviation.";
// ---- sentences ----------------------------------------------------------------------------------
function saidForward(k) {
  const begin = `Predict: layer ${k} of ${L}, `, input = k === 1 ? "x" : "a" + (k - 1);
  if (kindOf(k) === "Activation")
    return [`${begin}${actOf(k)}, makes of each ${input} a number a${k} = ${actOf(k)}(${input}).`];
  if (kindOf(k) === "Dropout") return [begin + (P
    ? "dropout, lets all numbers pass: only in training some are left out."
    : "dropout, leaves some numbers out (× 0), others in each step, so that no neuron relies on one "
      + "other; what stays is made larger, so that sums stay about as large.")];
  const whose = kindOf(k) === "LayerNorm" ? "a layer norm, brings the numbers of this sample"
    : P ? "a batch norm, brings each neuron's numbers, by what training has remembered,"
      : "a batch norm, brings each neuron's numbers in the batch";
  return [`${begin}${whose} to a mean of 0 and a deviation of 1; gamma${k} stretches and beta${k} `
    + "moves them again."];
}
// Where the delta of layer k comes from, and what it gives to correct.
function saidBackward(k) {
  const above = k + 1, from = k === L ? "dC/dy_hat"
    : isDense(above) ? `the sum of w${above} delta${above}`
      : kindOf(above) === "Activation" ? `delta${above}`
        : kindOf(above) === "Dropout" ? `mask × delta${above}`
          : `what comes back of delta${above} through the norm`;
  const way = k === L ? "it begins at the answer" : `it travels back through ${isDense(above)
    ? `the weights w${above}` : called(above)} to layer ${k}`;
  const slope = actOf(k) === "identity" ? "" : isDense(k) ? `${actOf(k)}'(z${k}) × `
    : kindOf(k) === "Activation" ? `${actOf(k)}'(${k === 1 ? "x" : `a${k - 1}`}) × ` : "";
  const gives = isDense(k) ? `each weight w${k} gets delta${k} times what came into it`
    : isNorm(k) ? `each gamma${k} gets delta${k} times its normalised number, each beta${k} delta${k}`
      : `${called(k)} has nothing to correct`;
  return `Blame: ${way}: delta${k} = ${slope}${from}; ${gives}.`;
}
