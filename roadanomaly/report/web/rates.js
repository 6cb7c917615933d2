// Precision over recall and ROC of several detectors. `lines` are { name, curve, colour, faint };
// `mark`, where given, is the chosen threshold: { tpr, fpr, precision, colour }.
function drawRates(lines, mark) {
  const series = (x, y) => lines.map(({ name, curve, colour, faint }) => ({
    name, kind: "line", colour, faint, x: curve[x], y: curve[y],
    say: at => `threshold ${plain(curve.thresholds[at])}\nrecall ${percent(curve.recall[at])} %, precision ${percent(curve.precision[at])} %\nFPR ${percent(curve.fpr[at])} %, F1 ${percent(curve.f1[at])} %`,
  }));
  const share = label => ({ ...SHARE, label });
  drawChart(find("pr"), { about: "Precision over recall", x: share("recall, %"), y: share("precision, %"), series: series("recall", "precision"), marks: mark ? [{ x: mark.tpr, y: mark.precision, colour: mark.colour }] : [] });
  drawChart(find("roc"), { about: "True-positive rate over false-positive rate", x: share("false-positive rate, %"), y: share("true-positive rate, %"), series: series("fpr", "recall"), marks: mark ? [{ x: mark.fpr, y: mark.tpr, colour: mark.colour }] : [] });
}
