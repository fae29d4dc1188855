// The window of time: a drag over a heat map, or a move of its two sliders, recomputes figures from the packed timeline.
//
// Ids that do not change, for tests and links. In the second run of a page they end with -2, and so on:
//   #heatmap             the map; #heatmap-chart-plot is its plot
//   #window-controls     the sliders #window-from and #window-to, and the button #window-clear
//   #window-summary      #window-status (announced), and #window-table with cells data-col="window" in rows data-row="response_p95", ...
//   #modules-table       rows data-row="m0", ..., cells data-col="response_p95", ...
//   #endpoints-table     rows data-row="e0", ..., and the same cells
//   #trace-list          a details.trace for each trace
//   #timeline            the packed timeline (pack.rs)
(() => {
  "use strict";
  const { NONE, exact, rate, share } = numbers;
  const FRACTIONS = { p50: 0.5, p95: 0.95, p99: 0.99 };
  const TIMES = ["response", "queue", "service", "cpu", "network"];
  // Time for which the window must not change before it is announced, ms.
  const REST = 400;
  // Share of an interval that the run must cover for a rate. It is the same as in view.rs.
  const COVERED_MIN = 0.5;

  // The ends of a window as text. It is exact enough for `cctf stats --from`.
  const seconds = (value) => `${Number(value.toPrecision(6))} s`;
  const duration = (ms) => (ms === null ? NONE : numbers.duration(ms * 1e6));

  const decode = async (element) => {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };

  // Figures of a series for the intervals from `from` to `to - 1`, by the names of the table's columns.
  const figures = (pack, series, from, to) => {
    const sum = (values) => values.slice(from, to).reduce((total, value) => total + value, 0);
    const calls = sum(series.calls);
    const errors = sum(series.errors);
    const length = Math.min(to * pack.width_s, pack.length_s) - from * pack.width_s;
    const found = { calls: exact(calls), errors: errors && calls ? `${exact(errors)} (${share(errors / calls)})` : exact(errors) };
    found.rate = length >= pack.width_s * COVERED_MIN ? rate(calls / length) : NONE;
    for (const name of TIMES) {
      const time = series.times[name];
      if (!time) continue;
      let count = 0;
      let total = 0;
      for (let bucket = from; bucket < to; bucket += 1) {
        count += time.counts[bucket];
        total += time.counts[bucket] * time.means_us[bucket];
      }
      found[`${name}_mean`] = duration(count ? total / count / 1e3 : null);
      if (time.bins) Object.assign(found, quantiles(pack, time.bins, name, from, to));
    }
    return found;
  };

  // The first number of a sketch is its first bin. A negative number skips bins.
  const quantiles = (pack, sketches, name, from, to) => {
    const counts = new Float64Array(pack.middles_ms.length);
    let all = 0;
    for (const sketch of sketches.slice(from, to)) {
      let bin = sketch[0] - pack.first_bin;
      for (const count of sketch.slice(1)) {
        if (count < 0) bin -= count;
        else {
          counts[bin] += count;
          all += count;
          bin += 1;
        }
      }
    }
    const found = {};
    for (const [quantile, fraction] of Object.entries(FRACTIONS)) {
      const rank = Math.max(1, Math.ceil(all * fraction));
      let below = 0;
      const bin = counts.findIndex((count) => (below += count) >= rank);
      found[`${name}_${quantile}`] = duration(bin < 0 ? null : pack.middles_ms[bin]);
    }
    return found;
  };

  // The cells of a table that a window changes, with their original texts.
  class Cells {
    constructor(table) {
      this.rows = new Map();
      for (const row of table?.querySelectorAll("tbody tr[data-row]") ?? []) {
        const cells = [...row.querySelectorAll("td.number[data-col]")];
        this.rows.set(row.dataset.row, cells.map((cell) => ({ cell, before: [...cell.childNodes] })));
      }
    }

    // Sets the texts by column name. If there are none, sets dashes.
    show(row, texts) {
      for (const { cell } of this.rows.get(row) ?? []) cell.replaceChildren(texts[cell.dataset.col] ?? NONE);
    }

    restore() {
      for (const cells of this.rows.values()) for (const { cell, before } of cells) cell.replaceChildren(...before);
    }
  }

  class Brush {
    constructor(pack, suffix) {
      const find = (id) => document.getElementById(id + suffix);
      this.pack = pack;
      [this.from, this.to] = [0, pack.buckets];
      this.map = find("heatmap");
      this.plot = document.getElementById(`heatmap-chart${suffix}-plot`);
      this.controls = find("window-controls");
      this.sliders = [find("window-from"), find("window-to")];
      this.status = find("window-status");
      this.summary = find("window-table");
      this.tables = ["modules-table", "endpoints-table"].map((id) => {
        const table = find(id);
        return { caption: table?.caption, title: table?.caption?.textContent, cells: new Cells(table) };
      });
      this.clear = () => this.choose(0, pack.buckets);
      find("window-clear").addEventListener("click", this.clear);
      this.listenToKeys();
      if (this.plot) this.listenToPointer();
      this.controls.hidden = false;
      this.show();
    }

    listenToKeys() {
      this.sliders.forEach((slider, end) => {
        slider.addEventListener("input", () => {
          const value = Number(slider.value);
          if (end === 0) this.choose(Math.min(value, this.to - 1), this.to);
          else this.choose(this.from, Math.max(value, this.from + 1));
        });
        slider.addEventListener("keydown", (event) => {
          const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
          if (!event.shiftKey || !step) return;
          event.preventDefault();
          const move = Math.max(-this.from, Math.min(step, this.pack.buckets - this.to));
          this.choose(this.from + move, this.to + move);
        });
      });
      for (const element of [this.controls, this.map]) {
        element.addEventListener("keydown", (event) => {
          if (event.key === "Escape") this.clear();
        });
      }
    }

    // The interval under the pointer.
    bucketAt(event) {
      const box = (this.plot.closest("[data-chart]") ?? this.plot).getBoundingClientRect();
      const position = (event.clientX - box.left) / box.width;
      return Math.max(0, Math.min(this.pack.buckets - 1, Math.floor(position * this.pack.buckets)));
    }

    listenToPointer() {
      const readout = document.createElement("p");
      readout.className = "readout";
      readout.setAttribute("aria-hidden", "true");
      this.map.after(readout);
      this.mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      this.mark.setAttribute("class", "brush");
      this.plot.append(this.mark);
      let start = null;
      this.map.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        start = this.bucketAt(event);
        this.map.setPointerCapture(event.pointerId);
      });
      this.map.addEventListener("pointermove", (event) => {
        const bucket = this.bucketAt(event);
        readout.textContent = this.describe(bucket, bucket + 1);
        if (start !== null) this.choose(Math.min(start, bucket), Math.max(start, bucket) + 1);
      });
      this.map.addEventListener("pointerup", (event) => {
        const bucket = this.bucketAt(event);
        if (start !== null) this.choose(Math.min(start, bucket), Math.max(start, bucket) + 1);
        start = null;
      });
      this.map.addEventListener("pointercancel", () => (start = null));
    }

    choose(from, to) {
      // A slider may have been moved to a position that the window cannot have.
      if (from === this.from && to === this.to) return this.showSliders();
      [this.from, this.to] = [from, to];
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.show();
      });
    }

    isWhole() {
      return this.from === 0 && this.to === this.pack.buckets;
    }

    // The start of an interval. The last interval ends with the run.
    edge(bucket) {
      return seconds(Math.min(bucket * this.pack.width_s, this.pack.length_s));
    }

    describe(from, to) {
      const found = figures(this.pack, this.pack.series[0], from, to);
      const quantiles = Object.keys(FRACTIONS).map((name) => `${name} ${found[`response_${name}`] ?? NONE}`);
      const calls = `${found.calls} invocations, ${found.rate}, ${found.errors} errors`;
      return `${this.edge(from)} to ${this.edge(to)}: ${calls}, response ${quantiles.join(", ")}`;
    }

    showSliders() {
      this.sliders.forEach((slider, end) => {
        const bucket = [this.from, this.to][end];
        slider.value = bucket;
        slider.setAttribute("aria-valuetext", this.edge(bucket));
      });
    }

    show() {
      const { from, to, pack } = this;
      const [whole, ...groups] = pack.series;
      this.showSliders();
      this.showMark();
      const found = this.isWhole() ? {} : figures(pack, whole, from, to);
      for (const row of this.summary.querySelectorAll("tbody tr[data-row]")) {
        row.querySelector('[data-col="window"]').textContent = found[row.dataset.row] ?? NONE;
      }
      const texts = this.isWhole() ? null : new Map(groups.map((series) => [series.row, figures(pack, series, from, to)]));
      const window = this.isWhole() ? "" : `, ${this.edge(from)} to ${this.edge(to)}`;
      for (const { caption, title, cells } of this.tables) {
        if (texts === null) cells.restore();
        else for (const row of cells.rows.keys()) cells.show(row, texts.get(row) ?? {});
        if (caption) caption.textContent = title + window;
      }
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.announce(), REST);
    }

    announce() {
      const text = this.isWhole()
        ? "The figures describe the whole run."
        : `Window from ${this.describe(this.from, this.to)}.`;
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    showMark() {
      if (!this.mark) return;
      // One unit of the plot is an interval wide and a row high.
      const width = this.isWhole() ? 0 : this.to - this.from;
      const values = { x: this.from, y: 0, width, height: this.plot.dataset.rows };
      for (const [name, value] of Object.entries(values)) this.mark.setAttribute(name, value);
    }
  }

  for (const element of document.querySelectorAll('script[id^="timeline"]')) {
    const suffix = element.id.slice("timeline".length);
    // Without a heat map, no window can be chosen.
    if (!document.getElementById(`window-controls${suffix}`)) continue;
    decode(element).then(
      (pack) => new Brush(pack, suffix),
      // The browser is too old, or the page was cut off: the tables keep the figures of the whole run.
      () => {},
    );
  }
})();
