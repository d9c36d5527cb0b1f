// What the letters mean: in a list, and wherever one of them stands.
const LETTERS = {
  x: "an input: what comes in",
  w: "a weight: what a number is multiplied by on its way through a line",
  b: "a bias: what a neuron adds to its sum",
  beta: "what a norm adds at last",
  z: "a neuron's sum: all that comes in, each times its weight, and the bias",
  a: "what a neuron hands on: the activation of its sum z",
  gamma: "what a norm multiplies a number by, once it is normalised",
  mask: "0 for a number that is dropped in this step; what it is multiplied by otherwise",
  y_hat: "the answer of the network",
  y: "what the answer should have been",
  C: "the cost: one number for how wrong the answer is, 0 if it is right",
  "dC/dw": "the blame of w: how many times as much C changes, when w grows a little; below 0: C falls",
  delta: "the blame that reaches a neuron: how many times as much C changes, when z grows a little",
  "sigma'": "the slope of an activation: how many times as much a moves, when z moves a little",
  n: "the number of samples: the cost is their mean, so each brings 1/n of its own blame",
};
const glossed = [[/^dC\/dw/, "dC/dw"], [/^dC\/db/, "dC/dw"], [/^dC\/dy_hat/, "delta"],
  [/^dC\/dz/, "delta"], [/^delta/, "delta"], [/^y_hat/, "y_hat"], [/^[a-z_]+'\(/, "sigma'"],
  [/^C$/, "C"], [/^x/, "x"], [/^y/, "y"], [/^w/, "w"], [/^gamma/, "gamma"], [/^beta/, "beta"], [/^b/, "b"], [/^z/, "z"], [/^a/, "a"]];
const SYMBOL = new RegExp("(?<![\\w/'])(dC/d(?:y_hat|[wbzx]\\d*)|(?:delta|gamma|beta)\\d*|y_hat|[wzab]\\d+|x|y|C)"
  + "(?![\\w'/])", "g");
function explained(text) {                    // the text, its letters with what they mean on hover
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(SYMBOL)) {
    const known = glossed.find(([pattern]) => pattern.test(match[1]));
    if (!known) continue;
    if (match.index > from) parts.push(text.slice(from, match.index));
    const e = document.createElement("abbr");
    e.textContent = match[1]; e.title = LETTERS[known[1]];
    parts.push(e);
    from = match.index + match[1].length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}
function isUsed(letter) {                     // in this net
  if (letter === "n") return D.n_samples > 1;
  if (letter === "b") return step().layers.some((x, k) => x.bias && !isNorm(k + 1));
  if (letter === "sigma'") return D.activations.some((x) => x !== "identity");
  if (letter === "gamma" || letter === "beta") return D.kinds.some((_, k) => isNorm(k + 1));
  return letter !== "mask" || D.kinds.includes("Dropout");
}
for (const [letter, meaning] of Object.entries(LETTERS)) {
  if (!isUsed(letter)) continue;
  const term = document.createElement("dt"), said = document.createElement("dd");
  term.textContent = letter; said.textContent = meaning;
  $("glossary").append(term, said);
}
