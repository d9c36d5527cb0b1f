// Numbers with four digits, exact in value; a key says where they are in the library's dict.
function short(x) {
  if (x === null) return "not finite";
  if (x === 0) return "0";
  const s = Number(x.toPrecision(4)), size = Math.abs(s);
  return size < 1e-4 || size >= 1e5 ? s.toExponential().replace(/\.?0*e/, "e") : String(s);
}
const shorter = (x) => {                      // inside a circle
  const t = short(x);
  return t.length <= 6 ? t : short(Number(x.toPrecision(2)));
};
function number(x, key) {
  const e = document.createElement("data");
  e.value = String(x); e.title = String(x); e.textContent = short(x);
  if (key) e.dataset.key = key;
  return e;
}
function line(parent, ...parts) {             // strings and [value, key]
  const e = parent.appendChild(document.createElement("p"));
  e.className = "formula";
  for (const x of parts) e.append(Array.isArray(x) ? number(...x) : x);
  return e;
}
