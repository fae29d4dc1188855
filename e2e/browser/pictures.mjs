// Pictures for the documentation. `make screenshots` takes them.
import { statSync } from "node:fs";
import path from "node:path";

import { brush } from "./report.mjs";
import { NARROW } from "./common.mjs";

// A picture in a document is loaded over slow lines, too.
const BYTES_MAX = 250_000;

async function take(page, job, name, report) {
  const file = path.join(job.screenshots, `${name}.png`);
  await page.screenshot({ path: file, animations: "disabled" });
  const { size } = statSync(file);
  if (size > BYTES_MAX) report(`${file} has ${size} bytes, more than ${BYTES_MAX}`);
}

function picture(name, options, before) {
  const run = async (page, job, report) => {
    await before?.(page);
    await take(page, job, name, report);
  };
  return { name, options, run };
}

const TALL = { width: 1280, height: 1400 };

// The rates cover a minute, and all three services of the chain have sent telemetry.
async function fill(page) {
  await page.locator("#nodes-table tbody tr").nth(2).waitFor();
  await page.waitForTimeout(65_000);
}

// A chosen window, with the map, the figures and the modules in view.
async function choose(page) {
  await brush(page);
  await page.locator("#latency").evaluate((section) => section.scrollIntoView({ behavior: "instant" }));
  // The sentence about the window comes when the window rests.
  await page.locator("#window-status", { hasText: "Window from" }).waitFor();
}

export const pictures = {
  report: [
    picture("report-light", { viewport: TALL }),
    picture("report-dark", { viewport: TALL, colorScheme: "dark" }, choose),
    picture("report-narrow", { viewport: NARROW }),
  ],
  live: [picture("live", { viewport: TALL }, fill)],
};
