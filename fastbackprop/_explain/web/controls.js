// What can be pressed, and what it moves.
function choose(what) {
  chosen = what; draw(); detail();
  // Its button is gone.
  if (document.activeElement === document.body) $("head").focus({ preventScroll: true });
}
function show() {
  $("walk").value = walk;
  const now = phase(walk);
  for (const x of ["predict", "compare", "blame", "correct"])
    $(x).setAttribute("aria-pressed", String(x === now));
  $("walk").setAttribute("aria-valuetext", `${now}, ${walk} of ${last}`);
  if (D.steps.length > 1)
    $("when").replaceChildren(`step ${step().index}, C = `, number(step().cost, "cost"));
  draw(); tell();
}
function go(p) { walk = Math.min(Math.max(p, 0), last); show(); }
function stop() { clearInterval(playing); playing = null; }
function play(first, end) {
  stop();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return go(end);
  go(first);
  playing = setInterval(() => { if (walk >= end) stop(); else go(walk + 1); }, 700);
}
const phases = {
  predict: [0, L], compare: [L + 1, L + 1], blame: [L + 2, 2 * L + 1], correct: [last, last],
};
for (const [name, range] of Object.entries(phases))
  $(name).addEventListener("click", () => play(...range));
$("walk").max = last;
$("walk").addEventListener("input", (e) => { stop(); go(Number(e.target.value)); });
$("lines").addEventListener("change", draw);
function moved() { worst(); show(); detail(); }
$("time").max = D.steps.length - 1;
$("time").addEventListener("input", (e) => {
  stop(); time = Number(e.target.value); samples(); moved();
});
$("sample").addEventListener("change", (e) => { sample = Number(e.target.value); moved(); });
function samples() {
  const { samples: rows, costs } = step();
  $("sample").replaceChildren(
    ...rows.map((s, n) => new Option(`${s} (C = ${short(costs[n])})`, n)));
  sample = Math.min(sample, step().samples.length - 1);
  $("sample").value = sample;
}
document.addEventListener("keydown", (e) => {
  if (/SELECT|INPUT/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
  if ("1234".includes(e.key)) $(Object.keys(phases)[Number(e.key) - 1]).click();
  else if (e.key === "ArrowRight") { stop(); go(walk + 1); }
  else if (e.key === "ArrowLeft") { stop(); go(walk - 1); }
});
$("title").textContent = D.title;
$("folded").textContent = D.note;
$("sample-label").hidden = D.n_samples === 1;
$("time-label").style.display = D.steps.length > 1 ? "" : "none";
samples(); moved();
addEventListener("resize", draw);
