// Checks of the live page: figures appear and change, the command for the report can be copied, and a lost connection is shown.
import process from "node:process";

// The texts of all numbers in an element.
const figures = (page, selector) => page.locator(selector).innerText();

// Each part must show figures, and those of the rates must change. If they stay the same, the page is not updated.
async function flow(page, _job, report) {
  for (const part of ["#rates", "#modules-table", "#nodes-table", "#runs-table"]) {
    const filled = (selector) => /\d/.test(document.querySelector(selector)?.innerText ?? "");
    await page.waitForFunction(filled, part).catch(() => report(`${part} shows no figure`));
  }
  const before = await figures(page, "#rates");
  const changed = ([selector, text]) => document.querySelector(selector).innerText !== text;
  await page.waitForFunction(changed, ["#rates", before]).catch(() => report(`the rates stay at ${before}`));
}

// The command for the report can be copied with the keyboard alone.
async function copy(page, _job, report) {
  const command = (await figures(page, "#report-command")).trim();
  if (!command.startsWith("cctf report ")) report(`the report's command is ${command}`);
  for (const key of ["Enter", " "]) {
    await page.evaluate(() => {
      navigator.clipboard.writeText = async (text) => {
        window.copied = text;
      };
      window.copied = undefined;
    });
    await page.locator("#copy-command").focus();
    await page.keyboard.press(key);
    await page.waitForFunction(() => window.copied !== undefined).catch(() => {});
    const copied = await page.evaluate(() => window.copied);
    if (copied?.trim() !== command) report(`the key ${JSON.stringify(key)} copies ${copied}`);
  }
}

// The page must say that it is out of date. This is the last check, because it kills the normalizer.
async function lost(page, job, report) {
  const status = await figures(page, "#live-status");
  job.lost = true;
  process.kill(job.process, "SIGKILL");
  const changed = (text) => document.querySelector("#live-status").innerText !== text;
  await page.waitForFunction(changed, status).catch(() => report(`without its normalizer the page shows ${status}`));
  const shown = await figures(page, "#live-status");
  if (!/lost|disconnected|no connection|reconnect/i.test(shown)) report(`a lost connection is shown as ${shown}`);
}

export const liveChecks = [
  { name: "figures", run: flow },
  { name: "command", run: copy },
  { name: "lost connection", run: lost },
];
