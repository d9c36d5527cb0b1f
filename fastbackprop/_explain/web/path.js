// The chain rule of a weight: its strongest way to the cost, of those shown, factor by factor.
// A factor has its name, its number with its key, and what it is drawn on.

// Whether dC/dy_hat times act' still gives delta: a saturated output has lost what a fused loss
// still knows, and behind softmax each output depends on every z.
function factorsGiveDelta(m) {
  if (actOf(L) === "softmax") return false;
  const delta = layer(L).delta[sample][m];
  const product = step().d_y_hat[sample][m] * layer(L).derivative[sample][m];
  return Math.abs(product - delta) <= 1e-3 * Math.abs(delta);
}
function pathFrom(k, j) {                     // from dC/dy_hat to dz/d(what it is of) of a neuron
  let paths = D.shown[L].map((_, m) => factorsGiveDelta(m)
    ? [{ name: `dC/d${outputName(m)}`, value: valueD(m), on: `y${L}.${m}` },
      ...slopeAt(L, m, outputName(m))]
    : [{ name: `dC/d${nameZ(L, m)}`, value: valueOf("delta", L, m), on: `n${L}.${m}` }]);
  const size = (path) => Math.abs(path.reduce((product, x) => product * x.value[0], 1));
  for (let h = L - 1; h >= k; h--) paths = D.shown[h].map((_, n) =>
    (isDense(h + 1) ? paths.map((path, m) => [...path,
      { name: `d${nameZ(h + 1, m)}/d${nameA(h, n)}`, value: weightOf("weight", h + 1, n, m),
        on: `w${h + 1}.${n}.${m}` }])
      : [[...paths[n], ...straightAt(h + 1, n)]])
      .map((path) => [...path, ...slopeAt(h, n, nameA(h, n))])
      .reduce((a, b) => size(b) > size(a) ? b : a));
  return paths[j];
}
const slopeAt = (k, n, name) => isDense(k) || kindOf(k) === "Activation"
  ? [{ name: `d${name}/d${nameZ(k, n)}`, value: valueOf("derivative", k, n), on: `n${k}.${n}` }]
  : [];
const straightAt = (k, n) => kindOf(k) === "Activation" ? []
  : [{ name: `d${nameA(k, n)}/d${nameA(k - 1, n)}`, value: throughOf(k, n), on: `n${k}.${n}` }];
function pathOf({ k, i, j }) {                // of a weight: the last factor is what came in
  const name = `d${nameZ(k, j)}/d${nameW(k, i, j)}`;
  return [...pathFrom(k, j), { name, value: valueA(k - 1, i), on: `n${k - 1}.${i}` }]
    .map((x, n, all) => ({ ...x, n: n === all.length - 1 ? 5 : n % 5 }));   // n: its colour
}
// A factor of 1, of an activation that changes nothing, is left out where there is little room.
const essential = (path) =>
  path.filter((x, n) => n === 0 || !/^d(a|y_hat)/.test(x.name) || x.value[0] !== 1);
const product = (path) => path.reduce((p, x) => p * x.value[0], 1);
let walked = null;                            // factors walked so far; null: all of them
function shownPath() {                        // what the drawing shows of the chosen weight's path
  if (!chosen || chosen.kind !== "weight") return [];
  return pathOf(chosen).slice(0, walked ?? undefined);
}
function walkPath(from = 1) {                 // one factor after the other, or one for each press
  const n = pathOf(chosen).length;
  clearTimeout(walkPath.timer);
  walked = from > n ? null : from;
  draw(); detail();
  if (walked !== null && !calm()) walkPath.timer = setTimeout(() => walkPath(from + 1), 1200);
}
