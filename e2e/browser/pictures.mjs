// Takes the pictures of the documentation, for `make screenshots`.
import { statSync } from "node:fs";
import path from "node:path";

import { brush } from "./report.mjs";
import { NARROW } from "./common.mjs";

// Maximum size of a picture. Documents are also read over slow connections.
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

// The rates must cover a minute, and all three services of the chain must have sent telemetry.
async function fill(page) {
  await page.locator("#nodes-table tbody tr").nth(2).waitFor();
  await page.waitForTimeout(65_000);
}

// A chosen window. The picture shows the map, the figures and the modules.
async function choose(page) {
  await brush(page);
  await page.locator("#latency").evaluate((section) => section.scrollIntoView({ behavior: "instant" }));
  // The sentence about the window appears when the window no longer changes.
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
