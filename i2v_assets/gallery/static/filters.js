// Which clips and films are shown: the filter's state, its fields, and its spelling in the address (so a view can be shared).
"use strict";
(() => {
  const { el } = I2V;
  const $ = (id) => document.getElementById(id);
  const FIELDS = ["q", "from", "to", "min", "max", "sort"];
  const CHIPS = ["kind", "status", "route"];
  const chosen = Object.fromEntries(CHIPS.map((name) => [name, new Set()]));
  let folded = null; // the prompts, folded, once a search needed them

  const state = () => Object.fromEntries(FIELDS.map((name) => [name, $(name).value.trim()]));

  // Loads the prompts when a search starts; without them names are searched.
  const ready = () => {
    if (folded || !$("q").value.trim()) return null;
    return I2V.load("prompts").then((prompts) => { folded = prompts.map(I2V.fold); });
  };

  const matcher = () => {
    const s = state();
    const words = I2V.fold(s.q).split(/\s+/).filter(Boolean);
    const low = s.min === "" ? null : Number(s.min) * 1e6, high = s.max === "" ? null : Number(s.max) * 1e6;
    const priced = low !== null || high !== null;
    const found = (row) => words.every((word) => row.name.includes(word) || (folded && folded[row.prompt].includes(word)));
    const rest = (row) => (!s.from || row.day >= s.from) && (!s.to || row.day <= s.to)
      && (!priced || (row.cost !== null && (low === null || row.cost >= low) && (high === null || row.cost <= high)))
      && found(row);
    // All chips but those of one name: a button counts what it would show.
    const fits = (row, but) => CHIPS.every((name) => name === but || !chosen[name].size || chosen[name].has(row[name]));
    return { all: (row) => fits(row, "") && rest(row), but: (name, row) => fits(row, name) && rest(row) };
  };

  const last = (value, down) => (value === null ? (down ? -1 : Infinity) : value);
  const ORDERS = {
    new: (a, b) => a.at - b.at,
    old: (a, b) => b.at - a.at,
    name: (a, b) => (a.clip < b.clip ? -1 : 1),
    dear: (a, b) => last(b.cost, true) - last(a.cost, true) || a.at - b.at,
    best: (a, b) => last(b.quality, true) - last(a.quality, true) || a.at - b.at,
    worst: (a, b) => (last(a.quality) === last(b.quality) ? a.at - b.at : last(a.quality) - last(b.quality)),
  };

  I2V.select = (rows) => {
    const match = matcher();
    const counts = { kind: {}, status: {}, route: {} };
    const shown = [];
    for (const row of rows) {
      for (const name of CHIPS) if (match.but(name, row)) counts[name][row[name]] = (counts[name][row[name]] || 0) + 1;
      if (match.all(row)) shown.push(row);
    }
    const order = $("sort").value;
    if (order !== "new") shown.sort(ORDERS[order] || ORDERS.new);
    for (const [name, values] of Object.entries(counts)) {
      for (const chip of $(name).children) chip.lastElementChild.textContent = I2V.number(values[chip.dataset.value] || 0);
    }
    $("reset").hidden = !I2V.filtered();
    const active = picked() + ["from", "to", "min", "max"].filter((name) => $(name).value).length;
    $("more").textContent = active ? `Filters (${active})` : "Filters";
    return shown;
  };

  const picked = () => CHIPS.reduce((sum, name) => sum + chosen[name].size, 0);
  I2V.filtered = () => picked() > 0 || FIELDS.some((name) => name !== "sort" && $(name).value !== "");

  const chip = (name, value, label, changed) => el("button", {
    type: "button", class: `chip ${name} ${value}`, "data-value": value, "aria-pressed": "false",
    onclick: (event) => {
      const on = !chosen[name].has(value);
      chosen[name][on ? "add" : "delete"](value);
      event.currentTarget.setAttribute("aria-pressed", String(on));
      changed();
    },
  }, el("span", {}, label), el("span", { class: "n" }, "0"));

  I2V.address = (page) => {
    const s = state();
    const parts = new URLSearchParams();
    for (const name of CHIPS) if (chosen[name].size) parts.set(name, [...chosen[name]].join(","));
    for (const name of FIELDS) if (s[name] && !(name === "sort" && s[name] === "new")) parts.set(name, s[name]);
    if (page > 0) parts.set("page", String(page + 1));
    return parts;
  };

  I2V.restore = (parts) => {
    for (const name of FIELDS) $(name).value = parts.get(name) || (name === "sort" ? "new" : "");
    if (!$("sort").value) $("sort").value = "new";
    for (const name of CHIPS) {
      chosen[name] = new Set((parts.get(name) || "").split(",").filter(Boolean));
      for (const one of $(name).children) one.setAttribute("aria-pressed", String(chosen[name].has(one.dataset.value)));
    }
    return ready();
  };

  I2V.startFilters = (rows, changed) => {
    $("kinds").hidden = !rows.some((row) => row.film);
    for (const value of ["clip", "film"]) $("kind").append(chip("kind", value, I2V.KINDS[value], changed));
    for (const value of I2V.store.index.statuses) $("status").append(chip("status", value, I2V.STATUSES[value] || value, changed));
    for (const value of I2V.store.index.routes) $("route").append(chip("route", value, I2V.ROUTES[value] || value, changed));
    let timer = 0;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(() => Promise.resolve(ready()).catch(() => null).then(changed), 120); // between two key strokes
    };
    for (const name of FIELDS) $(name).addEventListener(name === "sort" ? "change" : "input", name === "sort" ? changed : soon);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("reset", (event) => {
      event.preventDefault();
      I2V.restore(new URLSearchParams({ sort: $("sort").value }));
      changed();
      $("q").focus();
    });
    $("more").addEventListener("click", () => {
      const open = $("fields").classList.toggle("open");
      $("more").setAttribute("aria-expanded", String(open));
    });
  };
})();
