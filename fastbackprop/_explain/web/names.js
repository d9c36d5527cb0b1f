// Names of what is shown as in the library's texts, and its values as [number, key].
const indexed = (name, width, i) => width === 1 ? name : `${name}[${i}]`;
const real = (k, i) => D.shown[k][i];         // index in the model of the i-th shown; k = 0: inputs
const layer = (k) => step().layers[k - 1];
const nameA = (k, i) =>
  k === 0 ? indexed("x", D.widths[0], real(0, i)) : indexed("a" + k, D.widths[k], real(k, i));
const nameZ = (k, j) =>                       // of an activation by itself it is what comes in
  isDense(k) ? indexed("z" + k, D.widths[k], real(k, j)) : nameA(k - 1, j);
const nameDelta = (k, j) => indexed("delta" + k, D.widths[k], real(k, j));
const nameW = (k, i, j) =>
  D.widths[k] * D.widths[k - 1] === 1 ? "w" + k : `w${k}[${real(k - 1, i)}, ${real(k, j)}]`;
const letterB = (k) => (isNorm(k) ? "beta" : "b") + k;
const nameB = (k, j) => indexed(letterB(k), D.widths[k], real(k, j));
const S = () => step().samples[sample];       // index in the batch
const valueA = (k, i) => k === 0
  ? [step().x[sample][i], `x/${S()}/${real(0, i)}`]
  : [layer(k).a[sample][i], `layers/${k - 1}/a/${S()}/${real(k, i)}`];
const valueOf = (what, k, j) =>
  [layer(k)[what][sample][j], `layers/${k - 1}/${what}/${S()}/${real(k, j)}`];
const weightOf = (what, k, i, j) =>
  [layer(k)[what][i][j], `layers/${k - 1}/${what}/${real(k - 1, i)}/${real(k, j)}`];
const biasOf = (what, k, j) =>
  [layer(k)[what][j], `layers/${k - 1}/${what}/${real(k, j)}`];
const idOf = ({ kind, k, i, j }) => kind === "weight" ? `w${k}.${i}.${j}` : `n${k}.${i}`;
const hidden = (k) => D.widths[k] - D.shown[k].length;
const more = (n) => `and ${n.toLocaleString("en")} more`;
const outputName = (m) => indexed("y_hat", D.widths[L], real(L, m));
const valueD = (m) => [step().d_y_hat[sample][m], `d_y_hat/${S()}/${real(L, m)}`];
const inputTitle = (i) => D.inputNames ? D.inputNames[i] : nameA(0, i);       // for eyes
const outputTitle = (m) => D.outputNames ? D.outputNames[m] : outputName(m);
const titleOf = (k, i) => k === 0 ? inputTitle(i) : k === L ? outputTitle(i) : nameA(k, i);
