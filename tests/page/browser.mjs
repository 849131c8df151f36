// What the tests of the page share: a browser, pages that take down what it complains of, and a line for each thing that
// must hold. The browser is Debian's; CHROMIUM names another.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let [passed, failed] = [0, 0];

export const check = (what, holds, more = "") => {
  if (holds) passed += 1;
  else failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds && !more ? "" : `: ${more}`}`);
};

export const within = async (what, promise) => {
  const start = performance.now();
  try {
    await promise;
    check(what, true, `${Math.round(performance.now() - start)} ms`);
  } catch (error) {
    check(what, false, String(error).split("\n").slice(0, 6).join(" | "));
  }
};

// Looks until it is as expected, a text or a pattern; what was seen last is told when it never is.
export const sees = async (what, look, expected, limit) => {
  const start = performance.now();
  const accepts = (seen) => (expected instanceof RegExp ? expected.test(seen) : seen === expected);
  for (;;) {
    const over = performance.now() - start >= limit;
    const seen = await look();
    if (accepts(seen)) return check(what, true, `${Math.round(performance.now() - start)} ms`);
    if (over) return check(what, false, `not within ${limit} ms; last seen: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  // Containers of CI run as root, whose browser has no sandbox. It is shown this machine's own page alone.
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});

// A page that takes down whatever the browser complains of.
export const open = async (base, options, path = "/") => {
  const context = await browser.newContext({ baseURL: base, ...options });
  const page = await context.newPage();
  page.said = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) page.said.push(message.text()); });
  page.on("pageerror", (error) => page.said.push(String(error)));
  page.on("requestfailed", (request) => {
    // Neither a stream that is closed with its page is a failure, nor what was asked for when the page was left.
    const why = request.failure()?.errorText;
    if (!request.url().includes("/events") && why !== "net::ERR_ABORTED") page.said.push(`${request.url()}: ${why}`);
  });
  page.on("request", (request) => { if (!request.url().startsWith(base)) page.said.push(`elsewhere: ${request.url()}`); });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: "longtask" });
  });
  await page.goto(path, { waitUntil: "load" });
  return page;
};

export const quiet = async (what, page) => {
  const said = [...page.said, ...(await page.evaluate(() => window.violations))];
  check(`${what}: no error, no violation of the policy, nothing of elsewhere`, said.length === 0, said.join("; "));
};

// axe is evaluated by the test's own right, which the page's policy does not bind.
export const accessible = async (what, page) => {
  await page.evaluate(axeSource);
  const { violations, incomplete } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  const told = (found) => found.map(({ id, nodes }) => `${id} (${nodes.length}): ${nodes[0].html.slice(0, 160)}`).join("; ");
  check(`${what}: axe has no findings`, violations.length === 0, told(violations));
  if (incomplete.length) console.log(`     ${what}: axe could not decide ${told(incomplete)}`);
};

// Ends the process: with 0 where everything held.
export const finish = async () => {
  await browser.close();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
};
