/* Plays a recorded run on a page of the site, with no kernel and no network.

The page has `<div class="wq-replay" data-run="killed">` with the events of the recording as JSON in
it (docs/recording.md); this script folds them as wqlib.history does, and draws lanes of leases.
*/
(() => {
"use strict";

const WIDTH = 760, RIGHT = 20, TOP = 8, LANE = 30, RULER = 22, BAR = 16;
const MARK_ROOM = 13; // pixels between two marks of a pod, however close their moments are
const SAY_MS = 3000; // between two texts for screen readers while it plays
const FRAME_MS = 50;
const ENDS = ["succeeded", "failed", "deleted"];
const MARKS = { // what became of a pod: sign, words
  running: ["▶", "started"], terminating: ["▽", "asked to end"], evicted: ["⏏", "evicted"],
  restarting: ["↻", "restarted"], succeeded: ["✓", "finished"],
  failed: ["!", "ended early"], killed: ["✕", "killed"],
};
const BARS = {
  complete: "completed", running: "leased", orphan: "leased, but its worker is gone",
  expire: "expired", release: "released", fail: "failed", dead: "dead",
};
const HATCHES = { expire: 45, release: 0, fail: 90, dead: 135 }; // angles
const COUNTS = ["done", "leased", "pending", "dead", "expired", "released", "failed"];
const LOST = { expire: "expired", release: "released", fail: "failed" };
const still = matchMedia("(prefers-reduced-motion: reduce)");

// The fold: events to lanes, counts and a story in words

function blank() {
  const counts = Object.fromEntries([...COUNTS, "put"].map((name) => [name, 0]));
  return { counts, lanes: new Map(), lost: new Map(), handovers: [], story: [], began: null };
}

function laneOf(run, name, at) {
  if (!run.lanes.has(name)) {
    run.lanes.set(name, {
      name, job: "", node: "", first: at, ended: null, marks: [], spans: [], held: new Map(),
    });
    run.began ??= at;
  }
  return run.lanes.get(name);
}

function shortName(lane) {
  const prefix = lane.job + "-";
  return lane.job && lane.name.startsWith(prefix) ? lane.name.slice(prefix.length) : lane.name;
}

function end(run, event, outcome) {
  const lane = laneOf(run, event.worker, event.at);
  const span = lane.held.get(event.lease_id);
  if (span) {
    lane.held.delete(event.lease_id);
    run.counts.leased -= 1;
    Object.assign(span, { end: event.at, outcome });
  }
  return span;
}

function lend(run, event) {
  const lane = laneOf(run, event.worker, event.at);
  if (lane.held.has(event.lease_id)) return;
  const span = {
    lane, id: event.item_id, item: event.item || `item ${event.item_id}`, start: event.at,
    deadline: event.deadline || 0, end: null, outcome: "running",
  };
  lane.held.set(event.lease_id, span);
  lane.spans.push(span);
  run.counts.leased += 1;
  const lost = run.lost.get(event.item_id);
  if (lost) {
    run.lost.delete(event.item_id);
    run.handovers.push([lost, span]);
    tell(run, event.at, `${span.item} is leased again, to ${shortName(lane)}.`);
  }
}

const tell = (run, at, text) => run.story.push({ at, text });

const STEPS = {
  put(run, event) { run.counts.put += event.count || 0; },
  lease: lend,
  renew(run, event) {
    const span = laneOf(run, event.worker, event.at).held.get(event.lease_id);
    if (span) span.deadline = event.deadline;
  },
  complete(run, event) {
    end(run, event, "complete");
    run.counts.done += 1;
  },
  dead(run, event) {
    const span = run.lost.get(event.item_id) || end(run, event, "dead");
    run.lost.delete(event.item_id);
    run.counts.dead += 1;
    if (!span) return;
    span.outcome = "dead";
    tell(run, event.at, `${span.item} is given up: dead.`);
  },
  drop(run) { run.counts.dead = Math.max(0, run.counts.dead - 1); },
  requeue(run, event) { run.counts.dead = Math.max(0, run.counts.dead - (event.count || 0)); },
  drained(run, event) { tell(run, event.at, "The queue is drained."); },
  clear(run) {
    const alive = [...run.lanes.values()].filter((lane) => lane.marks.length && !lane.ended);
    Object.assign(run, blank());
    for (const { name, job, node, marks } of alive) {
      for (const mark of marks) pod(run, { pod: name, job, node, pod_event: mark.kind, ...mark });
    }
  },
};
for (const [kind, counter] of Object.entries(LOST)) {
  STEPS[kind] = (run, event) => {
    run.counts[counter] += 1;
    const span = end(run, event, kind);
    if (!span) return;
    run.lost.set(event.item_id, span);
    tell(run, event.at, `The lease of ${shortName(span.lane)} on ${span.item} ${counter}.`);
  };
}

function pod(run, event) {
  const over = ENDS.includes(event.pod_event);
  if (!run.lanes.has(event.pod) && (over || !event.job)) return;
  const lane = laneOf(run, event.pod, event.at);
  lane.job = event.job || lane.job;
  lane.node = event.node || lane.node;
  if (lane.ended) return; // that it is deleted later is nothing new
  let kind = event.pod_event;
  const holds = lane.held.size > 0 || lane.spans.at(-1)?.outcome === "expire";
  if (kind === "deleted") kind = holds ? "killed" : "failed";
  if (kind === "failed" && /137|OOMKilled/.test(event.reason || "")) kind = "killed";
  if (kind === "terminating" && event.reason) kind = "evicted";
  if (lane.marks.at(-1)?.kind === kind) return;
  lane.marks.push({ kind, at: event.at });
  if (over) lane.ended = event.at;
  if (!MARKS[kind]) return;
  const held = [...lane.held.values()].map((span) => span.item).join(", ");
  const was = ["evicted", "killed", "restarting", "terminating"].includes(kind) ? "was " : "";
  const holding = over && held ? `; it held ${held}` : "";
  tell(run, event.at, `Pod ${shortName(lane)} ${was}${MARKS[kind][1]}${holding}.`);
}

function fold(events, number) {
  const run = blank();
  for (const event of events.slice(0, number)) {
    if (event.pod_event) pod(run, event);
    else if (event.reading) {
      for (const name of COUNTS) run.counts[name] = event.reading[name] || 0;
    } else if (STEPS[event.event]) {
      STEPS[event.event](run, event);
      run.counts.pending = event.pending || 0;
    }
  }
  return run;
}

function summary(run, seconds) {
  const { done, leased, pending, dead, expired } = run.counts;
  const troubles = [[dead, "dead"], [expired, "expired"]].filter(([number]) => number);
  const more = troubles.map(([number, word]) => `, ${number} ${word}`).join("");
  return `${seconds.toFixed(1)} s: ${done} done, ${leased} leased, ${pending} waiting${more}.`;
}

// The picture

const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const round = (number) => Math.round(number * 10) / 10;

function rulerStep(seconds) {
  return [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((step) => seconds / step <= 10) || 1800;
}

class Picture {
  constructor(whole, seconds, key) {
    this.whole = whole;
    this.seconds = seconds;
    this.key = key;
    const lanes = [...whole.lanes.values()];
    const nodes = new Set(lanes.map((lane) => lane.node));
    if (nodes.size > 1) lanes.sort((a, b) => a.node.localeCompare(b.node));
    this.rows = new Map(lanes.map((lane, i) => [lane.name, TOP + i * LANE]));
    this.labels = lanes.map((lane) => shortName(lane) + (nodes.size > 1 ? ` · ${lane.node}` : ""));
    this.left = 28 + 8 * Math.max(0, ...this.labels.map((label) => label.length));
    this.bottom = TOP + lanes.length * LANE;
    this.height = this.bottom + RULER;
  }

  x(at) {
    const share = (at - this.whole.began) / this.seconds;
    return round(this.left + Math.min(1.02, Math.max(0, share)) * (WIDTH - this.left - RIGHT));
  }

  still() {
    const out = [...this.rows.values()].map((y, i) =>
      `<rect class="lane" x="0" y="${y}" width="${WIDTH}" height="${LANE - 2}" rx="3"/>` +
      `<text x="6" y="${y + LANE / 2 + 3}">${escape(this.labels[i])}</text>`);
    const step = rulerStep(this.seconds);
    for (let at = 0; at <= this.seconds; at += step) {
      const x = this.x(this.whole.began + at);
      out.push(`<path class="grid" d="M${x} ${TOP}V${this.bottom}"/>` +
        `<text class="dim" x="${x}" y="${this.height - 6}" text-anchor="middle">${at} s</text>`);
    }
    return out.join("");
  }

  bar(kind, from, to, y, label = "") {
    const width = Math.max(1, round(this.x(to) - this.x(from) - 0.6));
    const lost = kind in HATCHES;
    const room = label && !lost && width > label.length * 7 + 8; // marks lie on lost ones
    const fill = lost ? ` style="fill:url(#${this.key}-${kind})"` : "";
    const place = `x="${this.x(from) + 4}" y="${y + 12}"`;
    const name = room ? `<text class="on" ${place}>${escape(label)}</text>` : "";
    return `<rect class="bar ${kind}"${fill} x="${this.x(from)}" y="${y}" width="${width}" ` +
      `height="${BAR}" rx="2"><title>${escape(label)}</title></rect>${name}`;
  }

  span(span, now) {
    const y = this.rows.get(span.lane.name) + (LANE - 2 - BAR) / 2;
    const gone = span.lane.ended && (span.end ?? now) > span.lane.ended ? span.lane.ended : null;
    const out = [];
    if (span.outcome !== "running") {
      out.push(this.bar(span.outcome, span.start, span.end, y, span.item));
    } else {
      out.push(this.bar("running", span.start, gone ?? now, y, span.item));
      if (gone) out.push(this.bar("orphan", gone, now, y, span.item));
      const from = this.x(now), to = this.x(span.deadline);
      if (to > from) out.push(`<path class="fuse" d="M${from} ${y + BAR / 2}H${to}"/>`);
    }
    if (span.deadline && (span.outcome === "running" || span.outcome === "expire")) {
      out.push(`<path class="deadline" d="M${this.x(span.deadline)} ${y - 3}v${BAR + 6}"/>`);
    }
    return out.join("");
  }

  lane(lane, now) {
    const y = this.rows.get(lane.name) + (LANE - 2) / 2;
    const out = [`<path class="rail" d="M${this.x(lane.first)} ${y}H${this.x(lane.ended ?? now)}"/>`];
    out.push(...lane.spans.map((span) => this.span(span, now)));
    let x = -Infinity;
    for (const mark of lane.marks.filter(({ kind }) => MARKS[kind])) {
      x = Math.max(x + MARK_ROOM, this.x(mark.at));
      out.push(`<text class="sign" x="${x}" y="${y + 5}">${MARKS[mark.kind][0]}</text>`);
    }
    return out.join("");
  }

  moving(run, now) {
    const curves = run.handovers.map(([lost, next]) => {
      const [x0, x1] = [this.x(lost.end), this.x(next.start)];
      const [y0, y1] = [lost, next].map((span) => this.rows.get(span.lane.name) + LANE / 2 - 1);
      return `<path class="handover" d="M${x0} ${y0}C${x0 + 9} ${y0} ${x1 + 9} ${y1} ${x1} ${y1}"/>`;
    });
    const lanes = [...run.lanes.values()].map((lane) => this.lane(lane, now));
    const line = `<path class="now" d="M${this.x(now)} ${TOP}V${this.bottom}"/>`;
    return lanes.join("") + curves.join("") + line;
  }

  legend() {
    const lanes = [...this.whole.lanes.values()];
    const outcomes = new Set(lanes.flatMap((lane) => lane.spans.map((span) => span.outcome)));
    outcomes.add("running");
    if (outcomes.has("expire")) outcomes.add("orphan");
    const kinds = new Set(lanes.flatMap((lane) => lane.marks.map(({ kind }) => kind)));
    const swatch = (kind) => `<svg viewBox="0 0 24 16" aria-hidden="true">` +
      this.bar(kind, 0, 0, 0).replace(/ x="[^"]*" y="0" width="[^"]*"/, ' x="1" y="0" width="22"') +
      "</svg>";
    const bars = Object.keys(BARS).filter((kind) => outcomes.has(kind)).map((kind) =>
      `<li>${swatch(kind)} ${BARS[kind]}</li>`);
    const deadline = '<svg viewBox="0 0 24 16" aria-hidden="true">' +
      '<path class="fuse" d="M2 8H12"/><path class="deadline" d="M12 0v16"/></svg>';
    const marks = Object.keys(MARKS).filter((kind) => kinds.has(kind))
      .map((kind) => `<li><b aria-hidden="true">${MARKS[kind][0]}</b> ` +
        `${MARKS[kind][1]}</li>`);
    return [...bars, `<li>${deadline} deadline of a lease</li>`, ...marks].join("");
  }
}

// The player: a picture, what can be used, and words

class Player {
  constructor(box, key) {
    this.box = box;
    this.events = JSON.parse(box.querySelector("script").textContent);
    let latest = -Infinity; // pods are seen later than the queue's events
    this.times = this.events.map((event) => {
      latest = Math.max(latest, event.at ?? event.reading.at);
      return latest;
    });
    const whole = fold(this.events, this.events.length);
    this.began = whole.began ?? 0;
    this.seconds = Math.max(0.1, latest - this.began);
    this.picture = new Picture(whole, this.seconds, key);
    this.at = this.seconds;
    this.playing = false;
    this.told = 0;
    this.build(key);
    this.draw();
  }

  build(key) {
    const { picture, box } = this;
    const counts = ["done", "leased", "pending", "dead", "expired"].map((name) =>
      `<span><b data-count="${name}"></b> ${name === "pending" ? "waiting" : name}</span>`);
    const hatches = Object.entries(HATCHES).map(([kind, angle]) =>
      `<pattern id="${key}-${kind}" width="6" height="6" patternUnits="userSpaceOnUse" ` +
      `patternTransform="rotate(${angle})"><rect class="ground" width="6" height="6"/>` +
      '<path class="stroke" d="M0 0V6"/></pattern>').join("");
    box.insertAdjacentHTML("beforeend", `
<div class="controls"><button type="button">Play</button>
<input type="range" min="0" max="${this.seconds}" step="any" aria-label="Moment of the run">
<span class="clock"></span>
<label>Speed <select>${[0.5, 1, 2, 5].map((speed) =>
    `<option value="${speed}"${speed === 1 ? " selected" : ""}>${speed}×</option>`).join("")}
</select></label></div>
<p class="counts">${counts.join(" ")}</p>
<svg class="picture" role="img" viewBox="0 0 ${WIDTH} ${picture.height}"><defs>${hatches}</defs>
<g>${picture.still()}</g><g></g></svg>
<ul class="legend">${picture.legend()}</ul>
<ol class="story" aria-hidden="true"></ol>
<p class="aloud" role="status" aria-live="polite"></p>`);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `Recorded run “${box.dataset.run}”: space plays and stops it, ` +
      "arrow keys move by a second.");
    this.button = box.querySelector("button");
    this.slider = box.querySelector("input");
    this.speed = box.querySelector("select");
    this.button.addEventListener("click", () => this.toggle());
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    box.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const moves = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: this.seconds };
    if (event.target === this.speed || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in moves) this.seek(moves[event.key]);
    else if (event.key === " " && event.target !== this.button) this.toggle();
    else return;
    event.preventDefault();
  }

  seek(seconds) {
    this.at = Math.min(this.seconds, Math.max(0, seconds));
    this.draw();
  }

  toggle() {
    this.playing = !this.playing;
    this.button.textContent = this.playing ? "Pause" : "Play";
    if (this.playing && this.at >= this.seconds) this.at = 0;
    this.last = performance.now();
    this.draw();
    if (this.playing) requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    if (!this.playing) return;
    const passed = now - this.last;
    if (passed >= (still.matches ? 1000 / Number(this.speed.value) : FRAME_MS)) {
      this.last = now;
      this.seek(this.at + (Math.min(passed, 1500) / 1000) * Number(this.speed.value));
    }
    if (this.at >= this.seconds) this.toggle();
    else requestAnimationFrame((later) => this.frame(later));
  }

  draw() {
    const now = this.began + this.at;
    let number = this.times.findIndex((at) => at > now + 1e-6);
    if (number < 0) number = this.events.length;
    const run = fold(this.events, number);
    this.box.querySelectorAll("[data-count]").forEach((place) => {
      place.textContent = run.counts[place.dataset.count];
    });
    this.box.querySelector("svg.picture > g:last-child").innerHTML = this.picture.moving(run, now);
    const clock = `${this.at.toFixed(1)} of ${this.seconds.toFixed(1)} s`;
    this.box.querySelector(".clock").textContent = clock;
    this.slider.value = this.at;
    if (!this.playing) this.slider.setAttribute("aria-valuetext", clock); // it may be read out
    const said = run.story.filter((news) => news.at >= this.began);
    this.box.querySelector(".story").innerHTML = said.slice(-4).map(({ at, text }) =>
      `<li><span class="dim">${(at - this.began).toFixed(1)} s</span> ${escape(text)}</li>`).join("");
    clearTimeout(this.aloud);
    const wait = this.playing ? Math.max(0, this.told + SAY_MS - performance.now()) : 500;
    this.aloud = setTimeout(() => this.say(run, said), wait);
  }

  say(run, said) {
    this.told = performance.now();
    const text = summary(run, this.at);
    const fresh = said.slice(said.length < this.heard ? -2 : this.heard).slice(-3);
    this.heard = said.length;
    this.box.querySelector("svg.picture").setAttribute("aria-label", text);
    const news = [text, ...fresh.map((one) => one.text)].join(" ");
    this.box.querySelector(".aloud").textContent = news;
  }
}

document.querySelectorAll(".wq-replay").forEach((box, number) => new Player(box, `wq${number}`));
})();
