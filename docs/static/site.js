// Buttons of the theme get names: the search button what stands on it, a fold what it unfolds.
const words = element => element.textContent.replace(/\s+/g, " ").trim();

addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll(".search-button-field[aria-label]"))
    button.setAttribute("aria-label", words(button));
  for (const fold of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
    const link = fold.closest("li").querySelector("a");
    fold.setAttribute("aria-label", `Pages under ${link ? words(link) : "this"}`);
  }
});
