// Puts the page together: the rows, the page of cards in view, the address.
"use strict";
(() => {
  const PER_PAGE = 48; // fills whole lines of 2, 3, 4 and 6 cards, and keeps the document small
  const $ = (id) => document.getElementById(id);
  const { index } = I2V.store;
  if (!index) {
    $("count").textContent = "The gallery's data (data/index.js) could not be loaded. Is the whole folder gallery here?";
    return;
  }
  const rows = index.rows.map(I2V.row);
  const byClip = new Map(rows.map((row) => [row.key, row]));
  const things = rows.some((row) => row.film) ? "clips and films" : rows.length === 1 ? "clip" : "clips";
  let shown = rows, page = 0;

  const pages = () => Math.max(1, Math.ceil(shown.length / PER_PAGE));

  const address = (clip) => {
    const parts = I2V.address(page);
    if (clip) parts.set("clip", clip);
    const text = parts.toString();
    if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  };

  const draw = () => {
    I2V.stopPlaying();
    page = Math.min(page, pages() - 1);
    const start = page * PER_PAGE;
    $("grid").replaceChildren(...shown.slice(start, start + PER_PAGE).map((row) => I2V.card(row, () => open(row))));
    const all = I2V.number(rows.length);
    $("count").textContent = !rows.length ? "No clips yet. Upload an image to the bucket's folder uploads, and its video appears here."
      : !shown.length ? `None of ${all} ${things} fits. Clear a filter to see more.`
        : shown.length === rows.length ? `${all} ${things}` : `${I2V.number(shown.length)} of ${all} ${things}`;
    $("pager").hidden = pages() < 2;
    $("page").textContent = `Page ${I2V.number(page + 1)} of ${I2V.number(pages())}`;
    $("prev").disabled = page === 0;
    $("next").disabled = page >= pages() - 1;
  };

  const refresh = () => { shown = I2V.select(rows); page = 0; draw(); address(); };

  const turn = (by) => {
    page += by;
    draw();
    address();
    $("clips").focus({ preventScroll: true });
    $("clips").scrollIntoView({ behavior: I2V.calm() ? "auto" : "smooth" });
  };

  const open = (row) => {
    I2V.stopPlaying();
    const at = shown.indexOf(row);
    I2V.details(row, {
      before: at > 0 ? () => open(shown[at - 1]) : null,
      after: at >= 0 && at < shown.length - 1 ? () => open(shown[at + 1]) : null,
      has: (clip) => byClip.has(clip),
      go: (clip) => { const other = byClip.get(clip); if (other) open(other); },
      closed: (last) => {
        const place = shown.indexOf(last);
        if (place >= 0 && Math.floor(place / PER_PAGE) !== page) { page = Math.floor(place / PER_PAGE); draw(); }
        address();
        const card = [...$("grid").children].find((one) => one.dataset.clip === last.key);
        if (card) card.querySelector(".name").focus();
      },
    });
    address(row.key);
  };

  const follow = async () => {
    const parts = new URLSearchParams(location.hash.slice(1));
    await Promise.resolve(I2V.restore(parts)).catch(() => null);
    shown = I2V.select(rows);
    page = Math.max(0, Number.parseInt(parts.get("page") || "1", 10) - 1 || 0);
    draw();
    const row = byClip.get(parts.get("clip") || "");
    if (row) open(row);
  };

  $("made").textContent = `${index.made} ${index.zone}`;
  const { sandbox } = index.totals;
  const clips = rows.filter((row) => !row.film).length;
  if (sandbox) {
    $("sandbox").hidden = false;
    $("sandbox").textContent = sandbox === clips ? `Every clip here is a sandbox clip. ${index.sandboxNote}` : `${I2V.number(sandbox)} of ${I2V.number(clips)} clips ${sandbox === 1 ? "is a sandbox clip" : "are sandbox clips"}. ${index.sandboxNote}`;
  }
  I2V.totals(rows);
  I2V.chart((day) => { $("from").value = day; $("to").value = day; refresh(); });
  I2V.startFilters(rows, refresh);
  $("prev").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); $("q").focus(); }
  });
  follow();
})();
