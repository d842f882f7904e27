// The dialog: the video with sound, takes and languages side by side, why and how it was made, or what to do.
"use strict";
(() => {
  const { el } = I2V;
  const dialog = document.getElementById("details");
  let current = null, links = null, wanted = 0;

  const player = (source, label, options) => {
    const video = el("video", { src: source, controls: true, playsinline: true, loop: true, preload: "metadata", "aria-label": label, poster: (options || {}).poster });
    video.addEventListener("error", () => video.replaceWith(el("p", { class: "missing" }, "The video is not in this copy.")), { once: true });
    return video;
  };

  const tile = (label, marks, source, extra) => el("figure", { class: "tile" },
    source ? player(source, label) : el("p", { class: "missing" }, "No video yet"),
    el("figcaption", {}, el("strong", {}, label), ...marks, extra || null));

  // Several videos side by side, with one button that starts all of them from the beginning, silent but for none.
  const side = (title, tiles) => {
    const box = el("section", { class: "side" });
    const together = el("button", {
      type: "button", class: "plain", onclick: () => {
        for (const video of box.querySelectorAll("video")) { video.muted = true; video.currentTime = 0; video.play().catch(() => null); }
      },
    }, "Play all together");
    box.append(el("div", { class: "sidehead" }, el("h3", {}, title), together), el("div", { class: "tiles" }, ...tiles));
    return box;
  };

  const list = (title, items) => (items && items.length
    ? el("section", {}, el("h3", {}, title), el("ul", {}, ...items.map((item) => el("li", {}, item)))) : null);

  // The shots of a film in order, each a way to its clip.
  const shots = (all) => el("section", {}, el("h3", {}, "Shots"), el("ol", { class: "shots" }, ...all.map(([clip, what, cost]) => el("li", {},
    links.has(clip) ? el("button", { type: "button", class: "link", onclick: () => links.go(clip) }, clip) : el("span", {}, clip),
    el("span", { class: "quiet" }, what), el("span", { class: "quiet price" }, I2V.money(cost))))));

  const answer = (row, details) => {
    const box = el("section", { class: `answer ${row.status}` });
    if (details.title) box.append(el("p", { class: "lead" }, details.title));
    for (const [what, limit, remedy] of details.problems || []) {
      box.append(el("dl", {},
        el("dt", {}, "What"), el("dd", {}, what),
        ...(limit ? [el("dt", {}, "Limit"), el("dd", {}, limit)] : []),
        ...(remedy ? [el("dt", {}, "What to do"), el("dd", { class: "todo" }, remedy)] : [])));
    }
    if (row.picture) box.prepend(I2V.sourcePicture(row));
    if (row.command) box.append(I2V.command(row.command));
    if (details.next) box.append(el("p", { class: "quiet" }, `What happens next: ${details.next}`));
    return box;
  };

  const facts = (row, details) => {
    const price = I2V.money(row.cost);
    const size = row.width ? `${row.width} × ${row.height}${row.seconds ? `, ${row.seconds} s` : ""}` : "";
    const all = [
      ["Kind", row.film ? "Film" : ""], ["Status", I2V.STATUSES[row.status]], ["Route", I2V.ROUTES[row.route] || ""], ["When", `${row.when} ${I2V.store.index.zone}`],
      [row.film ? (row.estimated ? "Its shots, about" : "Paid for its shots") : row.estimated ? "Price, about" : "Paid", price && row.sandbox ? `${price} play money` : price], ["Video", size],
      ["Quality", row.quality === null ? "" : row.quality.toFixed(2)],
      ["Credentials", row.status !== "delivered" ? "" : row.signed ? "signed (C2PA)" : "unsigned"], ...(details.facts || []),
    ];
    return el("dl", { class: "facts" }, ...all.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  };

  const body = (row, details) => {
    const delivered = row.status === "delivered";
    const main = el("div", { class: "main" });
    if (delivered) {
      const video = player(`${row.folder}video.mp4`, `Video of ${row.clip}`, { poster: row.poster ? `${row.folder}poster.jpg` : null });
      video.classList.add("big");
      main.append(video);
    }
    if (!delivered || details.title) main.append(answer(row, details));
    if (row.film && (details.shots || []).length) main.append(shots(details.shots));
    const takes = details.takes || [];
    if (takes.length > 1) {
      main.append(side("Takes", takes.map(([number, seed, source, quality, best]) => tile(`Take ${number}`, [
        el("span", {}, `seed ${seed}`), quality === null ? null : el("span", {}, `quality ${quality.toFixed(2)}`),
        best ? el("span", { class: "badge chosen" }, "Chosen") : null], source))));
    }
    const languages = details.languages || [];
    if (languages.length > 1) {
      main.append(side("Languages", languages.map(([language, clip, source]) => tile(language, [], source,
        clip === row.clip ? el("span", { class: "badge chosen" }, "This one") : el("button", { type: "button", class: "link", onclick: () => links.go(clip) }, clip)))));
    }
    const aside = el("div", { class: "aside" },
      row.sandbox ? el("p", { class: "banner" }, I2V.store.index.sandboxNote) : null,
      details.prompt ? el("section", {}, el("h3", {}, "Prompt"), el("p", { class: "prompt" }, details.prompt)) : null,
      facts(row, details), details.films ? el("section", {}, el("h3", {}, "Part of"), el("ul", {}, ...details.films.map((name) => el("li", {},
        el("button", { type: "button", class: "link", onclick: () => links.go(`film:${name}`) }, name))))) : null, list("Why this route", details.reasons), list("Findings", details.findings), list("Made from", details.media),
      el("p", { class: "files" },
        ...(delivered ? [el("a", { href: `${row.folder}video.mp4`, download: `${row.clip}.mp4` }, "Video"), el("a", { href: `${row.folder}manifest.json` }, "Manifest")] : []),
        details.note ? el("a", { href: details.note }, "The text file") : null));
    return el("div", { class: "body" }, main, aside);
  };

  const head = (row) => el("header", {},
    el("h2", { id: "d-title", tabindex: "-1" }, row.clip),
    row.film ? el("span", { class: "badge film" }, "Film") : null,
    row.sandbox ? el("span", { class: "badge sandbox" }, "Sandbox") : null,
    el("div", { class: "steps" },
      el("button", { type: "button", class: "plain step", "aria-label": "Previous clip", disabled: !links.before, onclick: () => links.before() }, "‹"),
      el("button", { type: "button", class: "plain step", "aria-label": "Next clip", disabled: !links.after, onclick: () => links.after() }, "›"),
      el("button", { type: "button", class: "plain step", "aria-label": "Close", onclick: () => dialog.close() }, "×")));

  I2V.details = async (row, callbacks) => {
    const turn = ++wanted;
    const held = document.activeElement && dialog.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : "";
    current = row;
    links = callbacks;
    const loading = el("p", { class: "quiet", role: "status" }, "Loading …");
    dialog.replaceChildren(head(row), loading);
    if (!dialog.open) dialog.showModal();
    const again = held ? [...dialog.querySelectorAll(".step")].find((one) => one.getAttribute("aria-label") === held && !one.disabled) : null;
    (again || dialog.querySelector("#d-title")).focus();
    try {
      const details = await I2V.detailsOf(row);
      if (turn !== wanted || !dialog.open) return;
      loading.replaceWith(details ? body(row, details) : el("p", {}, "The gallery was made again meanwhile. Reload the page."));
      dialog.scrollTop = 0;
    } catch (error) {
      if (turn === wanted) loading.textContent = `${error.message}. Is the whole folder gallery here?`;
    }
  };

  I2V.dialogOpen = () => dialog.open;
  I2V.closeDialog = () => dialog.close();

  dialog.addEventListener("close", () => { wanted += 1; dialog.replaceChildren(); if (links && current) links.closed(current); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target instanceof Element && event.target.closest("video")) return; // the arrows seek there
    if (event.key === "ArrowLeft" && links.before) { event.preventDefault(); links.before(); }
    if (event.key === "ArrowRight" && links.after) { event.preventDefault(); links.after(); }
  });
})();
