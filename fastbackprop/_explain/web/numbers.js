// Numbers with four digits, exact in value; a key says where they are in the library's dict.
function short(x) {
  if (!Number.isFinite(x)) return "not finite";
  if (x === 0) return "0";
  const s = Number(x.toPrecision(4)), size = Math.abs(s);
  return size < 1e-4 || size >= 1e5 ? s.toExponential().replace(/\.?0*e/, "e") : String(s);
}
const shorter = (x) => {                      // inside a circle
  if (!Number.isFinite(x)) return "∞";
  const t = short(x);
  const two = t.length <= 6 ? t : short(Number(x.toPrecision(2)));
  return two.length <= 7 ? two : x.toExponential(1).replace("e+", "e");
};
const percent = (x) => !Number.isFinite(x) ? "not finite" : `${short(Number((100 * x).toPrecision(3)))} %`;
function number(x, key, write = short) {      // what the reader made is no number of the library's
  const e = document.createElement("data");
  e.value = String(x); e.title = String(x); e.textContent = write(x);
  if (key && !P) e.dataset.key = key;
  return e;
}
const share = (x, key) => number(x, key, percent);
function line(parent, ...parts) {             // strings, elements, and [value, key]
  const e = parent.appendChild(document.createElement("p"));
  e.className = "formula";
  e.append(...written(parts));
  return e;
}
const written = (parts) => parts.flatMap((x) =>
  Array.isArray(x) ? [number(...x)] : typeof x === "string" ? explained(x) : [x]);
function colored(n, content) {                // a factor, in the colour that it has everywhere
  const e = document.createElement("span");
  e.className = `factor f${n}`;
  e.append(content);
  return e;
}
