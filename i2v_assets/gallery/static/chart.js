// The totals, and a bar per day of what was paid.
"use strict";
(() => {
  const { el } = I2V;
  const NS = "http://www.w3.org/2000/svg";
  const svg = (tag, attributes) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };

  I2V.totals = (rows) => {
    const { totals } = I2V.store.index;
    const count = (status) => rows.reduce((sum, row) => sum + (row.status === status && !row.film ? 1 : 0), 0);
    const put = (name, value, extra, kind) => document.getElementById("totals").append(
      el("div", { class: kind || "" }, el("dt", {}, name), el("dd", {}, value, extra ? el("small", {}, extra) : null)));
    const minutes = Math.floor(totals.seconds / 60);
    put("Delivered", I2V.number(count("delivered")), minutes ? `${I2V.number(minutes)} min` : `${totals.seconds} s`);
    for (const status of ["working", "settling", "waiting", "failed", "refused"]) {
      const n = count(status);
      if (!n && (status === "working" || status === "settling")) continue; // they come and go
      put(I2V.STATUSES[status], I2V.number(n), "", n ? status : "none");
    }
    const films = rows.filter((row) => row.film).length;
    if (films) put("Films", I2V.number(films));
    put("Paid", I2V.money(totals.paid), totals.play ? `and ${I2V.money(totals.play)} play money` : "");
  };

  I2V.chart = (pick) => {
    const days = I2V.store.index.chart;
    const sums = days.map((day) => day[1] + day[2]);
    const top = Math.max(...sums, 1);
    const width = 600, height = 84, gap = 3, each = width / days.length;
    const total = sums.reduce((a, b) => a + b, 0);
    const play = days.some((day) => day[2] > 0);
    const dearest = days[sums.indexOf(Math.max(...sums))];
    const words = total
      ? `${I2V.money(total)} in ${days.length} ${days.length === 1 ? "day" : "days"}, most on ${I2V.day(dearest[0])}: ${I2V.money(dearest[1] + dearest[2])}${play ? " (with play money)" : ""}`
      : `nothing in ${days.length} ${days.length === 1 ? "day" : "days"}`;
    document.getElementById("chart-note").textContent = words;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `Paid per day: ${words}`, preserveAspectRatio: "none" });
    const bars = []; // those that can be chosen
    days.forEach((day, at) => {
      const x = at * each + gap / 2, full = ((height - 2) * (day[1] + day[2])) / top, paid = ((height - 2) * day[1]) / top;
      const group = svg("g", { class: "bar", "data-day": day[0] });
      const tip = svg("title", {});
      tip.textContent = `${I2V.day(day[0])}: ${I2V.money(day[1])}${day[2] ? ` and ${I2V.money(day[2])} play money` : ""}`;
      group.append(tip, svg("rect", { class: "back", x, y: 0, width: each - gap, height }));
      if (day[2]) group.append(svg("rect", { class: "play", x, y: height - full, width: each - gap, height: full, rx: 1.5 }));
      if (day[1]) group.append(svg("rect", { class: "paid", x, y: height - paid, width: each - gap, height: paid, rx: 1.5 }));
      if (full) {
        group.setAttribute("role", "button");
        group.setAttribute("aria-label", `Show ${tip.textContent}`);
        group.addEventListener("click", () => pick(day[0]));
        bars.push(group);
      }
      picture.append(group);
    });
    // One stop of the Tab key for all bars; the arrows go from day to day.
    const stop = (bar) => { for (const one of bars) one.setAttribute("tabindex", one === bar ? "0" : "-1"); };
    if (bars.length) stop(bars[bars.length - 1]);
    picture.addEventListener("keydown", (event) => {
      const at = bars.indexOf(event.target.closest(".bar"));
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 }[event.key];
      if (at >= 0 && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); pick(bars[at].dataset.day); }
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      if (bars[to]) { stop(bars[to]); bars[to].focus(); }
    });
    const ends = el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, I2V.day(days[0][0])), el("span", {}, I2V.day(days[days.length - 1][0])));
    document.getElementById("chart").append(picture, ends);
    // On a phone the first clip comes first, and the chart after the clips.
    if (matchMedia("(max-width: 560px)").matches) document.getElementById("clips").after(document.querySelector(".chart"));
  };
})();
