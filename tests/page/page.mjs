// Looks at the page with a browser, as its users do: with JavaScript and without, in light and dark, on a narrow screen,
// with a keyboard, while a folder of manifests changes. Prints a line for each thing that must hold.
//
// node page.mjs ADMIN FOLDER PICTURES; run.sh starts the server and says them.
import { writeFile, rename } from "node:fs/promises";
import { accessible, browser, check, finish, open as openAt, quiet, within } from "./browser.mjs";

const [admin, folder, pictures] = process.argv.slice(2);
const base = `http://${admin}`;
const open = (options, path) => openAt(base, options, path);

const SET = (name, replicas, service) => `apiVersion: v1
kind: Service
metadata: {name: ${service}}
spec: {clusterIP: None, selector: {app: ${name}}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ${name}}
spec: {serviceName: ${service}, replicas: ${replicas}, template: {metadata: {labels: {app: ${name}}}}}
`;
const put = async (name, replicas, service = name) => {
  const path = `${folder}/${name}.yaml`;
  await writeFile(`${path}.new`, SET(name, replicas, service));
  await rename(`${path}.new`, path);
};

// The demo, in all of its looks.
for (const scheme of ["light", "dark"]) {
  const page = await open({ colorScheme: scheme, viewport: { width: 1200, height: 900 } });
  await page.locator("#live", { hasText: "live" }).waitFor();
  await accessible(`the page, ${scheme}`, page);
  await page.screenshot({ path: `${pictures}/page-${scheme}.png`, fullPage: true });
  await page.goto("/explain?name=web-9.nginx.default");
  await accessible(`a name, ${scheme}`, page);
  await page.screenshot({ path: `${pictures}/explain-${scheme}.png`, fullPage: true });
  await page.goto("/sets/default/web");
  await accessible(`a set, ${scheme}`, page);
  await page.screenshot({ path: `${pictures}/set-${scheme}.png`, fullPage: true });
  await quiet(scheme, page);
  await page.context().close();
}
{
  const page = await open({ viewport: { width: 320, height: 640 } });
  for (const path of ["/", "/explain?name=web-0.nginx.default&type=SRV", "/sets/default/web"]) {
    await page.goto(path);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(`${path} fits 320 pixels`, wide <= 320, `${wide} pixels`);
    await accessible(`${path}, narrow`, page);
  }
  await page.goto("/");
  await page.screenshot({ path: `${pictures}/page-narrow.png`, fullPage: true });
  await page.context().close();
}

// What changes is seen, and focus stays where it is.
{
  const page = await open({});
  const row = page.locator('[data-set="default/web"]');
  await page.locator("#live", { hasText: "live" }).waitFor();
  const before = await row.locator(".cell").count();
  await row.locator("h3 a").focus();
  await put("web", before + 1, "nginx");
  await within("a replica that was added is seen", row.locator(".cell").nth(before).waitFor({ timeout: 10_000 }));
  check("the focus stays", await page.evaluate(() => document.activeElement?.closest("[data-set]")?.dataset.set) === "default/web");
  await within("the change is in the timeline", page.locator("#changes li", { hasText: `${before} → ${before + 1} replicas` }).first().waitFor({ timeout: 10_000 }));
  await put("aaa", 2);
  await within("a set that is new is seen in its place", page.locator('#sets > :first-child[data-set="default/aaa"] .cell').nth(1).waitFor({ timeout: 10_000 }));
  await put("web", before, "nginx");
  await within("a replica that is gone is gone", row.locator(".cell").nth(before).waitFor({ state: "detached", timeout: 10_000 }));
  await quiet("live", page);

  // By keyboard alone.
  await page.goto("/");
  await page.keyboard.press("Tab");
  check("the first stop leads to the content", await page.evaluate(() => document.activeElement.className) === "skip");
  await page.locator('input[name="name"]').focus();
  await page.keyboard.type("web-0.nginx.default");
  await page.keyboard.press("Enter");
  await within("a name is explained by keyboard", page.locator("main", { hasText: "NOERROR" }).waitFor({ timeout: 10_000 }));
  await page.context().close();
}

// All of it without JavaScript.
{
  const page = await browser.newContext({ baseURL: base, javaScriptEnabled: false }).then((context) => context.newPage());
  await page.goto("/");
  const text = await page.locator("main").innerText();
  check("without JavaScript: sets, changes and health", ["default/web", "Last changes", "Health"].every((part) => text.includes(part)));
  await page.locator('input[name="name"]').fill("nginx.default");
  await page.locator("button").click();
  await within("without JavaScript: a name is explained", page.locator("main", { hasText: "NOERROR" }).waitFor({ timeout: 10_000 }));
  await page.context().close();
}

// A thousand sets, of which a hundred change each second.
{
  const sets = Array.from({ length: 1000 }, (_, number) => `many-${String(number).padStart(4, "0")}`);
  for (const name of sets) await put(name, 3);
  const page = await open({ viewport: { width: 1200, height: 900 } });
  await within("a thousand sets are there", page.waitForFunction(() => document.querySelectorAll("[data-set]").length >= 1000, undefined, { timeout: 30_000 }));
  await page.reload({ waitUntil: "load" });
  await page.locator("#live", { hasText: "live" }).waitFor();
  await page.waitForTimeout(2000);
  await page.evaluate(() => { window.longest = 0; window.changes = 0; new EventSource("/api/v1/events").addEventListener("change", () => { window.changes += 1; }); });
  const start = performance.now();
  let turn = 0;
  const updated = page.locator('[data-set="default/many-0000"] .cell').nth(3).waitFor({ timeout: 30_000 });
  while (performance.now() - start < 8000) {
    const due = start + turn * 100;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    for (let one = 0; one < 10; one += 1) await put(sets[(turn * 10 + one) % 1000], 4 + Math.floor(turn / 100));
    turn += 1;
    if (turn % 10 === 0) await page.mouse.wheel(0, turn % 20 === 0 ? -4000 : 4000);
  }
  const seconds = (performance.now() - start) / 1000;
  await within("a row in sight is up to date", updated);
  const { longest, changes } = await page.evaluate(() => ({ longest: window.longest, changes: window.changes }));
  console.log(`     ${Math.round((turn * 10) / seconds)} sets were written a second, ${Math.round(changes / seconds)} changes were told`);
  check("no task of the page took 100 ms", longest < 100, `the longest took ${Math.round(longest)} ms`);
  check("changes were told meanwhile", changes >= 100, `${changes}`);
  await quiet("a thousand sets", page);
  await page.context().close();
}

await finish();
