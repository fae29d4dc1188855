// Checks of a report: a window of the heat map is chosen by mouse and by keyboard, and traces are opened in both ways.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const UNITS_MS = { ns: 1e-6, "µs": 1e-3, ms: 1, s: 1e3, min: 6e4, h: 3.6e6 };
// A quantile of a window may differ by 5%, that of `cctf stats` by 1/128, and only three digits are shown.
const QUANTILE_ERROR = 0.05 + 1 / 128 + 0.005;
// Error of a number that is shown with three digits.
const MEAN_ERROR = 0.005;
const QUANTILES = ["p50", "p95", "p99"];

// Converts `2 min 5 s` to milliseconds.
function milliseconds(text) {
  const parts = text.trim().matchAll(/([\d.,]+) (ns|µs|ms|s|min|h)\b/g);
  return [...parts].reduce((sum, [, value, unit]) => sum + Number(value.replaceAll(",", "")) * UNITS_MS[unit], 0);
}

const count = (text) => Number(text.trim().split(" ")[0].replaceAll(",", ""));

// The chosen window, and the figures that the page shows for it.
async function shown(page) {
  return page.evaluate(() => {
    const end = (id) => {
      const slider = document.querySelector(id);
      // The end of the run is shown with few digits, so it is not used as a bound.
      return slider.value === slider.max ? null : slider.getAttribute("aria-valuetext");
    };
    const text = (cell) => cell?.firstChild?.textContent ?? "";
    const cells = (row) => Object.fromEntries([...row.cells].map((cell) => [cell.dataset.col, text(cell)]));
    const rowsOf = (id) => [...document.querySelectorAll(`#${id} tbody tr`)].map(cells);
    const [rows, endpoints] = ["modules-table", "endpoints-table"].map(rowsOf);
    const figures = [...document.querySelectorAll("#window-table tbody tr")].map((row) => [row.dataset.row, cells(row).window]);
    return { from: end("#window-from"), to: end("#window-to"), rows, endpoints, figures: Object.fromEntries(figures) };
  });
}

// Compares the figures that the page shows for the window with those that `cctf stats` computes from all rows.
function compare(job, window, report) {
  if (!job.stats) return;
  const [command, ...flags] = job.stats;
  const ends = Object.entries({ from: window.from, to: window.to })
    .filter(([, end]) => end !== null)
    .flatMap(([name, end]) => [`--${name}`, `${milliseconds(end)}ms`]);
  const { groups } = JSON.parse(execFileSync(command, [...flags, ...ends], { encoding: "utf8", maxBuffer: 1 << 26 }));
  const at = ends.join(" ");
  const calls = groups.reduce((sum, group) => sum + group.calls, 0);
  const errors = groups.reduce((sum, group) => sum + group.errors, 0);
  if (count(window.figures.calls) !== calls) report(`${at}: ${window.figures.calls} calls instead of ${calls}`);
  if (count(window.figures.errors) !== errors) report(`${at}: ${window.figures.errors} errors instead of ${errors}`);
  // The runs of the checks have so few endpoints that each has a series.
  const ofEndpoints = window.endpoints.reduce((sum, row) => sum + count(row.calls), 0);
  if (ofEndpoints !== calls) report(`${at}: ${ofEndpoints} calls of endpoints instead of ${calls}`);
  for (const { module } of window.endpoints) {
    if (!window.rows.some((row) => row.module === module)) report(`${at}: an endpoint is of the module ${module}`);
  }
  for (const group of groups.filter((group) => group.calls > 0)) {
    const row = window.rows.find((row) => row.module === group.module_id);
    if (!row) {
      report(`${at}: no row of ${group.module_id}`);
      continue;
    }
    if (count(row.calls) !== group.calls) report(`${at}: ${row.calls} calls of ${row.module} instead of ${group.calls}`);
    if (count(row.errors) !== group.errors) report(`${at}: ${row.errors} errors of ${row.module} instead of ${group.errors}`);
    const times = QUANTILES.map((name) => [`response_${name}`, QUANTILE_ERROR]);
    times.push(...["response", "queue", "service", "cpu", "network"].map((time) => [`${time}_mean`, MEAN_ERROR]));
    for (const [name, error] of times) {
      const expected = group[`${name}_ms`];
      if (expected === null) continue;
      const found = milliseconds(row[name] ?? "");
      if (Math.abs(found - expected) > error * expected + 1e-6) {
        report(`${at}: ${name} of ${row.module} is ${row[name]} instead of ${expected} ms`);
      }
    }
  }
}

// Drags the pointer over the middle third of the heat map.
export async function brush(page) {
  await page.locator("#window-controls").waitFor();
  const plot = page.locator("#heatmap-chart-plot");
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.35, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, y, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.65, y, { steps: 4 });
  await page.mouse.up();
}

// Waits until the figures differ from the earlier ones. The page may compute them a moment later.
async function changes(page, before) {
  const differ = (text) => document.querySelector("#window-table").innerText !== text;
  return page.waitForFunction(differ, before).then(
    () => true,
    () => false,
  );
}

const table = (page) => page.locator("#window-table").innerText();

async function byMouse(page, job, report) {
  await page.locator("#window-controls").waitFor();
  const whole = await table(page);
  await brush(page);
  if (!(await changes(page, whole))) return report("dragging over the heat map changes no figure");
  compare(job, await shown(page), report);
  const selected = await page.evaluate(() => getSelection().toString());
  if (selected !== "") report(`dragging over the heat map selects the text ${selected}`);
  const brushed = await table(page);
  await page.locator("#window-clear").click();
  await changes(page, brushed);
  if ((await table(page)) !== whole) report("the button does not go back to the whole run");
}

// Moves both ends by arrow keys, moves the whole window with Shift, and removes it with Escape.
async function byKeyboard(page, job, report) {
  await page.locator("#window-controls").waitFor();
  const whole = await table(page);
  for (const [end, key] of [["#window-from", "ArrowRight"], ["#window-to", "ArrowLeft"], ["#window-from", "Shift+ArrowRight"]]) {
    const before = await table(page);
    await page.locator(end).focus();
    await page.keyboard.press(key);
    if (!(await changes(page, before))) return report(`${key} changes no figure`);
    compare(job, await shown(page), report);
  }
  const before = await table(page);
  await page.keyboard.press("Escape");
  await changes(page, before);
  if ((await table(page)) !== whole) report("Escape does not go back to the whole run");
}

// The left end cannot move beyond the right one, and its slider must always show the position of the window.
async function sliders(page, _job, report) {
  await page.locator("#window-controls").waitFor();
  const last = await page.locator("#window-from").getAttribute("max");
  for (const [value, wanted] of [[last - 1, last - 1], [last, last - 1]]) {
    const found = await page.locator("#window-from").evaluate((slider, value) => {
      slider.value = value;
      slider.dispatchEvent(new Event("input"));
      // The page may draw in the next frame.
      return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(slider.value))));
    }, value);
    if (Number(found) !== wanted) report(`the slider From is at ${found} instead of ${wanted}`);
  }
}

// A test in Rust uses the same cases.
async function forms(_page, _job, report) {
  const read = (name) => readFileSync(new URL(`../../libs/report/${name}`, import.meta.url), "utf8");
  const numbers = new Function(`${read("src/render/numbers.js")}return numbers;`)();
  for (const [form, cases] of Object.entries(JSON.parse(read("tests/numbers.json")))) {
    for (const [value, text] of cases) {
      const found = numbers[form](value);
      if (found !== text) report(`${form} of ${value} is ${found} instead of ${text}`);
    }
  }
}

async function traces(page, _job, report) {
  const all = page.locator("#trace-list details.trace");
  const number = await all.count();
  if (number === 0) return report("the page has no trace");
  for (const [index, open] of [
    [0, (summary) => summary.click()],
    [number - 1, (summary) => summary.press("Enter")],
    [0, (summary) => summary.press("Space")],
  ]) {
    const trace = all.nth(index);
    const was = await trace.evaluate((details) => details.open);
    await open(trace.locator("summary").first());
    const now = await trace.evaluate((details) => details.open);
    if (now === was) report(`trace ${index} does not open or close`);
    const isShown = await trace.locator(".waterfall").isVisible();
    if (isShown !== now) report(`trace ${index} shows no waterfall`);
  }
}

export const reportChecks = [
  { name: "window by mouse", needsCharts: true, run: byMouse },
  { name: "window by keyboard", needsCharts: true, run: byKeyboard },
  { name: "ends of the window", needsCharts: true, run: sliders },
  { name: "form of numbers", run: forms },
  { name: "traces", needsCharts: true, run: traces },
];
