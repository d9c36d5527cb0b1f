// Where everything is drawn: sizes follow the room there is.
const ruler = document.createElement("canvas").getContext("2d");
function widthOf(text, size = 14, weight = 400) {     // of a text as it is drawn
  ruler.font = `${weight} ${size}px system-ui, sans-serif`;
  return ruler.measureText(text).width;
}
const fitsInside = (title, radius) =>         // of a circle, in its upper half
  widthOf(title) / 2 < Math.sqrt(radius ** 2 - (.36 * radius + 13) ** 2);
function shortened(name, room) {              // by whole letters, until there is room for it
  const letters = [...name.slice(0, 200)];
  if (name.length <= letters.length && widthOf(name) <= room) return name;
  while (letters.length && widthOf(`${letters.join("")}…`) > room) letters.pop();
  return `${letters.join("")}…`;
}
function placesIn(room) {
  const rows = Math.max(...D.shown.map((x) => x.length));
  const side = room >= 560 ? 96 : 0;          // for y beside y_hat
  const radius = Math.min(Math.max(room / (L + 1) / 5, 32), rows > 4 ? 36 : rows > 1 ? 44 : 56);
  const isNamed = [0, L].some((k) => D.shown[k].some((_, i) => !fitsInside(titleOf(k, i), radius)));
  const margin = radius + 14, left = isNamed && side ? 100 : margin;
  const gap = Math.max(2 * radius + 40, (room - left - margin - side) / L);
  const high = 2 * radius + (rows > 4 ? isNamed ? 40 : 22 : 44);      // a circle, its name, and air
  const tall = Math.max(rows * high, rows === 1 ? 220 : 0);
  const top = allDense ? 0 : 26;              // for captions
  return { radius, gap, side, width: left + margin + gap * L + side, height: top + tall + 34,
    caption: 16,
    font: Math.max(14, Math.min(24, radius * .36)),
    X: (k) => left + gap * k,
    room: (k) => (k ? margin + side : left) - 4,       // for a name beside its circle
    Y: (k, i) => top + tall / 2 + (i - (D.shown[k].length - 1) / 2) * high - 8 };
}
