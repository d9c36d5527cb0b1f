// What the reader moves: a number of the net or the batch, the rate, the optimizer, the loss.
function knobOf(name, value, place) {    // place(P): the array and the index of the number
  if (!D.play || value === null || knobOf.held) return;
  const label = $("own").appendChild(document.createElement("label"));
  const range = document.createElement("input");
  label.className = "knob";
  const input = document.createElement("input"), reach = Math.max(2, 2 * Math.abs(value));
  Object.assign(range, { type: "range", min: -reach, max: reach, step: "any", value });
  Object.assign(input, { type: "number", step: "any", value: Number(value.toPrecision(6)) });
  range.setAttribute("aria-label", `${name}, slider`);
  input.setAttribute("aria-label", name);
  label.append(name, range, input);
  const set = (text) => {
    const number = Number(text);
    if (text === "" || !Number.isFinite(number)) return;
    knobOf.held = true;
    change((P) => { const [array, index] = place(P); array[index] = number; });
    knobOf.held = false;
  };
  range.addEventListener("input", () => {
    input.value = Number(range.value).toPrecision(4); set(range.value);
  });
  range.addEventListener("change", () => detail());
  input.addEventListener("input", () => { range.value = input.value; set(input.value); });
}
function choice(name, options, value, set) {
  const label = document.createElement("label"), select = document.createElement("select");
  select.append(...options.map((x) => new Option(x, x)));
  select.value = value;
  select.addEventListener("change", () => change((P) => set(P, select.value)));
  label.append(`${name} `, select);
  return label;
}
const optimizerName = () => {
  const o = P.net.optimizer, rate = `learning rate ${short(o.learning_rate)}`;
  return o.kind === "adam" ? `Adam (${rate})`
    : `SGD (${rate}${o.momentum ? `, momentum ${o.momentum}` : ""})`;
};
const optimizerKind = (o) => o.kind === "adam" ? "Adam" : o.momentum ? "SGD with momentum" : "SGD";
function setOptimizer(P, kind) {
  const o = P.net.optimizer;
  P.state = {};
  Object.assign(o, { kind: kind === "Adam" ? "adam" : "sgd", nesterov: false,
    momentum: kind === "SGD with momentum" ? .9 : 0 });
}
function lossesThatFit() {                    // of the targets that there are
  const y = (P ? P.batch : librarysBatch()).y, n = D.widths[L], same = D.play.n_targets === n;
  if (!same) return [D.play.loss.name];
  const inside = y.every((v) => v >= 0 && v <= 1), yes = y.every((v) => v === 0 || v === 1);
  let sums = n > 1;
  for (let r = 0; r < y.length; r += n)
    sums &&= Math.abs(y.subarray(r, r + n).reduce((s, v) => s + v, 0) - 1) < 1e-3;
  const fits = { cross_entropy: sums && inside, focal_cross_entropy: sums && inside,
    binary_cross_entropy: inside, poisson: y.every((v) => v >= 0), hinge: yes,
    gaussian_nll: false };
  // A norm at the end can't have the activation that some losses need.
  return Object.keys(LOSSES).filter((name) => (fits[name] ?? true) && !(FUSED[name] && isNorm(L)));
}
function setLoss(P, name) {                   // and the last activation that it needs
  P.net.loss = lossOf(name, D.widths[L], name === D.play.loss.name ? D.play.loss : {});
  if (FUSED[name]) P.net.activations[L - 1] = FUSED[name];
  P.state = {}; P.costs = [];
}
function setActivation(P, k, name) {
  P.net.activations[k - 1] = name;
  P.net.slopes[k - 1] = SLOPES[name] ?? 0;
  const needed = FUSED[P.net.loss.name];
  if (k === L && needed && needed !== name) setLoss(P, "half_squared_error");
  P.state = {}; P.costs = [];
}
function rateKnob(net) {
  const label = document.createElement("label"), input = document.createElement("input");
  const range = document.createElement("input"), rate = net.optimizer.learning_rate;
  label.className = "knob";
  Object.assign(range, { type: "range", min: -5, max: 2, step: .05, value: Math.log10(rate) });
  Object.assign(input, { type: "number", step: "any", min: 0, value: Number(rate.toPrecision(4)) });
  input.id = "rate";
  range.setAttribute("aria-label", "learning rate, slider");
  input.setAttribute("aria-label", "learning rate");
  const set = (x) => { if (x > 0 && Number.isFinite(x)) {
    knobOf.held = true; change((P) => { P.net.optimizer.learning_rate = x; }); knobOf.held = false;
  } };
  range.addEventListener("input", () => {
    const x = Number((10 ** range.value).toPrecision(2)); input.value = x; set(x);
  });
  input.addEventListener("input", () => {
    range.value = Math.log10(input.value); set(Number(input.value));
  });
  label.append("learning rate ", range, input);
  return label;
}
function knobs() {
  if (!D.play || knobOf.held) return;
  const net = P ? P.net
    : { loss: D.play.loss, activations: D.activations, optimizer: D.play.optimizer };
  const names = Object.keys(ACTIVATIONS);
  keepFocus($("knobs"), () => $("knobs").replaceChildren(rateKnob(net),
    choice("optimizer", ["SGD", "SGD with momentum", "Adam"], optimizerKind(net.optimizer),
      setOptimizer),
    ...D.activations.flatMap((_, n) => isNorm(n + 1) || kindOf(n + 1) === "Dropout" ? []
      : choice(L > 1 ? `activation of layer ${n + 1}` : "activation",
      names.filter((x) => x !== "softmax" || n + 1 === L && (D.widths[L] > 1
        || D.activations[n] === x)), net.activations[n],
      (P, name) => setActivation(P, n + 1, name))),
    choice("loss", lossesThatFit(), net.loss.name, setLoss)));
}
