// Looks at the page with a browser while kubectl scales a set of a real control plane: web, with the Service nginx and a
// volume for each of its replicas but web-2 and web-3. Prints a line for each thing that must hold.
//
// node cluster.mjs ADMIN PICTURES NAMESPACE KUBECTL KUBECONFIG VOLUME; tests/cluster/page.rs makes all of it and says them.
// VOLUME is a manifest of the volume that web-2 waits for.
import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { accessible, check, finish, open, quiet, sees } from "./browser.mjs";

const [admin, pictures, namespace, program, kubeconfig, volume] = process.argv.slice(2);
const base = `http://${admin}`;
// The longest of what is waited for: the controllers' turn, rollcall's next look at the pods of a set, a busy machine.
const LIMIT = 40_000;

const kubectl = async (...args) => {
  const of = ["--kubeconfig", kubeconfig, "--namespace", namespace];
  // Its cache lies beside the kubeconfig.
  const { stdout } = await promisify(execFile)(program, [...of, ...args], { env: { ...process.env, HOME: dirname(kubeconfig) } });
  return stdout.trim();
};
const scale = (replicas) => kubectl("scale", "statefulset", "web", `--replicas=${replicas}`);
const hold = (pod, value) => kubectl("annotate", "--overwrite", "pod", pod, `rollcall.test/terminating=${value}`);
const addresses = (pod) => kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIPs[*].ip}");
const sorted = (words) => words.split(" ").sort().join(" ");

const page = await open(base, { viewport: { width: 1200, height: 900 } });
await page.evaluate(() => { window.isTheFirst = true; });
const row = page.locator(`[data-set="${namespace}/web"]`);
// "0 ready, 1 missing": the cells in their order, each with what its colour says.
const cells = async () => {
  const all = await row.locator(".cell").evaluateAll((found) => found.map((cell) => {
    const state = cell.className.replace("cell ", "");
    return `${cell.querySelector("b").textContent} ${state}${cell.textContent.includes("not wanted") ? ", not wanted" : ""}`;
  }));
  return all.join("; ");
};
const cell = (ordinal) => row.locator(".cell").nth(ordinal);
const reasons = async () => (await row.locator(".why").allInnerTexts()).join("\n");
const changes = () => page.locator("#changes").innerText();

// A page beside the one that is followed, which must not be left.
const asked = await open(base, { viewport: { width: 1200, height: 900 } });
const explain = async (name) => {
  await asked.goto("/");
  await asked.locator('input[name="name"]').fill(`${name}.${namespace}`);
  await asked.locator("button").click();
  await asked.locator("main h2", { hasText: `${name}.${namespace}.svc.` }).waitFor();
  return asked.locator("main").innerText();
};
const tells = (what, text, part) => {
  const holds = part instanceof RegExp ? part.test(text) : text.includes(part);
  check(what, holds, holds ? "" : `${part} is not in ${text}`);
};
const unbound = (pod) => new RegExp(
  `${pod} is Pending: claim www-${pod} is not bound \\(storageClass nfs\\); 0/\\d+ nodes are available: pod has unbound`,
);

await page.locator("#live", { hasText: "live" }).waitFor();
await sees("two replicas are ready, the third is missing", cells, "0 ready; 1 ready; 2 missing", LIMIT);
await sees("the row says what web-2 waits for, with the scheduler's words", reasons, unbound("web-2"), LIMIT);
{
  const text = await explain("web-2.nginx");
  tells("web-2 does not exist, in the box", text, "NXDOMAIN");
  tells("its claim and the scheduler are the reason", text, unbound("web-2"));
  tells("the way leads to the claim", text, `PersistentVolumeClaim ${namespace}/www-web-2: not bound`);
  const command = `kubectl -n ${namespace} describe pvc www-web-2`;
  tells("what to do is a command for the claim", text, command);
  tells("which shows it, and that it waits", await kubectl(...command.split(" ").slice(1)), /^Status:\s+Pending$/m);
  for (const scheme of ["light", "dark"]) {
    await asked.emulateMedia({ colorScheme: scheme });
    await accessible(`the claim's page, ${scheme}`, asked);
    await asked.screenshot({ path: `${pictures}/cluster-explain-${scheme}.png`, fullPage: true });
  }
}

await scale(4);
await sees("scaled up: a cell more", cells, "0 ready; 1 ready; 2 missing; 3 missing", LIMIT);
await sees("it waits for web-2", reasons, /web-3 does not exist yet: StatefulSet web wants 4 and waits for web-2/, LIMIT);
await sees("the timeline has it", changes, new RegExp(`${namespace}: StatefulSet web: 3 → 4 replicas`), LIMIT);

await kubectl("apply", "--server-side", "-f", volume);
await sees("there is a volume: web-2 is ready", cells, "0 ready; 1 ready; 2 ready; 3 missing", LIMIT);
const first = sorted(await addresses("web-2"));
const shown = async () => sorted((await cell(2).locator("code").allInnerTexts()).join(" "));
await sees("its cell has the addresses that kubectl shows", shown, first, LIMIT);
await sees("the timeline has it", changes, /web-2 is ready at /, LIMIT);
await sees("now web-3 waits for its claim", reasons, unbound("web-3"), LIMIT);
{
  const text = await explain("web-2.nginx");
  tells("web-2 is answered, in the box", text, "NOERROR");
  tells("with its address", text, first.split(" ")[0]);
}

await hold("web-2", "hold");
await scale(2);
await sees("scaled down: web-3 goes, web-2 is terminating", cells, "0 ready; 1 ready; 2 terminating, not wanted", LIMIT);
await sees("the timeline has it", changes, new RegExp(`${namespace}: StatefulSet web: 4 → 2 replicas`), LIMIT);
for (const scheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme: scheme });
  await accessible(`the page, ${scheme}`, page);
  await page.screenshot({ path: `${pictures}/cluster-page-${scheme}.png`, fullPage: true });
}
await hold("web-2", "no");
await sees("its pod is gone, and its cell", cells, "0 ready; 1 ready", LIMIT);
await sees("what the set's replicas are is explained", () => explain("web-2.nginx"), /web-2 does not exist: StatefulSet web has replicas 2/, LIMIT);

await scale(3);
await sees("scaled up: web-2 is back with its volume", cells, "0 ready; 1 ready; 2 ready", LIMIT);
const second = sorted(await addresses("web-2"));
check("at other addresses", first !== second, second);
await sees("which its cell has", shown, second, LIMIT);

check("all of it without loading the page again", await page.evaluate(() => window.isTheFirst === true));
await quiet("a real cluster", page);
await quiet("the box", asked);
await finish();
