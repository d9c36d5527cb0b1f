// The story: it plays slowly when the page opens, and its place is kept in the address.
const SLOW = 3200;                            // milliseconds for each place of the walk
function keep() {
  if (!keep.ready) return;
  const place = new URLSearchParams({ walk });
  if (time) place.set("time", time);
  if (sample) place.set("sample", sample);
  if (chosen) place.set("at", idOf(chosen));
  try { history.replaceState(null, "", `#${place}`); } catch { /* a frame has no address */ }
}
function recall() {                           // returns whether the address had a place
  const place = new URLSearchParams(location.hash.slice(1));
  if (!place.has("walk")) return false;
  const placeOf = (name, most) => within(Math.round(Number(place.get(name))) || 0, 0, most);
  walk = placeOf("walk", last); time = placeOf("time", D.steps.length - 1);
  sample = placeOf("sample", step().samples.length - 1);
  $("time").value = time;
  const [, kind, k, i, j] = /^([nw])(\d+)\.(\d+)(?:\.(\d+))?$/.exec(place.get("at") ?? "") ?? [];
  if (kind === "n" && D.shown[k]?.[i] !== undefined) chosen = { kind: "neuron", k: +k, i: +i };
  if (kind === "w" && j !== undefined && k >= 1 && D.shown[k]?.[j] !== undefined
    && D.shown[k - 1][i] !== undefined) chosen = { kind: "weight", k: +k, i: +i, j: +j };
  return true;
}
function playPause() {
  if (playing !== null) return stop();
  play(walk >= last ? 0 : walk, last, SLOW);
}
$("play").addEventListener("click", playPause);
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Escape") return letGo();
  const { tagName, type } = e.target;
  const types = tagName === "SELECT" || tagName === "INPUT" && type !== "range";
  const isSlider = tagName === "INPUT" && type === "range";
  if (types) return;                          // there a key is part of what is typed
  if ("1234".includes(e.key)) $(Object.keys(phases)[Number(e.key) - 1]).click();
  else if (e.key === "ArrowRight" && !isSlider) { stop(); go(walk + 1); }
  else if (e.key === "ArrowLeft" && !isSlider) { stop(); go(walk - 1); }
  else if (e.key === " " && !/BUTTON|SUMMARY/.test(tagName) && e.target.role !== "button"
    && !e.defaultPrevented) { e.preventDefault(); playPause(); }
});
$("title").textContent = `The library's model: ${D.title}`;
$("folded").textContent = D.note;
$("sample-label").hidden = D.n_samples === 1;
$("time-label").style.display = D.steps.length > 1 ? "" : "none";
const cameBack = recall();
changed(); follow();
keep.ready = true;
$("letters").open = innerWidth > 860 && !chosen;      // where there is nothing else yet
addEventListener("resize", () => { draw(); errorPicture(); curve(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
  () => { ink.cache = null; pictures(); curve(); });
if (!cameBack && !calm()) play(0, last, SLOW);
