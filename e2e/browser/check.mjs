// Opens a report or a live page in Chromium, uses it like a person, and prints all faults that it finds.
//
// Usage: node check.mjs JOB, where JOB is JSON:
//   kind         "page" (any page of this design), "report" or "live"
//   url          file:... or http:...
//   names        texts that the page has to show as they are, such as hostile names
//   texts        further texts that the page has to show
//   charts       false if the page has nothing to draw, as the report of an empty run
//   stats        report: the command, as an array, that prints the figures of a window as JSON; --from and --to are appended
//   process      live: the id of the normalizer, which the last check kills
//   only         names of checks; default: all of the kind
//   screenshots  folder for pictures; no check is made then
//
// Prints {"findings": [{"finding", "checks": [those that found it]}], "done": [the checks that were made]}. Exit code: 1 with findings.
// The packages of package.json are in target/tools/browser, where `make test-tools` installs them.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

import { commonChecks, themeCheck } from "./common.mjs";
import { liveChecks } from "./live.mjs";
import { pictures } from "./pictures.mjs";
import { reportChecks } from "./report.mjs";

const installed = new URL("../../target/tools/browser/package.json", import.meta.url);
const { chromium } = createRequire(installed)("playwright-core");

// Names of the program in the packages of Debian, Fedora and Google.
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
// Maximum time of a check. It is long, because the machine may be busy with other tests.
const PATIENCE_MS = 90_000;
const WIDE = { width: 1280, height: 900 };

function executable() {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    const found = PROGRAMS.map((name) => path.join(folder, name)).find((file) => existsSync(file));
    if (found) return found;
  }
  throw new Error("cannot find Chromium; run `make test`, which installs it");
}

// The page is offline. Apart from data: URLs, a report loads only itself, and a live page loads only from its own origin.
function isAllowed(job, url) {
  const own = new URL(job.url);
  const asked = new URL(url);
  if (asked.protocol === "data:") return true;
  if (own.protocol === "file:") return asked.protocol === "file:" && asked.pathname === own.pathname;
  return asked.origin === own.origin;
}

// Adds to `found` all complaints of the browser, and every dialog, because only injected script opens dialogs.
function watch(context, page, job, found) {
  context.on("request", (request) => {
    if (!isAllowed(job, request.url())) found.push(`requested ${request.url().slice(0, 200)}`);
  });
  page.on("console", (message) => {
    const isExpected = job.lost && message.text().includes("net::ERR_");
    if (["error", "warning", "assert"].includes(message.type()) && !isExpected) {
      found.push(`console ${message.type()}: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => found.push(`uncaught ${error.stack ?? error}`));
  page.on("crash", () => found.push("the page crashed"));
  page.on("dialog", (dialog) => {
    found.push(`a dialog opened: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
}

// A page in its own context, so that checks do not influence each other.
async function openPage(browser, job, found, options) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  watch(context, page, job, found);
  if (options.javaScriptEnabled !== false) {
    await context.exposeBinding("reportViolation", (_, text) => found.push(text));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.reportViolation(`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
  }
  await page.goto(job.url, { waitUntil: "load" });
  return page;
}

async function runCheck(browser, job, check) {
  const found = [];
  let page;
  try {
    page = await openPage(browser, job, found, check.options ?? {});
    await check.run(page, job, (text) => found.push(text));
  } catch (error) {
    found.push(`${error.stack ?? error}`);
  }
  await page?.context().close().catch(() => {});
  return new Set(found);
}

const CHECKS = {
  page: commonChecks,
  report: [...commonChecks, themeCheck, ...reportChecks],
  live: [...commonChecks, themeCheck, ...liveChecks],
};

const job = JSON.parse(process.argv[2] ?? "{}");
const ofKind = job.screenshots ? pictures[job.kind] : CHECKS[job.kind];
if (!ofKind) throw new Error("the job needs a kind: page, report or live");
const unknown = (job.only ?? []).filter((name) => !ofKind.some((check) => check.name === name));
if (unknown.length > 0) throw new Error(`no check is named ${unknown.join(" or ")}`);
const checks = ofKind.filter((check) => (!job.only || job.only.includes(check.name)) && !(check.needsCharts && job.charts === false));
const browser = await chromium.launch({
  executablePath: executable(),
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const findings = new Map();
for (const check of checks) {
  for (const finding of await runCheck(browser, job, check)) {
    findings.set(finding, [...(findings.get(finding) ?? []), check.name]);
  }
}
await browser.close();
const listed = [...findings].map(([finding, checks]) => ({ finding, checks }));
console.log(JSON.stringify({ findings: listed, done: checks.map((check) => check.name) }, null, 1));
process.exitCode = listed.length > 0 ? 1 : 0;
