// Keeps the page as the server would render it now. Content is the server's in every case: this asks for the parts that
// changed and puts them in the place of the old ones, a few times a second at most, and only those that are in sight.
"use strict";
(() => {
  const list = document.getElementById("sets");
  const state = document.getElementById("live");
  const start = document.body.dataset.last;
  if (!list || !state || !start || !window.EventSource) return;

  const EVERY = 400; // ms between two updates
  const TOGETHER = 40; // sets of one update
  const filtered = list.dataset.filtered === "true";
  const rows = new Map(); // "namespace/name" → element
  const seen = new Set(); // those in sight
  const dirty = new Set(); // those that changed
  let changed = false; // the timeline and the numbers
  let busy = false;
  let timer = 0;

  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const key = target.dataset.set;
      if (!isIntersecting) seen.delete(key);
      else {
        seen.add(key);
        if (dirty.has(key)) soon();
      }
    }
  }, { rootMargin: "200px" });

  const take = (row) => {
    rows.set(row.dataset.set, row);
    sight.observe(row);
  };
  for (const row of list.children) take(row);

  const say = (text) => { if (state.textContent !== text) state.textContent = text; };

  const before = (one, other) => {
    const [a, b] = [one.split("/"), other.split("/")];
    return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
  };

  // A set that is new to the page: in its place among the others, which are sorted.
  const insert = (row) => {
    const key = row.dataset.set;
    let [low, high] = [0, list.children.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(list.children[middle].dataset.set, key)) low = middle + 1;
      else high = middle;
    }
    // Behind the last one of a page that is one of several, it belongs to the next.
    if (low === list.children.length && list.dataset.cut === "true") return;
    list.insertBefore(row, list.children[low] ?? null);
    take(row);
  };

  const place = (row) => {
    const key = row.dataset.set;
    const old = rows.get(key);
    if (!old) {
      if (!row.hidden && !filtered) insert(row);
      return;
    }
    if (!row.hidden && old.innerHTML === row.innerHTML) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    sight.unobserve(old);
    if (row.hidden) {
      old.remove();
      rows.delete(key);
      seen.delete(key);
      return;
    }
    old.replaceWith(row);
    take(row);
    row.classList.add("fresh");
    if (focused) row.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  };

  // In sight, or new; those out of sight wait until they come into it.
  const due = (key) => seen.has(key) || !rows.has(key);

  const update = async () => {
    if (busy) return;
    busy = true;
    const keys = [...dirty].filter(due).slice(0, TOGETHER);
    keys.forEach((key) => dirty.delete(key));
    changed = false;
    try {
      const query = ["roomy=" + list.dataset.roomy, ...keys.map((key) => "set=" + encodeURIComponent(key))];
      const answer = await fetch("/live?" + query.join("&"), { cache: "no-store", credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.statusText);
      const part = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["numbers", "changes", "health"]) {
        const [now, then] = [part.getElementById(id), document.getElementById(id)];
        if (now && then && now.outerHTML !== then.outerHTML) then.replaceWith(now);
      }
      for (const row of [...part.querySelectorAll("[data-set]")]) place(row);
    } catch {
      keys.forEach((key) => dirty.add(key));
      changed = true;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
    busy = false;
    if (changed || [...dirty].some(due)) soon();
  };

  const soon = () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      update();
    }, EVERY);
  };

  const all = () => {
    for (const key of rows.keys()) dirty.add(key);
    changed = true;
    soon();
  };

  const events = new EventSource("/api/v1/events?after=" + encodeURIComponent(start));
  events.addEventListener("open", () => say("live"));
  events.addEventListener("error", () => say("not live: trying again"));
  events.addEventListener("change", ({ data }) => {
    const { namespace, service, set } = JSON.parse(data);
    const key = `${namespace}/${set}`;
    if (set && (rows.has(key) || !filtered)) dirty.add(key);
    if (!set && service) {
      for (const [key, row] of rows) if (row.dataset.service === `${namespace}/${service}`) dirty.add(key);
    } else if (!set) all();
    changed = true;
    soon();
  });
  events.addEventListener("health", () => {
    // Another serial may be another reason alone, of what pods wait for, which is no change of the set.
    for (const [key, row] of rows) if (row.querySelector(".why")) dirty.add(key);
    changed = true;
    soon();
  });
  events.addEventListener("gap", all);
  events.addEventListener("end", () => say("the server is being stopped"));
  // A page that is left must not keep a stream, nor be kept from the back cache by it.
  window.addEventListener("pagehide", () => events.close());
  window.addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });
})();
