// The error as a picture: y beside y_hat, the error between them as a bar, the cost as its square.
const isHalfSquare = () => lossName() === "half_squared_error" && D.widths[L] === 1
  && D.n_samples === 1;
function errorPicture() {
  const box = $("error");
  box.replaceChildren();
  if (walk <= L || !step().y.length) return;
  const m = D.shown[L].map((_, j) => j).reduce((a, b) =>
    Math.abs(step().d_y_hat[sample][b]) > Math.abs(step().d_y_hat[sample][a]) ? b : a);
  const [y_hat, y] = [answersNow()[m], step().y[sample][m]];
  if (y_hat === null || y === null) return;
  const low = Math.min(0, y, y_hat), high = Math.max(0, y, y_hat), span = high - low || 1;
  const width = Math.min(box.clientWidth || 320, 460), room = width - (isHalfSquare() ? 220 : 184);
  const at = (v) => 96 + (v - low) / span * room, bar = Math.abs(at(y) - at(y_hat));
  const squares = /squared/.test(lossName()), side = squares ? Math.min(bar, 110) : 0;
  const svg = element("svg", { width, height: 92 + Math.max(side, squares ? 12 : 0), role: "img",
    "aria-label": `${outputTitle(m)}: answer ${short(y_hat)}, should be ${short(y)}, `
      + `error ${short(y_hat - y)}` });
  const row = (top, name, v, kind) => {
    element("text", { x: 0, y: top + 14, class: "start" }, svg).textContent = name;
    element("rect", { x: Math.min(at(0), at(v)), y: top, height: 18, class: kind,
      width: Math.max(1.5, Math.abs(at(v) - at(0))) }, svg);
    element("text", { x: Math.max(at(v), at(0)) + 6, y: top + 14, class: "start" }, svg)
      .textContent = short(v);
  };
  row(0, outputName(m), y_hat, "answer");
  row(26, "y", y, "wanted");
  element("text", { x: 0, y: 70, class: "start" }, svg).textContent = "error";
  element("rect", { x: Math.min(at(y), at(y_hat)), y: 54, width: Math.max(1.5, bar), height: 18,
    class: "error" }, svg);
  element("text", { x: Math.max(at(y), at(y_hat)) + 6, y: 68, class: "start" }, svg)
    .textContent = short(y_hat - y);
  if (squares) {
    element("rect", { x: Math.min(at(y), at(y_hat)), y: 78, width: side, height: side,
      class: "square" }, svg);
    element("text", { x: 0, y: 96, class: "start" }, svg).textContent = "squared";
    if (isHalfSquare()) element("text", { x: Math.max(at(y), at(y_hat), 180) + 6, y: 96,
      class: "start" }, svg).textContent = `${short((y_hat - y) ** 2)} = 2 C`;
  }
  box.append(svg);
}
