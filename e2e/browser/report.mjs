// Checks of a report: a window of the heat map is chosen by mouse and by keyboard, and traces are opened both ways.

// Drags over the middle third of the heat map.
export async function brush(page) {
  const plot = page.locator("#heatmap-plot");
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.35, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, y, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.65, y, { steps: 4 });
  await page.mouse.up();
}

export const reportChecks = [];
