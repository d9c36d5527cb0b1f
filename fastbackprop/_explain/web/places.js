// Where everything is drawn: sizes follow the room there is.
function placesIn(room) {
  const rows = Math.max(...D.shown.map((x) => x.length));
  const side = room >= 560 ? 96 : 0;          // for y beside y_hat
  const radius = Math.min(Math.max(room / (L + 1) / 5, 30), rows > 4 ? 34 : rows > 1 ? 44 : 56);
  const margin = radius + 14, gap = Math.max(2 * radius + 40, (room - 2 * margin - side) / L);
  const high = 2 * radius + 44;               // a circle, its name, and air
  const tall = Math.max(rows * high, rows === 1 ? 260 : 0);
  return { radius, gap, side, width: 2 * margin + gap * L + side, height: tall + 34,
    font: Math.max(14, Math.min(24, radius * .36)),
    X: (k) => margin + gap * k,
    Y: (k, i) => tall / 2 + (i - (D.shown[k].length - 1) / 2) * high - 8 };
}
