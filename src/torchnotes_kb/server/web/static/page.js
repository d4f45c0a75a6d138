// Search as you type, run and edit in place, keys. Without it every form still works.
"use strict";

const words = document.body.dataset;
const partial = { headers: { "X-Partial": "1" } };

async function fetchPart(url, options = {}) {
  const response = await fetch(url, { ...partial, ...options, credentials: "same-origin" });
  // A session that has ended leads to the login form, which is no part of a page.
  if (response.redirected && new URL(response.url).pathname === "/login") location.reload();
  return response.text();
}

function setTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (root.dataset.theme || dark) === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* storage may be off */ }
}

// --- search ---------------------------------------------------------------------------------
const search = document.getElementById("search");
const hits = document.getElementById("hits");
let latest = 0;
let timer = 0;
let shown = search && asked().url; // what the hits on the page answer

function asked() {
  const query = new URLSearchParams(new FormData(search));
  if (!query.get("kind")) query.delete("kind");
  if (!query.get("q").trim()) query.delete("q");
  return { url: `/?${query}`, empty: !query.has("q") && !query.has("tag") };
}

async function showHits() {
  const mine = ++latest;
  const { url, empty } = asked();
  const html = empty ? "" : await fetchPart(url).catch(() => null);
  if (mine !== latest || html === null) return;
  hits.innerHTML = html;
  shown = url;
  history.replaceState(null, "", url);
  const other = document.getElementById("language");
  const there = new URL(location.href);
  there.searchParams.set("lang", new URL(other.href).searchParams.get("lang"));
  other.href = there.href;
  document.getElementById("welcome").hidden = !empty;
  document.querySelector(".hero").classList.toggle("small", !empty);
}

function choose(step) {
  const links = [...document.querySelectorAll("a.hit")];
  const now = links.indexOf(document.activeElement);
  const next = now + step;
  if (next < 0) return document.getElementById("q").focus();
  if (links[next]) links[next].focus();
}

if (search) {
  const box = document.getElementById("q");
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(showHits, 130);
  });
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    const first = document.querySelector("a.hit");
    if (first && document.activeElement === box && shown === asked().url) first.click();
    else showHits();
  });
  box.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text");
    if (!text.trim().includes("\n")) return;
    event.preventDefault();
    try { sessionStorage.setItem("traceback", text); } catch { return; }
    location.assign(`/explain?lang=${words.lang}`);
  });
}

// --- forms that answer in place ----------------------------------------------------------------
function post(form) {
  const result = form.querySelector(".result");
  const button = form.querySelector("button[type=submit]");
  const label = button.textContent;
  const stopper = new AbortController();
  form.stop = () => stopper.abort();
  button.textContent = words.stop;
  form.classList.add("busy");
  result.innerHTML = "";
  const waiting = document.createElement("p");
  waiting.className = "quiet waiting";
  waiting.textContent = words.running;
  result.append(waiting);
  return fetchPart(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    signal: stopper.signal,
  })
    .then((html) => { result.innerHTML = html; })
    .catch((error) => { waiting.textContent = error.name === "AbortError" ? "" : words.failed; })
    .finally(() => {
      button.textContent = label;
      form.classList.remove("busy");
      delete form.stop;
    });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form.example, form.live")) return;
  event.preventDefault();
  if (form.stop) form.stop();
  else post(form);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const form = button.closest("form.example");
  if (button.id === "theme") setTheme();
  else if (button.matches(".copy")) copy(button, form);
  else if (button.matches(".edit")) edit(button, form);
});

function copy(button, form) {
  const label = button.textContent;
  navigator.clipboard?.writeText(form.elements.code.value).then(() => {
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = label; }, 1200);
  });
}

function edit(button, form) {
  const area = form.elements.code;
  const shown = form.querySelector("pre.code");
  const open = area.hidden;
  area.hidden = !open;
  shown.hidden = open;
  button.setAttribute("aria-pressed", String(open));
  if (open) { fit(area); area.focus(); } else { shown.textContent = area.value; }
}

function fit(area) {
  area.rows = Math.min(40, Math.max(3, area.value.split("\n").length + 1));
}

// --- keys ----------------------------------------------------------------------------------------
document.addEventListener("keydown", (event) => {
  const field = event.target.matches("input, textarea");
  if (event.key === "/" && !field && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const box = document.getElementById("q");
    if (box) box.select(); else location.assign(`/?lang=${words.lang}`);
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
    event.preventDefault();
    event.target.form.requestSubmit();
  } else if (event.key === "ArrowDown" && (event.target.id === "q" || event.target.matches("a.hit"))) {
    event.preventDefault();
    choose(1);
  } else if (event.key === "ArrowUp" && event.target.matches("a.hit")) {
    event.preventDefault();
    choose(-1);
  } else if (event.key === "Tab" && !event.shiftKey && event.target.matches("textarea[name=code]") && event.target.selectionStart !== event.target.value.length) {
    event.preventDefault();
    event.target.setRangeText("    ", event.target.selectionStart, event.target.selectionEnd, "end");
  } else if (event.key === "Escape" && event.target.matches("form.example textarea")) {
    event.target.form.querySelector(".edit").click();
    event.target.form.querySelector(".edit").focus();
  }
});

document.addEventListener("input", (event) => {
  if (event.target.matches("form.example textarea")) fit(event.target);
});

// --- a traceback that was pasted into the search box, or here --------------------------------------
const explain = document.getElementById("explain");
if (explain) {
  try {
    const carried = sessionStorage.getItem("traceback");
    if (carried) {
      sessionStorage.removeItem("traceback");
      explain.elements.text.value = carried;
      explain.requestSubmit();
    }
  } catch { /* storage may be off */ }
  explain.elements.text.addEventListener("paste", () => setTimeout(() => explain.requestSubmit(), 0));
}
