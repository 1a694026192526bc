// What makes the pages live and good by keyboard. They work without it: every act is a form, every page has an address.
// Law of this file: no text of others becomes markup here. What is put in comes from our own server, which escapes it.
"use strict";

const root = document.body.dataset.root;
const live = document.getElementById("live");
const QUIET_MS = 700; // How long a button that has just appeared or moved does nothing: the click was meant for another one.
const HIDDEN_MS = 5000;

// --- the door ---

const door = document.querySelector("form[data-auto]");
if (door) {
  history.replaceState(null, "", "/login"); // The link works once; it need not stay in the history.
  door.requestSubmit();
}

// --- time ---

function span(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const words = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (left >= size || (unit === "s" && !words.length)) {
      words.push(Math.floor(left / size) + " " + unit);
      left %= size;
    } else if (words.length) break;
  }
  return words.slice(0, 2).join(" ");
}

function tick() {
  const now = Date.now() / 1000;
  for (const one of document.querySelectorAll("[data-since]")) one.textContent = span(now - one.dataset.since);
  for (const one of document.querySelectorAll("[data-until]")) one.textContent = span(one.dataset.until - now);
}

// --- what changed on the server comes into the page where it stands ---

function keyed(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id || null : null;
}

function same(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyed(one) === keyed(other);
}

// The next one of the same kind, of those that have no key.
function ahead(at, wanted) {
  while (at && !same(at, wanted)) at = at.nextSibling;
  return at;
}

// Make `old` what `fresh` is. What a person opened, typed or chose stays.
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "disabled" && name !== "class") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.matches("input, select, textarea") || old.isEqualNode(fresh)) return;
  const byKey = new Map();
  for (const child of old.children) if (keyed(child)) byKey.set(keyed(child), child);
  const stays = new Set([...fresh.children].map(keyed));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    let found = at && same(at, child) && !keyed(child) ? at : null;
    if (keyed(child)) found = byKey.get(keyed(child)) || null;
    else if (!found && child.nodeType === Node.ELEMENT_NODE) found = ahead(at, child);
    // What is to stay is not moved: that would take the focus from it, and it from under a pointer.
    while (found && at && at !== found && !(keyed(at) && stays.has(keyed(at)))) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    if (found && same(found, child)) {
      if (found === at) at = at.nextSibling;
      else old.insertBefore(found, at);
      morph(found, child);
    } else {
      const added = document.importNode(child, true);
      if (keyed(added)) added.classList.add("fresh");
      old.insertBefore(added, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

let loading = false;
let again = false;

async function refresh() {
  if (!live || !live.dataset.live) return;
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    const address = live.dataset.live + (live.dataset.live.includes("?") ? "&" : "?") + "part=live";
    const answer = await fetch(address, { credentials: "same-origin", redirect: "error" });
    if (answer.status === 401) return location.reload(); // That page says how to log in.
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = ticketOf(document);
    const asked = questionOf(document);
    const holder = document.createElement("div");
    holder.append(...fresh.body.childNodes);
    for (const { name, value } of [...live.attributes]) holder.setAttribute(name, value);
    const field = live.querySelector("form.filter");
    const newField = holder.querySelector("form.filter");
    if (field && newField && field.contains(document.activeElement)) newField.replaceWith(field.cloneNode(true));
    const told = live.querySelector(".said"); // It stays as long as the page, so that nothing moves.
    if (told && !holder.querySelector(".said")) holder.prepend(told.cloneNode(true));
    morph(live, holder);
    const now = ticketOf(document);
    if (now && now !== before) {
      live.dataset.live = root + "/tickets/" + encodeURIComponent(now);
      live.dataset.subjects = "tickets";
    }
    if (questionOf(document) !== asked) hold();
    tick();
  } catch {
    // The stream says so when the server is gone.
  } finally {
    loading = false;
    if (again) {
      again = false;
      setTimeout(refresh, 250);
    }
  }
}

function ticketOf(page) {
  const one = page.querySelector("[data-ticket]");
  return one ? one.dataset.ticket : "";
}

// The key differs if another question has the same ticket.
function questionOf(page) {
  const one = page.querySelector("[data-ticket]");
  return one ? one.dataset.key : "";
}

// A button that has just appeared is not what somebody meant to press.
function hold() {
  for (const form of document.querySelectorAll("[data-armed]")) {
    form.dataset.held = "yes";
    setTimeout(() => delete form.dataset.held, QUIET_MS);
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.held || form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.matches("[data-armed]")) form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

// --- the stream ---

const state = document.getElementById("state");
const word = document.getElementById("state-word");
let seen = live ? parsed(live.dataset.counts || "") : {}; // As the page was made: what changed since is not lost.
let stream = null;
let idle = 0;

function show(kind, said) {
  if (!state) return;
  if (state.dataset.state !== kind) state.dataset.state = kind;
  if (word.textContent !== said) word.textContent = said;
}

function lost(said) {
  show("lost", said);
  if (stream) stream.close();
  stream = null;
}

function parsed(counts) {
  return Object.fromEntries(counts.split(" ").map((part) => part.split("=")));
}

function heard(event) {
  show("live", "live");
  const now = parsed(event.data);
  const changed = Object.keys(now).filter((name) => now[name] !== seen[name]);
  const more = Number(now.waiting) > Number(seen.waiting);
  seen = now;
  counted("waiting-count", Number(now.waiting));
  counted("held-count", Number(now.held));
  titled(Number(now.waiting));
  const mine = (live.dataset.subjects || "").split(" ");
  const stale = document.body.dataset.stale === "yes";
  if (changed.some((name) => mine.includes(name)) || stale) refresh().then(() => more && announce());
  else if (more) announce();
  delete document.body.dataset.stale;
}

function counted(id, count) {
  const pill = document.getElementById(id);
  pill.textContent = String(count);
  pill.hidden = count === 0;
}

function titled(waiting) {
  document.title = (waiting ? "(" + waiting + ") " : "") + document.title.replace(/^\(\d+\) /, "");
}

function announce() {
  const rows = document.querySelectorAll("#waits .target");
  const what = rows.length ? rows[rows.length - 1].textContent.trim() : "";
  document.getElementById("announce").textContent = "A call waits for you" + (what ? ": " + what : "");
}

function listen() {
  if (stream || document.hidden) return;
  stream = new EventSource(root + "/events");
  stream.onmessage = heard;
  stream.onerror = () => {
    if (!stream || stream.readyState === EventSource.CLOSED) {
      lost("disconnected");
      refresh(); // It may be that somebody logged out in another tab.
    }
    else show("lost", "reconnecting");
    document.body.dataset.stale = "yes";
  };
}

// A browser opens six connections to a server: pages that nobody sees must not hold them all.
document.addEventListener("visibilitychange", () => {
  clearTimeout(idle);
  if (document.hidden) idle = setTimeout(() => {
    if (stream) stream.close();
    stream = null;
    document.body.dataset.stale = "yes";
  }, HIDDEN_MS * 12);
  else if (root) listen();
});

// --- keys ---

function moves() {
  return [...document.querySelectorAll("[data-move]")].filter((one) => one.offsetParent !== null);
}

function move(by) {
  const all = moves();
  if (!all.length) return;
  let at = all.indexOf(document.activeElement);
  if (at < 0) at = all.findIndex((one) => one.hasAttribute("aria-current"));
  const inQueue = document.querySelector(".queue") !== null;
  const next = at < 0 ? (inQueue ? 0 : by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
  all[next].focus({ preventScroll: true });
  all[next].scrollIntoView({ block: "nearest" });
}

function focusOn(id) {
  const one = document.getElementById(id);
  if (!one || one.disabled) return false;
  one.classList.add("armed");
  one.focus();
  return true;
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (typing || event.target.matches("button")) event.target.blur();
    return;
  }
  if (typing || document.querySelector("dialog[open]")) return;
  const acts = {
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    a: () => focusOn("approve-button") && said("Enter approves"),
    d: () => focusOn("reason") && said("Write a reason if you like; Enter denies"),
    "/": () => focusOn("filter") || go("decisions", "#filter"),
    "?": () => document.getElementById("help").showModal(),
    1: () => go("waiting"), 2: () => go("decisions"), 3: () => go("sessions"), 4: () => go("servers"),
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function said(text) {
  document.getElementById("announce").textContent = text;
  return true;
}

function go(view, part = "") {
  const link = document.querySelector('[data-goto="' + view + '"]');
  if (link) location.assign(link.href + part);
}

if (root) {
  document.addEventListener("keydown", pressed);
  const help = document.getElementById("help-button");
  help.hidden = false;
  help.addEventListener("click", () => document.getElementById("help").showModal());
  document.addEventListener("change", (event) => {
    if (event.target.matches("form.filter select")) event.target.form.requestSubmit();
  });
  const filter = document.getElementById("filter");
  if (filter && location.hash === "#filter") filter.focus();
  if (new URLSearchParams(location.search).has("said")) history.replaceState(null, "", location.pathname);
  hold();
  setInterval(tick, 1000);
  listen();
}
