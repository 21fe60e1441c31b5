"use strict";
// What one does with a report: sort tables, choose columns and rows, enlarge pictures.
// The page is whole without this.
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Sorting: by number where a column has one, else by text; what is empty is last.
  const keyOf = (cell) => {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.textContent.trim();
  };
  const sortRows = (rows, column, descending) => {
    const isNumeric = rows.some((row) => row.cells[column].dataset.value !== undefined);
    const keyed = rows.map((row) => [keyOf(row.cells[column]), row]);
    const lacks = (key) => (isNumeric ? typeof key !== "number" : key === "");
    const compare = isNumeric
      ? (a, b) => a - b || 0
      : (a, b) => a.localeCompare(b, undefined, { numeric: true });
    keyed.sort(([a], [b]) => {
      if (lacks(a) || lacks(b)) return lacks(a) - lacks(b);
      return descending ? compare(b, a) : compare(a, b);
    });
    return keyed.map(([, row]) => row);
  };

  const addSorting = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const holdsPictures = original.some((row) => row.cells[column].querySelector("img"));
      if (holdsPictures || !head.textContent.trim()) return;
      const button = make("button", { type: "button", title: head.title });
      const title = head.querySelector("span");
      button.append(title.cloneNode(true));
      title.className = "printed"; // a button is not repeated on each sheet
      head.prepend(button);
      const first = original.some((row) => row.cells[column].dataset.value !== undefined)
        ? "descending" : "ascending";
      const second = first === "descending" ? "ascending" : "descending";
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const now = was === first ? second : was === second ? null : first;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (now) head.setAttribute("aria-sort", now);
        body.append(...(now ? sortRows(original, column, now === "descending") : original));
      });
    });
  };

  // Columns and rows that are shown.
  const addColumns = (table, tools) => {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    if (heads.length < 3) return;
    const summary = make("summary");
    const list = make("div");
    const show = () => {
      const shown = boxes.map((box) => box.checked);
      for (const row of table.rows) {
        shown.forEach((isShown, n) => row.cells[n + 1].classList.toggle("off", !isShown));
      }
      const number = shown.filter(Boolean).length;
      summary.textContent = number < shown.length
        ? `Columns: ${number} of ${shown.length}` : "Columns";
    };
    const boxes = heads.map((head) => {
      const box = make("input", { type: "checkbox", checked: true });
      const title = (head.querySelector("span") || head).textContent;
      list.append(make("label", {}, box, title));
      box.addEventListener("change", show);
      return box;
    });
    for (const [name, value] of [["All", true], ["None", false]]) {
      const button = make("button", { type: "button", textContent: name });
      button.addEventListener("click", () => {
        boxes.forEach((box) => { box.checked = value; });
        show();
      });
      list.append(button, " ");
    }
    const details = make("details", { className: "columns" }, summary, list);
    document.addEventListener("click", (event) => {
      if (!details.contains(event.target)) details.open = false;
    });
    details.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !details.open) return;
      details.open = false;
      summary.focus();
    });
    tools.append(details);
    show();
  };

  const addFilter = (table, tools) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 12) return;
    const said = make("output");
    const input = make("input", { type: "search", placeholder: "Rows with…" });
    input.setAttribute("aria-label", `Rows with a text: ${table.caption.textContent}`);
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let number = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const isShown = words.every((word) => text.includes(word));
        row.classList.toggle("off", !isShown);
        number += isShown;
      }
      said.textContent = words.length ? `${number} of ${rows.length} rows` : "";
    };
    input.addEventListener("input", show);
    table.addEventListener("show-all", () => { input.value = ""; show(); });
    tools.append(input, said);
  };

  // Pictures, one at a time: arrows go along a row and from row to row.
  const figures = [...document.querySelectorAll("figure")];
  const isShown = (figure) => figure.getClientRects().length > 0;
  const dialog = make("dialog");
  dialog.setAttribute("aria-label", "Picture");
  const place = make("span");
  const view = make("div");
  const buttons = [
    ["← Previous", -1],
    ["Next →", 1],
  ].map(([textContent, step]) => {
    const button = make("button", { type: "button", textContent });
    button.addEventListener("click", () => move(step));
    return button;
  });
  const close = make("button", { type: "button", textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.append(make("header", {}, place, ...buttons, close), view);
  document.body.append(dialog);
  let current = null;

  const siblings = () => {
    const within = current.closest("table") || document;
    const kind = current.classList.contains("chart") ? "chart" : "sample";
    // In the order of the page, which sorting changes.
    return [...within.querySelectorAll(`figure.${kind}`)].filter(isShown);
  };
  const show = (figure) => {
    current = figure;
    const every = siblings();
    const own = figure.querySelector("img");
    const image = make("img", { src: own.src, alt: own.alt });
    image.width = own.getAttribute("width");
    image.height = own.getAttribute("height");
    image.classList.toggle("small", Number(own.getAttribute("width")) <= 128);
    const facts = figure.querySelector("figcaption").cloneNode(true);
    facts.querySelector(".back").remove();
    view.replaceChildren(image, make("div", {}, ...facts.childNodes));
    dialog.className = figure.classList[0];
    place.textContent = `${every.indexOf(figure) + 1} of ${every.length}`;
    buttons.forEach((button) => { button.hidden = every.length < 2; });
    if (!dialog.open) dialog.showModal();
  };
  const move = (step) => {
    const every = siblings();
    show(every[(every.indexOf(current) + step + every.length) % every.length]);
  };
  const moveRow = (step) => {
    const cell = current.closest("td");
    if (!cell) return;
    let row = cell.parentElement;
    do {
      row = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    } while (row && !isShown(row));
    const figure = row && row.cells[cell.cellIndex].querySelector("figure");
    if (figure) show(figure);
  };
  const MOVES = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    ArrowUp: () => moveRow(-1),
    ArrowDown: () => moveRow(1),
  };
  dialog.addEventListener("keydown", (event) => {
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    MOVES[event.key]();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the picture
  });
  dialog.addEventListener("close", () => {
    current.querySelector("a").focus();
  });
  for (const figure of figures) {
    figure.querySelector("a").addEventListener("click", (event) => {
      event.preventDefault();
      show(figure);
    });
  }

  for (const table of document.querySelectorAll("table")) {
    const tools = make("div", { className: "tools" });
    addSorting(table);
    addColumns(table, tools);
    addFilter(table, tools);
    if (tools.childElementCount) table.closest(".table").prepend(tools);
  }

  // A link leads to its row even if that was not shown, and to a picture enlarged.
  const follow = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    if (target.matches("figure")) {
      show(target);
    } else if (target.classList.contains("off")) {
      target.closest("table").dispatchEvent(new Event("show-all"));
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", follow);
  document.documentElement.classList.add("scripted");
  follow();
})();
