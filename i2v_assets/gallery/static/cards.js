// One card per clip or film: the poster that plays on hover, focus or tap, and what there is to know at a glance.
"use strict";
(() => {
  const { el } = I2V;
  let playing = null;

  const stop = () => {
    if (!playing) return;
    const { video, button } = playing;
    playing = null;
    video.pause();
    video.remove(); // frees the decoder; the poster below shows again
    button.setAttribute("aria-pressed", "false");
    button.classList.remove("on");
  };

  const play = (button, row) => {
    if (playing && playing.button === button) return;
    stop();
    const video = el("video", { src: `${row.folder}video.mp4`, loop: true, playsinline: true, tabindex: "-1", "aria-hidden": "true" });
    video.muted = true;
    playing = { video, button };
    button.setAttribute("aria-pressed", "true");
    button.classList.add("on");
    video.addEventListener("playing", () => video.classList.add("shown"), { once: true });
    video.addEventListener("error", () => { button.classList.add("gone"); stop(); }, { once: true });
    button.append(video);
    video.play().catch(() => null); // refused autoplay or removed meanwhile: the poster stays
  };
  I2V.stopPlaying = stop;

  const media = (row, open) => {
    let started = ""; // what started it, so that the click that follows does not stop it at once
    const button = el("button", { type: "button", class: "media", "aria-pressed": "false", "aria-label": `Play a preview of ${row.clip}` });
    button.append(I2V.picture(row, true), el("span", { class: "play", "aria-hidden": "true" }));
    button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse" && !I2V.calm()) { started = "hover"; play(button, row); } });
    button.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { started = ""; stop(); } });
    button.addEventListener("focus", () => { if (button.matches(":focus-visible") && !I2V.calm()) { started = "focus"; play(button, row); } });
    button.addEventListener("blur", () => { if (playing && playing.button === button) stop(); started = ""; });
    button.addEventListener("click", (event) => {
      if (event.pointerType === "mouse" && started === "hover") { open(); return; }
      if (playing && playing.button === button) stop(); else play(button, row);
    });
    return button;
  };

  // The poster, or the video's own first frame where there is none.
  I2V.picture = (row, lazy) => (row.poster
    ? el("img", { src: `${row.folder}poster.jpg`, alt: "", loading: lazy ? "lazy" : "eager", decoding: "async", onerror: (event) => event.target.classList.add("gone") })
    : el("video", { class: "still", src: `${row.folder}video.mp4#t=0.1`, preload: "metadata", playsinline: true, tabindex: "-1", "aria-hidden": "true" }));

  const note = (row) => el("div", { class: `note ${row.status}` },
    row.picture ? I2V.sourcePicture(row) : null,
    el("div", {},
      el("p", { class: "mark" }, I2V.STATUSES[row.status]),
      el("p", { class: "what" }, row.what),
      row.command ? I2V.command(row.command) : row.remedy ? el("p", { class: "remedy" }, row.remedy) : null));

  I2V.card = (row, open) => {
    const delivered = row.status === "delivered";
    const frame = el("div", { class: delivered ? "frame" : "frame words" }, delivered ? media(row, open) : note(row));
    const badges = el("div", { class: "badges" },
      row.film ? el("span", { class: "badge film" }, "Film") : null,
      row.sandbox ? el("span", { class: "badge sandbox" }, "Sandbox") : null,
      delivered && row.what ? el("span", { class: "badge" }, "Out of date") : null,
      row.language ? el("span", { class: "badge" }, row.language) : null,
      row.takes > 1 ? el("span", { class: "badge" }, `${row.takes} takes`) : null);
    frame.append(badges);
    if (delivered && row.seconds) frame.append(el("span", { class: "length" }, el("span", { class: "hidden" }, "Length "), I2V.length(row.seconds)));
    const price = I2V.money(row.cost);
    const facts = el("p", { class: "line2" },
      row.route ? el("span", {}, I2V.ROUTES[row.route] || row.route) : null,
      el("time", { datetime: row.when.replace(" ", "T") }, I2V.day(row.day)),
      price ? el("span", { class: "price" }, row.estimated ? `about ${price}` : price) : null);
    const name = el("h2", {}, el("button", { type: "button", class: "name", onclick: open, "aria-haspopup": "dialog" }, row.clip));
    const quality = row.quality === null ? null : el("span", { class: `score ${row.quality < 0.6 ? "low" : ""}`, title: "Quality, from 0 to 1" }, el("span", { class: "hidden" }, "Quality "), row.quality.toFixed(2));
    return el("li", { class: `card ${row.status}`, "data-clip": row.key }, frame, el("div", { class: "text" }, el("div", { class: "head" }, name, quality), facts));
  };
})();
