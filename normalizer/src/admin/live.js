"use strict";
// Follows the events of the normalizer and inserts their texts into the page. Texts are never used as markup.
(() => {
  const RETRY_MS = 2000;
  const status = document.getElementById("live-status");
  const updated = document.getElementById("updated");
  const command = document.getElementById("report-command");
  const copy = document.getElementById("copy-command");
  const copied = document.getElementById("copied");
  let source = null;
  let timer = 0;
  let last = null;

  const write = (node, text) => {
    if (node && node.textContent !== text) node.textContent = text;
  };

  const showTable = ({ id, columns, rows, more }) => {
    const table = document.getElementById(id);
    if (!table || table.closest("details:not([open])")) return;
    const body = table.tBodies[0];
    const heads = table.tHead.rows[0].cells;
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((texts, index) => {
      const row = body.rows[index] || body.insertRow();
      texts.forEach((text, column) => {
        let cell = row.cells[column];
        if (!cell) {
          cell = document.createElement(column === 0 ? "th" : "td");
          if (column === 0) cell.scope = "row";
          if (heads[column].className) cell.className = heads[column].className;
          cell.dataset.col = columns[column];
          row.append(cell);
        }
        write(cell, text);
      });
    });
    write(table.closest(".table").querySelector(".more"), more);
  };

  const show = page => {
    const readiness = document.getElementById("readiness");
    write(readiness.firstElementChild, page.is_ready ? "✓" : "✕");
    write(readiness.lastElementChild, page.status);
    readiness.className = page.is_ready ? "badge good" : "badge bad";
    for (const { key, points, value, max } of page.lines) {
      const line = document.querySelector(`[data-line="${key}"]`);
      const { width, height } = line.ownerSVGElement.viewBox.baseVal;
      const area = points && `${points.split(",")[0]},${height} ${points} ${width},${height}`;
      line.setAttribute("points", points);
      line.parentNode.querySelector(".area").setAttribute("points", area);
      write(document.querySelector(`[data-max="${key}"]`), max);
      write(document.querySelector(`[data-tile="${key}"]`), value);
    }
    for (const { key, value } of page.tiles) write(document.querySelector(`[data-tile="${key}"]`), value);
    document.querySelectorAll('[data-text="window"]').forEach(node => write(node, page.window));
    Object.values(page.tables).forEach(showTable);
    write(command, page.command);
    write(updated, page.at);
  };

  const say = (text, isLost) => {
    write(status, text);
    status.className = isLost ? "warning" : "";
  };

  const stop = text => {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
    say(text);
  };

  const connect = () => {
    stop("Connecting");
    source = new EventSource("events");
    source.onmessage = event => {
      last = JSON.parse(event.data).page;
      show(last);
      say("Live");
    };
    // The browser connects again by itself, unless the answer was an error.
    source.onerror = () => {
      say("Connection lost, retrying", true);
      if (source && source.readyState === EventSource.CLOSED) timer = setTimeout(connect, RETRY_MS);
    };
  };

  const follow = () => (document.hidden ? stop("Paused while this tab is hidden") : connect());
  document.addEventListener("visibilitychange", follow);
  document.querySelectorAll("details").forEach(details =>
    details.addEventListener("toggle", () => last && show(last)));

  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      write(copied, "Copied");
    } catch {
      // Browsers allow the use of the clipboard to secure origins only. The address of another machine is not one.
      getSelection().selectAllChildren(command);
      write(copied, document.execCommand("copy") ? "Copied" : "Press Ctrl+C to copy");
    }
    setTimeout(() => write(copied, ""), RETRY_MS);
  });

  follow();
})();
