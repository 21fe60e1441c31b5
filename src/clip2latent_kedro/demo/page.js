// A tile is chosen by a click; arrow keys go from one to the next.
element.addEventListener("click", (event) => {
  const tile = event.target.closest("button[data-index]");
  if (!tile) return;
  for (const each of element.querySelectorAll("button[data-index]")) {
    each.setAttribute("aria-pressed", String(each === tile));
  }
  trigger("select", {
    drawing: Number(tile.dataset.drawing),
    index: Number(tile.dataset.index),
  });
});
element.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const tiles = [...element.querySelectorAll("button[data-index]")];
  const place = tiles.indexOf(document.activeElement);
  if (!step || place < 0) return;
  event.preventDefault();
  tiles[(place + step + tiles.length) % tiles.length].focus();
});
