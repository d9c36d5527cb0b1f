// What the letters mean: in a list, and wherever one of them stands.
const LETTERS = {
  x: "an input: what comes in",
  w: "a weight: what a number is multiplied by on its way through a line",
  b: "a bias: what a neuron adds to its sum",
  z: "a neuron's sum: all that comes in, each times its weight, and the bias",
  a: "what a neuron hands on: the activation of its sum z",
  y_hat: "the answer of the network",
  y: "what the answer should have been",
  C: "the cost: one number for how wrong the answer is, 0 if it is right",
  "dC/dw": "the blame of w: by how much C would change for each bit that w grows",
  delta: "the blame that reaches a neuron: by how much C would change for each bit that z grows",
  "sigma'": "the slope of an activation: how much a moves for each bit that z moves",
  n: "the number of samples: the cost is their mean, so each brings 1/n of its own blame",
};
const glossed = [[/^dC\/dw/, "dC/dw"], [/^dC\/db/, "dC/dw"], [/^dC\/dy_hat/, "delta"],
  [/^dC\/dz/, "delta"], [/^delta/, "delta"], [/^y_hat/, "y_hat"], [/^[a-z_]+'\(/, "sigma'"],
  [/^C$/, "C"], [/^x/, "x"], [/^y/, "y"], [/^w/, "w"], [/^b/, "b"], [/^z/, "z"], [/^a/, "a"]];
const SYMBOL = new RegExp("(?<![\\w/'])(dC/d(?:y_hat|[wbzx]\\d*)|delta\\d*|y_hat|[wzab]\\d+|x|y|C)"
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
for (const [letter, meaning] of Object.entries(LETTERS)) {
  if (letter === "n" && D.n_samples === 1) continue;
  const term = document.createElement("dt"), said = document.createElement("dd");
  term.textContent = letter; said.textContent = meaning;
  $("glossary").append(term, said);
}
