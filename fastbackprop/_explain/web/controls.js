// What can be pressed, and what it moves.
function choose(what) {
  if (!chosen) $("letters").open = false;     // that room is needed now
  chosen = what; walked = null; clearTimeout(walkPath.timer); draw(); detail(); keep();
  // Its button is gone.
  if (document.activeElement === document.body) $("head").focus({ preventScroll: true });
  if (innerWidth <= 860) $("chosen").scrollIntoView({ block: "nearest",
    behavior: calm() ? "auto" : "smooth" });
}
function letGo() {                            // Esc
  const isInside = ["own", "detail"].some((id) => $(id).contains(document.activeElement));
  const id = isInside && idOf(chosen);
  stop(); halt(); chosen = walked = null;
  $("head").textContent = "Choose a neuron or a weight";
  $("detail").replaceChildren(); $("own").replaceChildren();
  draw(); keep();
  if (isInside) $("drawing").querySelector(`[data-id="${id}"]`)?.focus({ preventScroll: true });
}
function show() {
  $("walk").value = walk;
  const now = phase(walk);
  for (const x of ["predict", "compare", "blame", "correct"])
    $(x).setAttribute("aria-pressed", String(x === now));
  $("walk").setAttribute("aria-valuetext", `${now}, ${walk} of ${last}`);
  if (D.steps.length > 1)
    $("when").replaceChildren(`step ${step().index}, C = `, number(step().cost, "cost"));
  draw(); tell(); errorPicture(); keep();
}
function go(p, duration = 900) {
  walk = Math.min(Math.max(p, 0), last); show(); follow(); travel(duration);
}
function follow() {                           // where a deep net is wider than the screen
  const box = $("drawing"), { X } = placesIn(box.clientWidth);
  if (walk === last || box.scrollWidth <= box.clientWidth) return;
  const k = walk <= L + 1 ? forwardLayer(walk) : backLayer(walk);
  box.scrollTo({ left: (X(Math.max(k - 1, 0)) + X(k)) / 2 - box.clientWidth / 2,
    behavior: calm() ? "auto" : "smooth" });
}
function stop() {
  clearInterval(playing); playing = null;
  $("play").setAttribute("aria-pressed", "false"); $("play").textContent = "play";
}
function play(first, end, pace = 900) {
  stop();
  if (calm()) return go(end);
  go(first, pace * .8);
  if (first >= end) return;
  $("play").setAttribute("aria-pressed", "true"); $("play").textContent = "pause";
  playing = setInterval(() => {
    if (walk < end) go(walk + 1, pace * .8);
    if (walk >= end) stop();
  }, pace);
}
const phases = {
  predict: [0, L], compare: [L + 1, L + 1], blame: [L + 2, 2 * L + 1], correct: [last, last],
};
for (const [name, range] of Object.entries(phases))
  $(name).addEventListener("click", () => play(...range));
$("walk").max = last;
$("walk").addEventListener("input", (e) => { stop(); go(Number(e.target.value)); });
$("lines").addEventListener("change", draw);
function moved() { worst(); show(); detail(); pictures(); training(); }
function changed() {                          // the numbers are others now
  $("played").hidden = !P;
  $("title").hidden = !!P;
  $("infers").hidden = !D.kinds.some((x) => x === "Dropout" || x === "BatchNorm");
  document.body.classList.toggle("is-played", !!P);
  samples();
  moved(); knobs();
}
$("time").max = D.steps.length - 1;
$("time").addEventListener("input", (e) => {
  stop(); halt(); P = null; time = Number(e.target.value); changed();
});
$("sample").addEventListener("change", (e) => {
  sample = Number(e.target.value); if (P) P.step = playedStep(P); moved();
});
function samples() {
  const { samples: rows, costs } = step();
  $("sample").replaceChildren(
    ...rows.map((s, n) => new Option(`${s} (C = ${short(costs[n])})`, n)));
  sample = Math.min(sample, step().samples.length - 1);
  $("sample").value = sample;
}
