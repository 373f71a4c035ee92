// Hosts the explorers of a page with no kernel: the saved state stands beside each, as JSON.

function start(figure) {
  const state = JSON.parse(figure.querySelector("script").textContent), listeners = {};
  const model = {
    get: name => state[name],
    set: (name, value) => { state[name] = value; (listeners[`change:${name}`] ?? []).forEach(call => call()); },
    on: (event, call) => (listeners[event] ??= []).push(call),
    save_changes() {},
  };
  render({ model, el: figure.querySelector(".panels") });
}
document.querySelectorAll("figure.explorer").forEach(start);

// The theme searches the whole page at each click, before anything else hears of it: these are not for it.
addEventListener("click", event => {
  if (!event.target.closest?.("figure.explorer")) return;
  event.stopPropagation();
  event.target.closest("button")?.onclick(event);
}, true);
