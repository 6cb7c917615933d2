// Tables that sort by any column: a button in each header, undefined values always last.
function makeSortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, place) => {
    if (header.dataset.fixed !== undefined) return;
    const button = make("button", { type: "button" }, ...header.childNodes);
    header.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = header.classList.contains("n")
        ? header.getAttribute("aria-sort") !== "descending"
        : header.getAttribute("aria-sort") === "ascending";
      sortBy(table, place, falling);
    });
  });
}

function sortBy(table, place, falling) {
  [...table.tHead.rows[0].cells].forEach((header, at) => {
    if (at === place) header.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else header.removeAttribute("aria-sort");
  });
  const numeric = table.tHead.rows[0].cells[place].classList.contains("n");
  const value = row => {
    const cell = row.cells[place];
    if (!numeric) return cell.textContent;
    return cell.dataset.value === undefined ? NaN : parseFloat(cell.dataset.value);
  };
  const rows = [...table.tBodies[0].rows].map(row => [value(row), row]);
  rows.sort(([a], [b]) => {
    if (!numeric) return (falling ? -1 : 1) * a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return falling ? b - a : a - b;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
document.querySelectorAll("table.sortable").forEach(table => { if (table.tHead) makeSortable(table); });
