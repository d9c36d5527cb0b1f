// Numbers that travel along the lines: forward each is multiplied by its weight as it passes; back
// the blame is.
const MOST_TRAVELLERS = 24;
function travel(duration) {
  cancelAnimationFrame(travel.frame);
  const svg = $("drawing").querySelector("svg");
  if (calm() || !svg) return;
  const travellers = travellersOf(placesIn($("drawing").clientWidth));
  if (!travellers.length) return;
  const group = element("g", { class: "travellers", "aria-hidden": "true" }, svg);
  const shown = travellers.map((x) => ({ ...x, e: element("text", { class: x.kind }, group) }));
  const begun = performance.now();
  const move = (now) => {
    const t = Math.min((now - begun) / duration, 1);
    for (const { e, ends, before, after } of shown) {
      e.setAttribute("x", ends.x1 + (ends.x2 - ends.x1) * t);
      e.setAttribute("y", ends.y1 + (ends.y2 - ends.y1) * t + 22);   // labels are above
      e.textContent = t < .5 ? before : after;
    }
    if (t < 1) travel.frame = requestAnimationFrame(move); else group.remove();
  };
  travel.frame = requestAnimationFrame(move);
}
function straightTravellers(k, way, places) {
  return D.shown[k].map((_, i) => {
    const ends = endsOf(k, i, i, places), { delta } = layer(k);
    const below = k > 1 ? layer(k - 1).delta[sample][i] : step().d_x[sample][i];
    const [before, after] = way === "forward" ? [valueA(k - 1, i)[0], valueA(k, i)[0]]
      : [delta[sample][i], below];
    return { size: Math.abs(after), kind: way, before: short(before), after: short(after),
      ends: way === "forward" ? ends
        : { x1: ends.x2, y1: ends.y2, x2: ends.x1, y2: ends.y1 } };
  });
}
function travellersOf(places) {
  const all = [];
  for (let k = 1; k <= L; k++) {
    const way = directionOfWeights(k), W = layer(k).weight;
    if (!way) continue;
    if (!isDense(k)) { all.push(...straightTravellers(k, way, places)); continue; }
    D.shown[k - 1].forEach((_, i) => D.shown[k].forEach((_, j) => {
      const w = W[i][j];
      const comes = way === "forward" ? valueA(k - 1, i)[0] : layer(k).delta[sample][j];
      const ends = endsOf(k, i, j, places);
      all.push({ size: Math.abs(w * comes), kind: way, before: `${short(comes)} × ${short(w)}`,
        after: short(w * comes), ends: way === "forward" ? ends
          : { x1: ends.x2, y1: ends.y2, x2: ends.x1, y2: ends.y1 } });
    }));
  }
  return all.sort((a, b) => b.size - a.size).slice(0, MOST_TRAVELLERS);
}
