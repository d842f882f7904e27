// Loads the data (scripts that call I2V.put, so that the page works from a local copy) and knows how to say things.
"use strict";
const I2V = { store: {}, waiting: {} };

I2V.put = (name, value) => { I2V.store[name] = value; };

// Resolves with the data file's value; loads it once.
I2V.load = (name) => {
  if (name in I2V.store) return Promise.resolve(I2V.store[name]);
  if (!I2V.waiting[name]) {
    I2V.waiting[name] = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js?v=${I2V.store.index.version}`;
      script.onload = () => (name in I2V.store ? resolve(I2V.store[name]) : script.onerror());
      script.onerror = () => { delete I2V.waiting[name]; script.remove(); reject(new Error(`data/${name}.js could not be loaded`)); };
      document.head.append(script);
    });
  }
  return I2V.waiting[name];
};

// One clip or film of the index; `at` is its place, which names its file of details. A film may have the name of a clip.
I2V.row = (r, at) => ({
  at, clip: r[0], key: (r[5] & 16) > 0 ? `film:${r[0]}` : r[0], film: (r[5] & 16) > 0, kind: (r[5] & 16) > 0 ? "film" : "clip", status: I2V.store.index.statuses[r[1]], route: r[2] < 0 ? "" : I2V.store.index.routes[r[2]],
  when: r[3], day: r[3].slice(0, 10), cost: r[4], sandbox: (r[5] & 1) > 0, estimated: (r[5] & 2) > 0, poster: (r[5] & 4) > 0,
  signed: (r[5] & 8) > 0, seconds: r[6], width: r[7], height: r[8], quality: r[9], takes: r[10], language: r[11],
  prompt: r[12], folder: r[13], what: r[14], remedy: r[15], command: r[16], picture: (r[5] & 32) > 0, name: I2V.fold(r[0]),
});

I2V.detailsOf = (row) => I2V.load(`page-${String(Math.floor(row.at / I2V.store.index.pageSize)).padStart(3, "0")}`)
  .then((page) => page[row.key]);

// Lower case without accents, so that "helene" finds "Hélène".
I2V.fold = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

I2V.ROUTES = { animate: "Animate", lip_sync: "Lip sync", multi_modal: "Multi-modal" };
I2V.KINDS = { clip: "Clips", film: "Films" };
I2V.STATUSES = { settling: "Settling", working: "In work", delivered: "Delivered", waiting: "Waiting", failed: "Failed", refused: "Refused" };

I2V.money = (micro) => {
  if (micro === null || micro === undefined) return "";
  const digits = micro && micro < 10000 ? 4 : 2;
  return "$" + (micro / 1e6).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

// A length for people: 4.2 s, 40 s, 10:05.
I2V.length = (seconds) => (seconds < 60 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  : `${Math.floor(Math.round(seconds) / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`);

I2V.number = (n) => n.toLocaleString("en-US");

// A day such as 2026-03-01 for people: 1 Mar 2026.
I2V.day = (day) => new Date(day + "T12:00:00Z").toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

// Makes an element. Text only ever goes in as text, never as markup.
I2V.el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
};

// A command for people to copy; where the browser forbids that, it is selected.
I2V.command = (text) => {
  const code = I2V.el("code", {}, text);
  const button = I2V.el("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`, onclick: async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
  } }, "Copy");
  return I2V.el("p", { class: "command" }, code, button);
};

I2V.sourcePicture = (row) => I2V.el("img", { class: "source", src: `${row.folder}source.jpg`, alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.remove() });

I2V.calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
