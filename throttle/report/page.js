"use strict";
// Values under the pointer, curves that can be hidden, tables that sort. The page reads well without any of it.
const text = (value) => {
  if (value === null || value === undefined) return "-";
  const size = Math.abs(value);
  if (size >= 1e6) return (value / 1e6).toPrecision(3) + "M";
  if (size >= 1e4) return (value / 1e3).toPrecision(3) + "k";
  return String(Number(value.toPrecision(4)));
};
const escaped = (word) => word.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

for (const figure of document.querySelectorAll("figure.chart")) {
  const script = figure.querySelector("script[type='application/json']");
  if (!script) continue;
  const data = JSON.parse(script.textContent);
  const plot = figure.querySelector(".plot"), svg = plot.querySelector("svg");
  const [left, top, wide, high, width] = data.box;
  const hidden = new Set();
  const cross = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cross.setAttribute("class", "cross");
  cross.setAttribute("y1", top);
  cross.setAttribute("y2", top + high);
  const tip = document.createElement("div");
  tip.className = "tip";
  const leave = () => { cross.remove(); tip.remove(); };
  const move = (event) => {
    const box = svg.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, ((event.clientX - box.left) / box.width * width - left) / wide));
    const x = data.x.log ? data.x.low * Math.pow(data.x.high / data.x.low, share) : data.x.low + share * (data.x.high - data.x.low);
    let rows = "";
    for (const line of data.series) {
      if (hidden.has(line.name) || !line.y.length) continue;
      let best = 0;
      line.x.forEach((v, i) => { if (Math.abs(v - x) < Math.abs(line.x[best] - x)) best = i; });
      const interval = line.low.length ? ` [${text(line.low[best])}, ${text(line.high[best])}]` : "";
      rows += `<div class="c${line.c}"><i></i>${escaped(line.name)} <b>${text(line.y[best])}</b>${interval}</div>`;
    }
    tip.innerHTML = `<div>${escaped(data.x.label)} <b>${text(x)}</b></div>${rows}`;
    cross.setAttribute("x1", left + share * wide);
    cross.setAttribute("x2", left + share * wide);
    svg.append(cross);
    plot.append(tip);
    const at = (left + share * wide) / width * box.width;
    const room = box.width - at > tip.offsetWidth + 24;
    tip.style.left = Math.max(0, room ? at + 12 : at - tip.offsetWidth - 12) + "px";
    tip.style.top = "4px";
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", leave);
  for (const key of figure.querySelectorAll(".key")) {
    key.addEventListener("click", () => {
      const colour = [...key.classList].find((c) => /^c\d$/.test(c));
      key.classList.toggle("off");
      const off = key.classList.contains("off");
      off ? hidden.add(key.textContent) : hidden.delete(key.textContent);
      for (const part of svg.querySelectorAll(`.${colour}`)) part.style.display = off ? "none" : "";
    });
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)], [p, q] = [parseFloat(x), parseFloat(y)];
        const both = !Number.isNaN(p) && !Number.isNaN(q);
        if (Number.isNaN(p) !== Number.isNaN(q)) return Number.isNaN(p) ? 1 : -1;
        return (both ? p - q : x.localeCompare(y)) * (up ? 1 : -1);
      });
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
