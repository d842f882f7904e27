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
  let following = false; // the address has changed already, and the page follows it
  let left = null; // the clip whose dialog was closed, while the address goes back

  const pages = () => Math.max(1, Math.ceil(shown.length / PER_PAGE));

  const address = (clip) => {
    const parts = I2V.address(page);
    if (clip) parts.set("clip", clip);
    const text = parts.toString();
    const to = text ? `#${text}` : location.pathname + location.search;
    // A dialog is a step of its own, so that Back (all that a phone has) closes it; looking on from it is no further step.
    if (clip && !I2V.dialogOpen() && !following) history.pushState({ dialog: true }, "", to);
    else if (text !== location.hash.slice(1)) history.replaceState(history.state, "", to);
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
    address(row.key);
    I2V.details(row, {
      before: at > 0 ? () => open(shown[at - 1]) : null,
      after: at >= 0 && at < shown.length - 1 ? () => open(shown[at + 1]) : null,
      has: (clip) => byClip.has(clip),
      go: (clip) => { const other = byClip.get(clip); if (other) open(other); },
      closed: (last) => {
        if (history.state && history.state.dialog) { left = last; history.back(); } else stand(last);
      },
    });
  };

  // Back on the page: at the clip that was looked at last.
  const stand = (last) => {
    const place = shown.indexOf(last);
    if (place >= 0 && Math.floor(place / PER_PAGE) !== page) { page = Math.floor(place / PER_PAGE); draw(); }
    address();
    const card = [...$("grid").children].find((one) => one.dataset.clip === last.key);
    if (card) card.querySelector(".name").focus();
  };

  const follow = async () => {
    if (left) { const last = left; left = null; stand(last); return; }
    const parts = new URLSearchParams(location.hash.slice(1));
    if (I2V.dialogOpen() && !parts.has("clip")) { I2V.closeDialog(); return; }
    await Promise.resolve(I2V.restore(parts)).catch(() => null);
    shown = I2V.select(rows);
    page = Math.max(0, Number.parseInt(parts.get("page") || "1", 10) - 1 || 0);
    draw();
    const row = byClip.get(parts.get("clip") || "");
    following = true;
    if (row) open(row);
    following = false;
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
  addEventListener("popstate", follow); // also when a person edits the address
  // The address is the view; a fragment of its own would take the focus again when a dialog's step is gone back.
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("clips").focus(); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); $("q").focus(); }
  });
  follow();
})();
