// Checks of every page: accessibility, widths, the keyboard, hostile names, and the page without JavaScript.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const installed = new URL("../../target/tools/browser/package.json", import.meta.url);
const AXE = readFileSync(createRequire(installed).resolve("axe-core/axe.min.js"), "utf8");

export const NARROW = { width: 390, height: 844 };
// A number of stops that no page has. If a page reaches it, the focus moves in a circle.
const STOPS_MAX = 3_000;

// Every rule of axe-core, including best practices.
async function axe(page, _job, report) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { preload: false }));
  for (const rule of violations) {
    for (const node of rule.nodes) {
      report(`axe ${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary.replace(/\s+/g, " ")}`);
    }
  }
  if (passes.length === 0) report("axe checked nothing");
}

async function axeOfAllOpen(page, job, report) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await axe(page, job, report);
}

// A page must never scroll sideways. Wide content scrolls in its own container.
async function width(page, _job, report) {
  for (const open of [false, true]) {
    const [inner, scroll, culprits] = await page.evaluate((open) => {
      document.querySelectorAll("details").forEach((details) => (details.open ||= open));
      const limit = document.documentElement.clientWidth;
      const scrolls = (e) => e && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
      const wide = [...document.body.querySelectorAll("*")]
        .filter((e) => e.getBoundingClientRect().right > limit + 1 && !scrolls(e.parentElement))
        .map((e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 120));
      return [limit, document.scrollingElement.scrollWidth, wide.slice(0, 5)];
    }, open);
    if (scroll > inner) report(`the page is ${scroll} wide in a window of ${inner}: ${culprits.join(" | ")}`);
  }
}

// Every text must be shown unchanged: nothing was parsed as markup, and no script ran.
async function names(page, job, report) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  // Titles and tooltips appear when the pointer is over them.
  for (const part of (await page.locator("svg").all()).slice(0, 20)) {
    if (await part.isVisible()) await part.hover({ force: true, noWaitAfter: true }).catch(() => {});
  }
  const injected = await page.evaluate(() => [
    ...[...document.querySelectorAll("img, iframe, object, embed, base, form, link[href^='http'], [onerror], [onload], [onclick]")].map(
      (e) => e.outerHTML.slice(0, 160),
    ),
    ...(window.injected ? ["a script from a name ran"] : []),
  ]);
  for (const element of injected) report(`a name became markup: ${element}`);
  const text = await page.evaluate(() => document.body.textContent);
  for (const name of [...(job.names ?? []), ...(job.texts ?? [])]) {
    if (!text.includes(name)) report(`the page does not show ${name}`);
  }
}

// Describes the focused element, marks it as reached, and states whether the focus can be seen.
function focused() {
  const e = document.activeElement;
  if (!e || e === document.body || e === document.documentElement) return null;
  const again = e.dataset.reached === "yes";
  e.dataset.reached = "yes";
  const style = getComputedStyle(e);
  let isMarked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  const drawn = e.querySelector("rect");
  if (!isMarked && drawn) {
    // A shape may change its own line instead of having an outline.
    const lineOf = () => `${getComputedStyle(drawn).stroke} ${getComputedStyle(drawn).strokeWidth}`;
    const marked = lineOf();
    e.blur();
    isMarked = lineOf() !== marked;
    e.focus();
  }
  const box = e.getBoundingClientRect();
  const isInView = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
  const isClosed = e.tagName === "SUMMARY" && !e.parentElement.open;
  return { html: e.outerHTML.replace(/\s+/g, " ").slice(0, 160), again, isMarked, isInView, isClosed };
}

// Moves through the whole page with Tab, and opens with Enter whatever can be opened.
async function keyboard(page, job, report) {
  let stops = 0;
  for (; stops < STOPS_MAX; stops += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(focused);
    if (!stop || stop.again) break;
    if (!stop.isMarked) report(`the focus cannot be seen: ${stop.html}`);
    if (!stop.isInView) report(`the focus is outside of the window: ${stop.html}`);
    if (stop.isClosed) {
      await page.keyboard.press("Enter");
      if ((await page.evaluate(focused))?.isClosed) report(`Enter does not open ${stop.html}`);
    }
  }
  if (stops === STOPS_MAX) report("the focus does not come to an end");
  const missed = await page.evaluate(() =>
    [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
      .filter((e) => e.checkVisibility() && !e.disabled && e.dataset.reached !== "yes")
      .map((e) => e.outerHTML.slice(0, 160)),
  );
  for (const element of missed) report(`Tab does not reach ${element}`);
  if (job.charts === false) return;
  // The charts of the live page have one common table.
  const [drawings, hidden] = await page.evaluate(() => {
    const charts = [...document.querySelectorAll("figure, #rates")];
    const hidden = charts.filter((chart) => ![...chart.querySelectorAll("table")].some((table) => table.checkVisibility()));
    return [charts.length, hidden.map((chart) => chart.outerHTML.slice(0, 160))];
  });
  if (drawings === 0) report("the page has no chart");
  for (const chart of hidden) report(`no table is reached for the chart ${chart}`);
}

// Tables that have rows before any script has run.
const PLAIN_TABLES = {
  page: ["table"],
  report: ["#modules-table", "#nodes-table", "#endpoints-table", "#window-table", "#lint-table"],
  live: ["#runs-table", "#modules-table", "#nodes-table"],
};

// Without JavaScript, a report must show the figures of the whole run, and a live page those of the time at which it was loaded.
async function plain(page, job, report) {
  if (job.charts === false) return;
  for (const table of PLAIN_TABLES[job.kind]) {
    const rows = await page.locator(`${table} tbody tr`).count();
    if (rows === 0) report(`${table} has no row`);
  }
}

// The button changes between light and dark, whichever the system prefers.
async function theme(page, _job, report) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [button, before] = [page.locator("[data-theme-toggle]"), await ground()];
  await button.press("Enter");
  const other = await ground();
  if (other === before) report(`the button leaves the ground ${before}`);
  await button.click();
  if ((await ground()) !== before) report("the button does not change back");
}

// If the user prefers reduced motion, nothing may move.
async function motion(page, _job, report) {
  const moving = await page.evaluate(() => document.getAnimations().length);
  if (moving > 0) report(`${moving} animations run although the reader wants none`);
}

export const themeCheck = { name: "theme", run: theme };

export const commonChecks = [
  { name: "axe, light", run: axeOfAllOpen },
  { name: "axe, dark", options: { colorScheme: "dark" }, run: axeOfAllOpen },
  { name: "axe, narrow, as it opens", options: { viewport: NARROW }, run: axe },
  { name: "width of 390", options: { viewport: NARROW }, run: width },
  { name: "width of 1280", run: width },
  { name: "names", run: names },
  // Smooth scrolling takes longer than the time until the next key.
  { name: "keyboard", options: { reducedMotion: "reduce" }, run: keyboard },
  { name: "no JavaScript", options: { javaScriptEnabled: false }, run: plain },
  { name: "reduced motion", options: { reducedMotion: "reduce" }, run: motion },
];
