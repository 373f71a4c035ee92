// A box that scrolls sideways can be reached and scrolled by keyboard.
const boxes = "mjx-container[display='true'], .pst-scrollable-table-container, .highlight pre, .cell_output .output, .picture, .bd-article p";
const reach = () => {
  for (const box of document.querySelectorAll(boxes))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
};
addEventListener("load", reach);
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true); // an opened solution

// A formula is typeset when the reader is about to come to it, and each before the page is printed.
addEventListener("DOMContentLoaded", async () => {
  const waiting = new Set(document.querySelectorAll(".math"));
  if (!waiting.size) return;
  await MathJax.startup.promise;
  const typeset = formulas => {
    for (const formula of formulas) coming.unobserve(formula), waiting.delete(formula);
    MathJax.typeset(formulas);
    reach();
  };
  const coming = new IntersectionObserver(entries => {
    const near = entries.filter(entry => entry.isIntersecting).map(entry => entry.target);
    if (near.length) typeset(near);
  }, { rootMargin: "100% 0px" });
  for (const formula of waiting) coming.observe(formula);
  addEventListener("beforeprint", () => typeset([...waiting]));
});

// No line begins with the comma or the full stop that follows a formula.
for (const formula of document.querySelectorAll("span.math")) {
  const [mark] = formula.nextSibling?.data?.match(/^[.,:;?!)\]’”]+/) ?? [];
  if (!mark) continue;
  formula.nextSibling.data = formula.nextSibling.data.slice(mark.length);
  formula.append(mark);
  formula.style.whiteSpace = "nowrap";
}

// A page opened from disk may not fetch the others, so the search shows titles alone.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
