// A box that scrolls sideways can be reached and scrolled by keyboard.
(() => {
  const boxes = "mjx-container[display='true'], .pst-scrollable-table-container, .highlight pre, .cell_output .output, .picture, .bd-article p";
  const update = () => {
    for (const box of document.querySelectorAll(boxes))
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
  };
  addEventListener("load", async () => {
    await window.MathJax?.startup.promise;
    update();
    addEventListener("resize", update);
    document.addEventListener("toggle", update, true); // an opened solution
  });
})();

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
