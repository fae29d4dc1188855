// Theme, tips, a cross-hair in charts over time, and keys. All data is inserted as text. Events are handled by the document, so
// content may change.
"use strict";
(() => {
  const root = document.documentElement;
  const themeKey = "cctf-theme";
  const svgNamespace = "http://www.w3.org/2000/svg";
  const arrows = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
  let tip, status;
  // Shows the tip of the focused mark after scrolling.
  let again = null;

  // A page that was opened from a file may have no storage.
  const stored = () => { try { return localStorage.getItem(themeKey); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem(themeKey, theme); } catch { /* the choice lasts as long as the page */ } };
  const isTheme = (theme) => theme === "light" || theme === "dark";
  if (isTheme(stored())) root.dataset.theme = stored();

  function toggleTheme() {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    store(root.dataset.theme);
  }

  function box(id) {
    const made = document.createElement("div");
    made.id = id;
    document.body.append(made);
    return made;
  }

  // Shows a text near a point and keeps it inside the window.
  function show(text, x, y) {
    if (!tip) {
      tip = box("tip");
      tip.setAttribute("aria-hidden", "true");
    }
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(x + 14, innerWidth - width - 8));
    const below = y + 18 + height < innerHeight;
    tip.style.transform = `translate(${left}px, ${Math.max(8, below ? y + 18 : y - height - 12)}px)`;
  }

  function hide() {
    again = null;
    if (tip) tip.hidden = true;
    for (const line of document.querySelectorAll(".cross")) line.remove();
  }

  // Lets a screen reader speak a text.
  function say(text) {
    if (!status) {
      status = box("status");
      status.className = "unseen";
      status.setAttribute("role", "status");
    }
    status.textContent = text;
  }

  const twoDigits = (number) => String(number).padStart(2, "0");
  function clock(seconds) {
    if (seconds < 120) return `${Number(seconds.toFixed(3))} s`;
    const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${twoDigits(minutes)}:${twoDigits(whole % 60)}` : `${minutes}:${twoDigits(whole % 60)}`;
  }

  // Draws the cross-hair in all charts that have the same time axis.
  function cross(chart, bucket) {
    const { buckets, bucketS } = chart.dataset;
    for (const other of document.querySelectorAll("svg[data-chart]")) {
      let line = other.querySelector(":scope > .cross");
      if (other.dataset.buckets !== buckets || other.dataset.bucketS !== bucketS) {
        line?.remove();
        continue;
      }
      if (!line) {
        line = document.createElementNS(svgNamespace, "line");
        line.setAttribute("class", "cross");
        line.setAttribute("y1", "0");
        line.setAttribute("y2", other.getAttribute("height"));
        other.append(line);
      }
      const x = `${(bucket + 0.5) / buckets * 100}%`;
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
  }

  // The text that describes a bucket of a chart. Rows are counted from the top, and `path` is the level of the cell.
  function reading(chart, bucket, row, path) {
    const width = Number(chart.dataset.bucketS);
    const text = [`${clock(bucket * width)} to ${clock((bucket + 1) * width)}`];
    for (const line of chart.querySelectorAll("[data-values]")) {
      text.push(`${line.dataset.name}: ${line.dataset.values.split("|")[bucket] || "no value"}`);
    }
    for (const event of chart.querySelectorAll(`[data-bucket="${bucket}"]`)) text.push(event.dataset.event);
    const plot = chart.querySelector("[data-bounds]");
    if (plot && row !== undefined) {
      const bounds = plot.dataset.bounds.split("|"), low = plot.dataset.rows - 1 - row;
      text.push(`${bounds[low]} to ${bounds[low + 1]}`, `count in the cell: ${path?.dataset.range ?? "0"}`);
    }
    return text.join("\n");
  }

  function point(chart, event) {
    const { left, top, width, height } = chart.getBoundingClientRect();
    const bucket = Math.floor((event.clientX - left) / width * chart.dataset.buckets);
    const plot = chart.querySelector("[data-rows]");
    const row = plot ? Math.floor((event.clientY - top) / height * plot.dataset.rows) : undefined;
    if (bucket < 0 || bucket >= chart.dataset.buckets || row < 0 || row >= plot?.dataset.rows) return hide();
    chart.dataset.at = bucket;
    cross(chart, bucket);
    show(reading(chart, bucket, row, event.target.closest("[data-range]")), event.clientX, event.clientY);
  }

  // Moves the cross-hair by keys, and lets a screen reader speak its position.
  function step(chart, key) {
    const last = chart.dataset.buckets - 1;
    const now = Number(chart.dataset.at ?? -1);
    const bucket = key === "Home" ? 0 : key === "End" ? last : Math.max(0, Math.min(last, now + arrows[key]));
    chart.dataset.at = bucket;
    const text = reading(chart, bucket);
    cross(chart, bucket);
    again = () => {
      const { left, top, width } = chart.getBoundingClientRect();
      show(text, left + (bucket + 0.5) / (last + 1) * width, top);
    };
    again();
    say(text);
  }

  // Moves the focus to the next mark of a chart. Tab reaches only one mark of each chart.
  function move(mark, key) {
    const marks = [...mark.closest("[data-marks]").querySelectorAll("[tabindex][data-tip]")];
    const now = marks.indexOf(mark);
    const next = marks[key === "Home" ? 0 : key === "End" ? marks.length - 1 : now + arrows[key]];
    if (!next) return;
    mark.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  // Emphasizes the edges of a node.
  function emphasize(node) {
    for (const svg of document.querySelectorAll(".dimmed")) svg.classList.remove("dimmed");
    for (const edge of document.querySelectorAll(".edge.on")) edge.classList.remove("on");
    if (!node) return;
    const svg = node.closest("svg");
    svg.classList.add("dimmed");
    for (const edge of svg.querySelectorAll(".edge")) {
      edge.classList.toggle("on", edge.dataset.ends.split(" ").includes(node.dataset.node));
    }
  }

  const find = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;

  document.addEventListener("click", (event) => { if (find(event, "[data-theme-toggle]")) toggleTheme(); });
  function track(event) {
    const chart = find(event, "svg[data-chart]");
    const marked = find(event, "[data-tip]");
    emphasize(find(event, "[data-node]") || document.activeElement?.closest("[data-node]"));
    if (chart) point(chart, event);
    else if (marked) show(marked.dataset.tip, event.clientX, event.clientY);
    else if (!again) hide();
  }
  document.addEventListener("pointermove", track);
  document.addEventListener("pointerdown", track);
  root.addEventListener("pointerleave", hide);
  document.addEventListener("focusin", (event) => {
    const marked = find(event, "[data-tip]");
    emphasize(find(event, "[data-node]"));
    if (!marked || !marked.matches(":focus-visible")) return hide();
    again = () => {
      const { left, bottom } = marked.getBoundingClientRect();
      show(marked.dataset.tip, left, bottom - 12);
    };
    again();
    if (!marked.hasAttribute("aria-label")) say(marked.dataset.tip);
  });
  document.addEventListener("focusout", () => { hide(); emphasize(null); });
  document.addEventListener("scroll", () => (again ? again() : hide()), { passive: true, capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hide();
    const isMove = event.key in arrows || event.key === "Home" || event.key === "End";
    if (!isMove || event.defaultPrevented || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    const focused = document.activeElement;
    if (focused?.matches("svg[data-chart]")) {
      if (event.key === "ArrowUp" || event.key === "ArrowDown") return;
      step(focused, event.key);
    } else if (focused?.matches("[data-marks] [data-tip]")) {
      move(focused, event.key);
    } else {
      return;
    }
    event.preventDefault();
  });

  // Marks the visible section in the navigation.
  document.addEventListener("DOMContentLoaded", () => {
    const links = new Map([...document.querySelectorAll("body > nav a")].map((link) => [link.hash.slice(1), link]));
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target.id) : seen.delete(target.id);
      const current = [...links.keys()].find((id) => seen.has(id));
      for (const [id, link] of links) id === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    }, { rootMargin: "0px 0px -60% 0px" });
    for (const section of document.querySelectorAll("main > section[id]")) observer.observe(section);
  });
})();
