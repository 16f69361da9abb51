"use strict";
// Live world: state and pictures are asked for with what was seen last, and the server answers when there is news.

const $ = (id) => document.getElementById(id);
const LIGHTS = ["#555", "#37d67a", "#ffc857", "#ff5d5d"];
const PAINT = {walk: "#39424d", edge: "#2f3740", road: "#46515e"};
const map = {scale: 1, x: 0, y: 0, free: false, town: null, roads: null, drag: null};
let state = null;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

async function order(what, value) {
  try {
    const answer = await fetch("/api/order", {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({do: what, value}),
    });
    trouble(answer.ok ? "" : (await answer.json()).error);
  } catch {
    trouble("the page's server does not answer");
  }
}

// -- the state ---------------------------------------------------------------------------------------------------

async function watchState() {
  let after = -1, episode = null;
  for (;;) {
    try {
      const answer = await fetch(`/api/state?after=${after}`);
      state = await answer.json();
      if (after < 0 || $("trouble").textContent.startsWith("the page's server")) trouble("");
      after = state.number;
      if (state.status === "live" && episode !== `${state.town} ${state.episode}`) {
        map.town = await (await fetch("/api/town")).json();
        if (map.town) {
          episode = `${state.town} ${state.episode}`;
          map.roads = null;
          map.free = false;
          fit();
        }
      }
      show();
      if (document.hidden) await pause(500);
      else await pause(40);
    } catch {
      trouble("the page's server does not answer");
      after = -1;
      await pause(1000);
    }
  }
}

function show() {
  const live = state.status === "live";
  document.body.dataset.status = state.status;
  $("controls").hidden = !live;
  if (!live) {
    $("where").textContent = state.message || state.status;
    return;
  }
  const clock = `${Math.floor(state.time / 60)}:${String(Math.floor(state.time % 60)).padStart(2, "0")}`;
  const pace = state.paused ? "paused" : `${state.pace.toFixed(2)} x real time`;
  const source = state.server ? ` of ${state.server}` : "";
  $("where").textContent = `${state.town}${source}, ${clock}, ${pace}, ${state.vehicles.length} vehicles, ${state.walkers.length} walkers`;
  $("pause").textContent = state.paused ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", state.paused);
  $("pause").disabled = !state.can_pause;
  $("pause").title = state.can_pause ? "" : "another client drives this server's time";
  $("step").disabled = !state.paused;
  if ($("weather").options.length !== state.weathers.length + 1) {
    $("weather").replaceChildren(...["", ...state.weathers].map((name) => new Option(name || "(its own)", name)));
  }
  if (document.activeElement !== $("weather")) $("weather").value = state.weather;
  if ($("views").children.length !== state.views.length) {
    $("views").replaceChildren(...state.views.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => order("view", name));
      return button;
    }));
  }
  for (const button of $("views").children) button.setAttribute("aria-pressed", button.textContent === state.view);
  const mine = state.vehicles.find((row) => row[0] === state.followed);
  $("followed").textContent = mine ? `vehicle ${mine[0]}, ${(mine[6] * 3.6).toFixed(0)} km/h` : "";
  draw();
}

$("pause").addEventListener("click", () => order("pause", !state.paused));
$("step").addEventListener("click", () => order("step"));
$("weather").addEventListener("change", (event) => { if (event.target.value) order("weather", event.target.value); event.target.blur(); });

// -- the camera --------------------------------------------------------------------------------------------------

async function watchPicture() {
  let after = -1, shown = null;
  for (;;) {
    if (document.hidden || !state || state.status !== "live") {
      await pause(300);
      continue;
    }
    try {
      const answer = await fetch(`/api/picture?after=${after}`);
      if (answer.status === 200) {
        after = Number(answer.headers.get("X-Frame"));
        const next = URL.createObjectURL(await answer.blob());
        $("picture").src = next;
        $("picture").hidden = false;
        $("waiting").hidden = true;
        if (shown) URL.revokeObjectURL(shown);
        shown = next;
      }
    } catch {
      await pause(1000);
    }
  }
}

// -- the map -----------------------------------------------------------------------------------------------------

function size() {
  const canvas = $("map"), ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return [width, height, ratio];
}

function fit() {
  const [width, height] = size(), [x0, y0, x1, y1] = map.town.bounds;
  map.scale = 0.94 * Math.min(width / Math.max(x1 - x0, 1), height / Math.max(y1 - y0, 1));
  map.x = (x0 + x1) / 2;
  map.y = (y0 + y1) / 2;
  map.free = true;
}

function trace(path, flat, closed) {
  path.moveTo(flat[0], flat[1]);
  for (let k = 2; k < flat.length; k += 2) path.lineTo(flat[k], flat[k + 1]);
  if (closed) path.closePath();
}

function roads() {
  const found = {areas: [], lines: []};
  for (const [group, shapes] of Object.entries(map.town.areas)) {
    const path = new Path2D();
    for (const flat of shapes) trace(path, flat, true);
    found.areas.push([path, PAINT[group]]);
  }
  const zebra = new Path2D();
  for (const flat of map.town.crossings) trace(zebra, flat, true);
  found.areas.push([zebra, "#66717e"]);
  for (const [kind, shapes] of Object.entries(map.town.lines)) {
    const path = new Path2D();
    for (const flat of shapes) trace(path, flat, false);
    found.lines.push([path, kind.startsWith("yellow") ? "#c9a13b" : "#aab4bf", kind.endsWith("broken") ? [3, 4.5] : []]);
  }
  return found;
}

function draw() {
  if (!map.town) return;
  const [width, height, ratio] = size(), g = $("map").getContext("2d");
  map.roads = map.roads || roads();
  const mine = state.vehicles.find((row) => row[0] === state.followed);
  if (!map.free && mine) [map.x, map.y] = [mine[1], mine[2]];
  g.setTransform(1, 0, 0, 1, 0, 0);
  g.fillStyle = "#141b22";
  g.fillRect(0, 0, width, height);
  // CARLA's y points right of x: x to the right and y down show the town as from above
  g.setTransform(map.scale, 0, 0, map.scale, width / 2 - map.scale * map.x, height / 2 - map.scale * map.y);
  for (const [path, color] of map.roads.areas) {
    g.fillStyle = color;
    g.fill(path);
  }
  if (map.scale > 1.5) {
    g.lineWidth = 0.15;
    for (const [path, color, dash] of map.roads.lines) {
      g.strokeStyle = color;
      g.setLineDash(dash);
      g.stroke(path);
    }
    g.setLineDash([]);
  }
  const least = 3 * ratio / map.scale;
  for (const [x, y, light] of state.lights) {
    g.fillStyle = LIGHTS[light];
    g.beginPath();
    g.arc(x, y, Math.max(1.0, least * 0.6), 0, 7);
    g.fill();
  }
  g.fillStyle = "#f4a9ff";
  for (const [, x, y] of state.walkers) {
    g.beginPath();
    g.arc(x, y, Math.max(0.4, least * 0.6), 0, 7);
    g.fill();
  }
  for (const [id, x, y, yaw, half, side, speed] of state.vehicles) {
    const long = Math.max(half, least), wide = Math.max(side, least * 0.55);
    g.save();
    g.translate(x, y);
    g.rotate(yaw);
    g.fillStyle = id === state.followed ? "#4cc2ff" : speed < 0.3 ? "#9aa7b5" : "#f2f5f8";
    g.beginPath();
    g.moveTo(-long, -wide);
    g.lineTo(long * 0.55, -wide);
    g.lineTo(long, 0);
    g.lineTo(long * 0.55, wide);
    g.lineTo(-long, wide);
    g.closePath();
    g.fill();
    g.restore();
  }
}

function place(event) {
  const box = $("map").getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  return [
    map.x + ((event.clientX - box.left) * ratio - $("map").width / 2) / map.scale,
    map.y + ((event.clientY - box.top) * ratio - $("map").height / 2) / map.scale,
  ];
}

function zoom(factor) {
  map.scale = Math.min(60, Math.max(0.05, map.scale * factor));
  if (state && state.status === "live") draw();
}

$("map").addEventListener("wheel", (event) => {
  event.preventDefault();
  const before = place(event);
  zoom(Math.exp(-event.deltaY / 500));
  const after = place(event);
  map.x += before[0] - after[0];
  map.y += before[1] - after[1];
}, {passive: false});
$("map").addEventListener("pointerdown", (event) => {
  map.drag = {x: event.clientX, y: event.clientY, moved: false, from: [map.x, map.y]};
  $("map").setPointerCapture(event.pointerId);
});
$("map").addEventListener("pointermove", (event) => {
  if (!map.drag) return;
  const ratio = window.devicePixelRatio || 1;
  const dx = event.clientX - map.drag.x, dy = event.clientY - map.drag.y;
  if (Math.hypot(dx, dy) > 4) map.drag.moved = map.free = true;
  if (map.drag.moved) {
    map.x = map.drag.from[0] - dx * ratio / map.scale;
    map.y = map.drag.from[1] - dy * ratio / map.scale;
  }
});
$("map").addEventListener("pointerup", (event) => {
  const drag = map.drag;
  map.drag = null;
  if (!drag || drag.moved || !state || state.status !== "live") return;
  const [x, y] = place(event), reach = 14 * (window.devicePixelRatio || 1) / map.scale;
  let best = null, least = Math.max(reach, 3);
  for (const row of state.vehicles) {
    const gap = Math.hypot(row[1] - x, row[2] - y);
    if (gap < least) [best, least] = [row[0], gap];
  }
  if (best !== null) order("follow", best);
});
$("map").addEventListener("keydown", (event) => {
  if (event.key === "+" || event.key === "=") zoom(1.3);
  if (event.key === "-") zoom(1 / 1.3);
});
$("fit").addEventListener("click", fit);
$("near").addEventListener("click", () => {
  map.free = false;
  map.scale = 6 * (window.devicePixelRatio || 1);
});

// -- runs --------------------------------------------------------------------------------------------------------

function cell(content, kind) {
  const made = document.createElement("td");
  if (kind) made.className = kind;
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}

function duration(seconds) {
  return seconds < 100 ? `${Math.round(seconds)} s` : seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function row(run) {
  const made = document.createElement("tr");
  const bar = document.createElement("progress");
  bar.max = run.total || 1;
  bar.value = run.state === "finished" ? bar.max : run.step;
  const count = run.total ? `${run.step.toLocaleString("en")} of ${run.total.toLocaleString("en")}` : run.message;
  const links = run.pages.map((page) => {
    const link = document.createElement("a");
    link.href = "/runs/" + page.split("/").map(encodeURIComponent).join("/");
    link.textContent = page.split("/").pop();
    return link;
  });
  made.append(
    cell(run.name), cell(run.kind, "quiet"), cell(run.state, run.state),
    cell(run.total ? [bar, count] : [count], run.total ? "" : "quiet"), cell(duration(run.took)), cell(links),
  );
  return made;
}

async function watchRuns() {
  for (;;) {
    try {
      const found = await (await fetch("/api/stages")).json();
      if (found === null) return;
      $("stages").hidden = false;
      $("none").hidden = found.runs.length > 0;
      $("runs").replaceChildren(...found.runs.map(row));
      $("data").hidden = !found.datasets.length;
      $("sets").replaceChildren(...found.datasets.map((set) => {
        const made = document.createElement("tr");
        made.append(cell(set.name), cell(set.towns), cell(String(set.episodes)), cell(set.whole ? "whole" : "being recorded"));
        return made;
      }));
    } catch {
      // the state's watcher tells about a server that is away
    }
    await pause(document.hidden ? 5000 : 1500);
  }
}

watchState();
watchPicture();
watchRuns();
