// Training in the page: a step, a run of them, the curve of the cost, and how the rate feels.
function curve() {                            // the cost after each step, its logarithm upwards
  const canvas = $("curve"), pen = canvas.getContext("2d"), costs = P ? P.costs : [];
  canvas.width = Math.max(canvas.clientWidth, 200);     // so that its text keeps its size
  const style = getComputedStyle(document.body);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.font = "14px system-ui, sans-serif"; pen.fillStyle = style.getPropertyValue("--soft");
  // By its logarithm; some losses may be below 0, and are shown as they are.
  const isLog = costs.every((c) => c > 0 || !Number.isFinite(c));
  const up = isLog ? Math.log10 : (c) => c, all = costs.filter(Number.isFinite).map(up);
  if (all.length < 2) {
    pen.fillText("the cost C after each step will be drawn here", 12, 90);
    return;
  }
  const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
  const text = (v) => short(Number((isLog ? 10 ** v : v).toPrecision(3)));
  pen.fillText(`C = ${text(high)}`, 6, 16);
  pen.fillText(text(low), 6, canvas.height - 6);
  pen.strokeStyle = style.getPropertyValue("--backward"); pen.lineWidth = 2.5;
  pen.beginPath();
  costs.forEach((c, n) => { if (Number.isFinite(c)) pen.lineTo(
    10 + n / (costs.length - 1) * (canvas.width - 20),
    24 + (high - up(c)) / span * (canvas.height - 48)); });
  pen.stroke();
}
function feel() {                             // what the learning rate does to this step
  const s = step(), rate = `A learning rate of ${short(learningRate())}`, after = s.after.cost;
  const foretold = s.cost - s.after.predicted_cost;
  const got = after === null ? -Infinity : s.cost - after;
  $("feel").textContent = s.cost === null
    ? "The learning rate was too large: each step jumped further than the last, until numbers grew "
      + "beyond all bounds. Go back to the library's numbers, and take a smaller one."
    : !(foretold > 0) ? "There is nothing to correct."
      : got < 0
        ? `${rate} is too large here: the step jumps across the valley, and the cost rises.`
        : got < .5 * foretold
          ? `${rate} is long: the cost falls less than half as far as the slope foretold, since it bends.`
          : foretold < 1e-2 * s.cost
            ? `${rate} is small: one step takes less than a hundredth of the cost away.`
            : `${rate} suits: the cost falls nearly as far as the slope foretold.`;
}
function training() {
  $("progress").textContent = P
    ? `${P.steps} step${P.steps === 1 ? "" : "s"}, C = ${short(step().cost)}` : "";
  curve(); feel(); valley();
}
let running = null;
function halt() {
  cancelAnimationFrame(running); running = null;
  $("run").setAttribute("aria-pressed", "false"); $("run").textContent = "run";
}
function run() {
  if (running !== null) return halt();
  $("run").setAttribute("aria-pressed", "true"); $("run").textContent = "stop";
  const frame = () => {
    const until = performance.now() + 12;
    let goes = true;
    do goes = trainStep(); while (goes && performance.now() < until && P.costs.length < 1e5);
    refresh();
    running = goes && P.costs.length < 1e5 ? requestAnimationFrame(frame) : null;
    if (running === null) halt();
  };
  running = requestAnimationFrame(frame);
}
function comparing(act) {                     // what training moves must be there to be seen
  if (D.play && walk <= L) { stop(); walk = L + 1; }
  act();
}
$("step").addEventListener("click", () => comparing(() => { halt(); trainStep(); refresh(); }));
$("run").addEventListener("click", () => comparing(run));
$("reset").addEventListener("click", () => {
  halt(); reset();
  $("step").focus({ preventScroll: true });   // what was pressed is hidden now
});
$("lab").hidden = $("pictures-section").hidden = !D.play;
$("why").hidden = !D.why;
if (D.why) $("why").textContent = `This net can be looked at here, not played with: ${D.why}.`;
