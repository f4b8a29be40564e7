'use strict';
const run = JSON.parse(document.getElementById('data').textContent);
const $ = (id) => document.getElementById(id);
addEventListener('error', (event) => { document.body.dataset.error = event.message; });

// ---- What is where ----

const place = (lane) => (lane === 'faults' ? 'faults' : 'server' in lane ? `s${lane.server + 1}` : `n${lane.node}`);
const nodeOf = (lane) => (lane !== 'faults' && 'node' in lane ? lane.node : null);
const rowName = (row) => (typeof row === 'string' ? row : `role${row.role}`);
const seconds = (ns) => (ns / 1e9).toFixed(4) + ' s';
const length = (ns) => ns === 0 ? '0' : ns < 1e3 ? `${ns} ns` : ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : ns < 1e9 ? `${(ns / 1e6).toFixed(2)} ms` : `${(ns / 1e9).toFixed(3)} s`;

const GUTTER = 112, AXIS = 26, PAD = 16;
const shownEnd = run.terms.flatMap((term) => term.held).reduce((last, held) => Math.max(last, held[1]), run.end || 1) * 1.01;
const rows = [];          // what the picture is made of, from the top
const baseline = {};      // where a lane's events lie
const rowAt = {};         // where a lane's row lies
const HEIGHTS = { truth: 34, faults: 34, server: 44, events: 26, network: 10, process: 16, session: 16, role: 34 };
const usual = run.rulers.length * 34 + 42 + run.servers * 50 + run.nodes * (72 + run.rulers.length * 30);
const scale = Math.max(1, Math.min(1.6, (innerHeight - 230) / usual));   // a small run uses the room that there is
['server', 'events', 'role', 'process', 'session'].forEach((kind) => { HEIGHTS[kind] = Math.round(HEIGHTS[kind] * scale); });
let bottom = AXIS;
const add = (kind, label, more) => {
  const row = { kind, label, top: bottom, height: HEIGHTS[kind], ...more };
  rows.push(row);
  bottom += row.height;
  return row;
};
const gap = (height) => { bottom += Math.round(height * scale); };
run.rulers.forEach((ruler) => { add('truth', run.globals[ruler.global], { ruler }); });
gap(8);
baseline.faults = add('faults', 'faults', { head: true }).top + 17;
for (let server = 0; server < run.servers; server++) {
  gap(6);
  baseline[`s${server + 1}`] = add('server', run.servers > 1 ? `server ${server + 1}` : 'server', { head: true }).top + HEIGHTS.server / 2;
}
for (let node = 0; node < run.nodes; node++) {
  gap(14);
  const lane = `n${node}`;
  const has = (name) => run.spans.some((span) => place(span.lane) === lane && rowName(span.row) === name);
  baseline[lane] = add('events', `node ${lane}`, { head: true, node }).top + HEIGHTS.events / 2;
  if (has('network')) rowAt[lane + 'network'] = add('network', 'held up', { node });
  rowAt[lane + 'process'] = add('process', 'process', { node });
  rowAt[lane + 'session'] = add('session', 'session', { node });
  run.globals.forEach((global, number) => {
    if (has(`role${number}`)) rowAt[`${lane}role${number}`] = add('role', global, { node });
  });
}
const HEIGHT = bottom + 14;

// ---- What led to what ----

const effects = run.events.map(() => []);
run.events.forEach((event, number) => event.causes.forEach((cause) => effects[cause].push(number)));
const messageOf = new Map();
run.messages.forEach((message) => {
  messageOf.set(message.sent, message);
  if (message.ended !== null) messageOf.set(message.ended, message);
});
const coneOf = (event) => {
  const cone = new Set(), open = [event];
  while (open.length) {
    const next = open.pop();
    if (!cone.has(next)) { cone.add(next); open.push(...run.events[next].causes); }
  }
  return cone;
};

// ---- Colours ----

const dark = matchMedia('(prefers-color-scheme: dark)');
const PALETTES = {
  light: { nodes: ['#0b6bcb', '#b35900', '#157f5b', '#9a3fb5', '#8a6d00', '#c2255c', '#3f6b8a'], held: '#8a939a' },
  dark: { nodes: ['#6cb2ff', '#ffab5e', '#55d6a4', '#d596ee', '#e3c44c', '#ff8fb3', '#9fc6e0'], held: '#7b868e' },
};
let colour = {};
const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue('--' + name).trim();
  colour = { ...PALETTES[dark.matches ? 'dark' : 'light'] };
  ['ground', 'panel', 'ink', 'soft', 'line', 'band', 'accent', 'good', 'bad', 'warn'].forEach((name) => { colour[name] = of(name); });
};
const nodeColour = (node) => (node === null ? colour.soft : colour.nodes[node % colour.nodes.length]);
const STATES = { connected: 'good', suspended: 'warn', lost: 'bad', up: 'soft', paused: 'warn', down: 'line', held: 'held' };

// ---- The picture ----

const canvas = $('picture'), pen = canvas.getContext('2d');
// What was believed at the end lasts longer than the run: only the beginning of that is shown at first.
const view = { from: -shownEnd * 0.012, to: Math.min(shownEnd, (run.end || 1) * 1.25) };
let width = 800, selected = null, cone = null, showPings = false, hits = [];
const x = (at) => GUTTER + (at - view.from) / (view.to - view.from) * (width - GUTTER - PAD);
const timeAt = (px) => view.from + (px - GUTTER) / (width - GUTTER - PAD) * (view.to - view.from);
const isSeen = (from, to) => to >= view.from && from <= view.to;
const alpha = (event) => (cone === null || cone.has(event) ? 1 : 0.1);
const dimmed = () => (cone === null ? 1 : 0.35);

function box(left, right, top, height, fill, opacity) {
  const a = Math.max(GUTTER, left), b = Math.min(width - PAD, right);
  if (b < a) return false;
  pen.globalAlpha = opacity;
  pen.fillStyle = fill;
  pen.beginPath();
  pen.roundRect(a, top, Math.max(1.5, b - a), height, 3);
  pen.fill();
  pen.globalAlpha = 1;
  return true;
}

function words(text, left, right, y, fill, weight = '') {
  const a = Math.max(GUTTER, left) + 5;
  if (Math.min(width - PAD, right) - a < 24) return;
  pen.save();
  pen.beginPath();
  pen.rect(a, y - 10, Math.min(width - PAD, right) - a - 3, 20);
  pen.clip();
  pen.font = `${weight} 11px system-ui, "DejaVu Sans", sans-serif`;
  pen.fillStyle = fill;
  pen.fillText(text, a, y);
  pen.restore();
}

function drawAxis() {
  const span = view.to - view.from, rough = span / Math.max(2, (width - GUTTER) / 110);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) || power * 10;
  pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
  pen.textAlign = 'center';
  const places = Math.max(0, -Math.floor(Math.log10(step / 1e9) + 1e-9));
  for (let at = Math.max(0, Math.ceil(view.from / step) * step); at <= view.to; at += step) {
    pen.fillStyle = colour.line;
    pen.fillRect(Math.round(x(at)), AXIS - 4, 1, HEIGHT - AXIS);
    pen.fillStyle = colour.soft;
    pen.fillText((at / 1e9).toFixed(Math.min(9, places)) + ' s', x(at), 15);
  }
  pen.textAlign = 'left';
}

function drawRuler(row) {
  const { ruler, top } = row;
  ruler.truth.forEach((named) => {
    if (!isSeen(named.from, named.to)) return;
    const left = x(named.from), right = x(named.to), holder = named.node !== null;
    const text = holder ? `the tree names n${named.node}` : 'vacant';
    if (box(left, right - 1, top + 3, 12, holder ? nodeColour(named.node) : colour.line, holder ? 0.85 * dimmed() + 0.1 : 0.5)) {
      hits.push({ left, right, top: top + 3, bottom: top + 15, text: `${run.globals[ruler.global]}: ${text}\n${seconds(named.from)} to ${seconds(named.to)}, version ${named.version ?? '–'}` });
    }
    if (holder) words(`n${named.node}`, left, right, top + 9.5, colour.panel, '600');
  });
  run.terms.filter((term) => term.global === ruler.global).forEach((term) => term.held.forEach(([from, to]) => {
    if (!isSeen(from, to)) return;
    const left = x(from), right = x(to);
    if (box(left, right, top + 18, 8, nodeColour(term.node), 0.55)) {
      hits.push({ left, right, top: top + 16, bottom: top + 28, text: `n${term.node} believes to lead ${run.globals[term.global]}\n${seconds(from)} to ${seconds(to)}, token 0x${term.token.toString(16)}` });
    }
  }));
  ruler.overlaps.forEach(([from, to]) => {
    const left = x(from), right = Math.max(x(to), x(from) + 3);
    if (box(left, right, top + 17, 14, colour.bad, 0.9)) {
      words(`overlap ${length(to - from)}`, left, right, top + 24.5, colour.panel, '700');
      hits.push({ left, right, top: top + 16, bottom: top + 32, text: `TWO BELIEVE to lead ${run.globals[ruler.global]} for ${length(to - from)}\n${seconds(from)} to ${seconds(to)}${to > run.end ? ', as they believed when the run ended' : ''}` });
    }
  });
}

function drawSpan(span) {
  if (!isSeen(span.from, span.to)) return;
  const lane = place(span.lane), name = rowName(span.row), row = rowAt[lane + name];
  if (!row) return;
  const left = x(span.from), right = x(span.to), node = nodeOf(span.lane);
  const where = { left, right, top: row.top, bottom: row.top + row.height, text: `${lane}: ${span.text}\n${seconds(span.from)} to ${seconds(span.to)} (${length(span.to - span.from)})` };
  if (row.kind === 'role') {
    const leads = span.state === 'leads', stopping = span.state === 'stopping';
    const fill = leads ? nodeColour(node) : stopping ? colour.warn : colour.line;
    if (!box(left, right - 1, row.top + 1, 13, fill, leads ? 0.95 : 0.7)) return;
    words(span.text, left, right, row.top + 8, leads || stopping ? colour.panel : colour.soft, leads ? '600' : '');
  } else {
    const state = STATES[span.state] || 'soft', strong = span.state === 'up' ? 0.28 : span.state === 'down' ? 0.6 : 0.45;
    if (!box(left, right - 1, row.top + 1, row.height - 3, colour[state], strong)) return;
    if (row.kind !== 'network') words(span.text, left, right, row.top + row.height / 2, colour.ink);
  }
  hits.push(where);
}

/** The lease: what is left of it, shrinking until the next beat. */
function drawWedge(term) {
  const row = rowAt[`n${term.node}role${term.global}`];
  if (!row) return;
  const floor = row.top + row.height - 2, tall = row.height - 18, high = (rest) => floor - Math.max(0, Math.min(1, rest / run.lease)) * tall;
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, row.top, width - GUTTER - PAD, row.height);
  pen.clip();
  term.points.forEach(([at, until], index) => {
    const next = term.points[index + 1] ? term.points[index + 1][0] : term.revoked ?? until;
    const end = Math.min(until, next);
    if (end < at || !isSeen(at, end)) return;
    pen.beginPath();
    pen.moveTo(x(at), floor);
    pen.lineTo(x(at), high(until - at));
    pen.lineTo(x(end), high(until - end));
    pen.lineTo(x(end), floor);
    pen.closePath();
    pen.globalAlpha = 0.28;
    pen.fillStyle = nodeColour(term.node);
    pen.fill();
    pen.globalAlpha = 0.9;
    pen.strokeStyle = nodeColour(term.node);
    pen.lineWidth = 1;
    pen.stroke();
    hits.push({ left: x(at), right: x(end), top: row.top + 15, bottom: floor, text: `n${term.node}: lease until ${seconds(until)}, as of ${seconds(at)}\n${length(until - at)} were left` });
  });
  pen.restore();
}

function drawMessage(message, opacity) {
  const sent = run.events[message.sent], ended = message.ended === null ? null : run.events[message.ended];
  const until = ended ? ended.at : run.end;
  if (!isSeen(sent.at, until) || (message.ping && !showPings)) return;
  const fromY = baseline[place(message.from)], toY = baseline[place(message.to)];
  const lost = message.fate === 'lost', unheard = message.fate === 'unheard', way = lost ? 0.55 : 1;
  const ax = x(sent.at), bx = x(until), by = fromY + (toY - fromY) * way;
  const inCone = cone === null || (cone.has(message.sent) && message.ended !== null && cone.has(message.ended));
  pen.globalAlpha = inCone ? (lost || unheard || cone !== null ? 0.95 : opacity) : 0.06;
  const node = nodeOf(message.from) ?? nodeOf(message.to);
  pen.strokeStyle = lost ? colour.bad : unheard ? colour.warn : nodeColour(node);
  pen.fillStyle = pen.strokeStyle;
  pen.lineWidth = unheard || lost || (message.writes && opacity > 0.5) ? 1.7 : 1;
  pen.setLineDash(lost ? [5, 4] : message.fate === 'travelling' ? [2, 3] : []);
  pen.beginPath();
  pen.moveTo(ax, fromY);
  pen.lineTo(bx, by);
  pen.stroke();
  pen.setLineDash([]);
  if (lost) {
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(bx - 4, by - 4); pen.lineTo(bx + 4, by + 4);
    pen.moveTo(bx + 4, by - 4); pen.lineTo(bx - 4, by + 4);
    pen.stroke();
  } else {
    const angle = Math.atan2(by - fromY, bx - ax);
    pen.beginPath();
    pen.moveTo(bx, by);
    pen.lineTo(bx - 7 * Math.cos(angle - 0.35), by - 7 * Math.sin(angle - 0.35));
    pen.lineTo(bx - 7 * Math.cos(angle + 0.35), by - 7 * Math.sin(angle + 0.35));
    pen.fill();
    if (unheard) {
      pen.lineWidth = 1.7;
      pen.beginPath();
      pen.arc(bx, by, 6, 0, 7);
      pen.stroke();
    }
  }
  pen.globalAlpha = 1;
}

function drawEvent(event, number) {
  if (event.at < view.from || event.at > view.to || (event.kind === 'ping' && !showPings)) return;
  const px = x(event.at), y = baseline[place(event.lane)], chosen = number === selected;
  const node = nodeOf(event.lane);
  pen.globalAlpha = chosen ? 1 : alpha(number);
  pen.fillStyle = event.kind === 'fault' || event.kind === 'lost' ? colour.bad : node === null ? colour.ink : nodeColour(node);
  pen.beginPath();
  if (event.kind === 'fault') {
    pen.moveTo(px, y + 7); pen.lineTo(px - 7, y - 6); pen.lineTo(px + 7, y - 6);
  } else if (event.kind === 'change') {
    pen.moveTo(px, y - 5); pen.lineTo(px + 5, y); pen.lineTo(px, y + 5); pen.lineTo(px - 5, y);
  } else if (event.kind === 'belief' || event.kind === 'process' || event.kind === 'session') {
    pen.rect(px - 2, y - 9, 4, 18);
  } else if (event.kind !== 'lost') {
    pen.arc(px, y, 2.2, 0, 7);
  }
  pen.fill();
  if (chosen) {
    pen.globalAlpha = 1;
    pen.strokeStyle = colour.accent;
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(px, AXIS - 4); pen.lineTo(px, HEIGHT); pen.stroke();
    pen.lineWidth = 2.5;
    pen.beginPath(); pen.arc(px, y, 9, 0, 7); pen.stroke();
  }
  pen.globalAlpha = 1;
  hits.push({ px, y, number });
}

function draw() {
  const ratio = devicePixelRatio || 1;
  width = Math.max(360, $('stage').clientWidth);
  canvas.style.height = HEIGHT + 'px';
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.textBaseline = 'middle';
  pen.clearRect(0, 0, width, HEIGHT);
  hits = [];
  rows.filter((row) => row.kind === 'events' || row.kind === 'server' || row.kind === 'faults').forEach((row) => {
    pen.fillStyle = colour.band;
    pen.fillRect(0, row.top, width, row.height);
  });
  drawAxis();
  const visible = run.messages.filter((message) => isSeen(run.events[message.sent].at, message.ended === null ? run.end : run.events[message.ended].at)).length;
  const opacity = visible > 1500 ? 0.16 : visible > 500 ? 0.3 : 0.6;
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, width - GUTTER - PAD, HEIGHT);
  pen.clip();
  const isOdd = (message) => message.fate === 'lost' || message.fate === 'unheard';
  run.messages.forEach((message) => { if (!isOdd(message)) drawMessage(message, opacity); });
  run.spans.forEach(drawSpan);
  run.terms.forEach(drawWedge);
  rows.filter((row) => row.kind === 'truth').forEach(drawRuler);
  run.rulers.forEach((ruler) => ruler.overlaps.forEach(([from, to]) => {
    pen.globalAlpha = 0.09;
    pen.fillStyle = colour.bad;
    pen.fillRect(x(from), AXIS, Math.max(2, x(to) - x(from)), HEIGHT - AXIS);
    pen.globalAlpha = 1;
  }));
  run.messages.forEach((message) => { if (isOdd(message)) drawMessage(message, opacity); });
  run.events.forEach(drawEvent);
  const stop = x(run.end);
  pen.fillStyle = run.violation ? colour.bad : colour.soft;
  pen.fillRect(stop, AXIS, 1.5, HEIGHT - AXIS);
  pen.restore();
  rows.forEach((row) => {
    pen.font = `${row.head || row.kind === 'truth' ? '600 12px' : '11px'} system-ui, "DejaVu Sans", sans-serif`;
    pen.fillStyle = row.head && row.node !== undefined ? nodeColour(row.node) : row.head || row.kind === 'truth' ? colour.ink : colour.soft;
    pen.fillText(row.label, row.head || row.kind === 'truth' ? 12 : 24, row.top + (row.kind === 'truth' ? 10 : row.height / 2), GUTTER - 20);
    if (row.kind === 'truth') {
      pen.font = '10px system-ui, "DejaVu Sans", sans-serif';
      pen.fillStyle = colour.soft;
      pen.fillText('truth over belief', 12, row.top + 23, GUTTER - 20);
    }
  });
}
let drawing = false;
const redraw = () => {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
};

// ---- The same in words: only the rows that can be seen are there ----

const LINE = 26;
let shown = [];
const isShown = (event) => showPings || event.kind !== 'ping';
function find() {
  const wanted = $('filter').value.trim().toLowerCase();
  shown = [];
  run.events.forEach((event, number) => {
    if (isShown(event) && (wanted === '' || `${place(event.lane)} ${event.kind} ${event.text}`.toLowerCase().includes(wanted))) shown.push(number);
  });
  $('count').textContent = `${shown.length} of ${run.events.length}`;
  $('rows').style.height = shown.length * LINE + 'px';
  list();
}
function list() {
  const box = $('list'), first = Math.max(0, Math.floor(box.scrollTop / LINE) - 8);
  const last = Math.min(shown.length, first + Math.ceil((box.clientHeight || 400) / LINE) + 16);
  const rendered = [];
  for (let index = first; index < last; index++) {
    const number = shown[index], event = run.events[number], row = document.createElement('div');
    row.className = 'row' + (cone !== null && !cone.has(number) ? ' dim' : '');
    row.id = `e${number}`;
    row.setAttribute('role', 'option');
    row.setAttribute('aria-selected', String(number === selected));
    row.setAttribute('aria-posinset', String(index + 1));
    row.setAttribute('aria-setsize', String(shown.length));
    row.style.top = index * LINE + 'px';
    row.title = event.text;
    const time = document.createElement('time'), where = document.createElement('i'), text = document.createElement('span');
    time.textContent = seconds(event.at);
    where.textContent = event.lane === 'faults' ? '⚡' : place(event.lane);
    where.style.color = event.lane === 'faults' ? colour.bad : nodeColour(nodeOf(event.lane));
    text.textContent = event.text;
    row.append(time, where, text);
    row.addEventListener('click', () => select(number));
    rendered.push(row);
  }
  $('rows').replaceChildren(...rendered);
  if (selected !== null && shown.includes(selected)) box.setAttribute('aria-activedescendant', `e${selected}`);
  else box.removeAttribute('aria-activedescendant');
}
function show(number) {
  const index = shown.indexOf(number), box = $('list');
  if (index < 0) return;
  const top = index * LINE;
  if (top < box.scrollTop || top + LINE > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, top - box.clientHeight / 2);
}

// ---- Selecting ----

const FATES = {
  arrived: 'It arrived.', lost: 'It was lost: it never arrived.', travelling: 'It was still under way when the run ended.',
  unheard: 'It arrived and took effect; the answer to it was lost.',
};
function select(number, quietly) {
  selected = number;
  cone = number === null ? null : coneOf(number);
  const details = $('details');
  details.replaceChildren();
  const say = (tag, text) => {
    const part = document.createElement(tag);
    part.textContent = text;
    details.append(part);
    return part;
  };
  if (number === null) {
    say('h2', 'Click an event, or step with ← and →');
    say('p', 'What led to it stays bright: what its node did before, the messages that it had received, the writes that those had seen, and the faults that struck.');
    say('p', 'Drag to move in time; Ctrl and the wheel, or + and −, to zoom; 0 shows all; Escape selects nothing.');
    delete document.body.dataset.selected;
    delete document.body.dataset.cone;
  } else {
    const event = run.events[number], message = messageOf.get(number);
    say('h2', event.text);
    say('p', `#${number}, ${event.kind} at ${event.lane === 'faults' ? 'outside' : place(event.lane)}, ${seconds(event.at)}; ${cone.size - 1} of ${number} earlier events led to it.`);
    if (message) say('p', `${message.writes ? 'A write. ' : ''}${FATES[message.fate]}`);
    const link = (head, numbers) => {
      if (!numbers.length) return;
      say('p', head);
      numbers.slice(0, 6).forEach((other) => {
        const button = say('button', `${place(run.events[other].lane)}  ${run.events[other].text}`);
        button.addEventListener('click', () => select(other));
      });
    };
    link('Led here directly:', event.causes);
    link('Led from here:', effects[number]);
    document.body.dataset.selected = String(number);
    document.body.dataset.cone = [...cone].sort((a, b) => a - b).join(',');
    const margin = (view.to - view.from) * 0.05;
    if (event.at < view.from + margin && view.from > 0 || event.at > view.to - margin) move(event.at - (view.from + view.to) / 2);
    show(number);
  }
  if (!quietly) history.replaceState(null, '', number === null ? '#' : `#select=${number}`);
  list();
  redraw();
}
function step(by) {
  if (!shown.length) return;
  let index = selected === null ? (by > 0 ? -1 : shown.length) : shown.indexOf(selected);
  if (selected !== null && index < 0) {
    const later = shown.findIndex((number) => number > selected);
    index = by > 0 ? (later < 0 ? shown.length : later) - 1 : later < 0 ? shown.length : later;
  }
  select(shown[Math.max(0, Math.min(shown.length - 1, index + by))]);
}

// ---- Moving ----

function move(by) {
  const span = view.to - view.from, from = Math.max(-span * 0.2, Math.min(shownEnd - span * 0.8, view.from + by));
  view.from = from;
  view.to = from + span;
  redraw();
}
function zoom(factor, at = selected === null ? (view.from + view.to) / 2 : run.events[selected].at) {
  const span = Math.max(1000, Math.min(shownEnd * 1.05, (view.to - view.from) * factor));
  const share = Math.max(0, Math.min(1, (at - view.from) / (view.to - view.from)));
  view.from = at - span * share;
  view.to = view.from + span;
  move(0);
}
function showAll() {
  view.from = -shownEnd * 0.012;
  view.to = shownEnd;
  redraw();
}

// ---- Hands ----

const at = (event) => { const frame = canvas.getBoundingClientRect(); return [event.clientX - frame.left, event.clientY - frame.top]; };
function under(px, py) {
  let best = null, near = 11 ** 2;
  hits.forEach((hit) => {
    if (hit.number === undefined) return;
    const distance = (hit.px - px) ** 2 + (hit.y - py) ** 2;
    if (distance < near || (distance === near && cone !== null && cone.has(hit.number))) { near = distance; best = hit; }
  });
  if (best) return best;
  return hits.findLast((hit) => hit.number === undefined && px >= hit.left && px <= hit.right && py >= hit.top && py <= hit.bottom) || null;
}
let grip = null;
canvas.addEventListener('pointerdown', (event) => { grip = { x: event.clientX, moved: 0 }; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener('pointermove', (event) => {
  const hover = $('hover');
  if (grip) {
    const by = event.clientX - grip.x;
    grip.moved += Math.abs(by);
    grip.x = event.clientX;
    if (grip.moved > 4) { canvas.classList.add('dragged'); hover.hidden = true; move(-by / (width - GUTTER - PAD) * (view.to - view.from)); }
    return;
  }
  const [px, py] = at(event), hit = under(px, py);
  hover.hidden = !hit;
  if (!hit) return;
  const told = hit.number === undefined ? hit.text : `${run.events[hit.number].text}\n${place(run.events[hit.number].lane)}, ${seconds(run.events[hit.number].at)}` + (messageOf.has(hit.number) ? `\n${FATES[messageOf.get(hit.number).fate]}` : '');
  hover.textContent = told.length > 500 ? told.slice(0, 500) + '…' : told;
  hover.style.left = Math.max(4, Math.min(px + 14, width - 430)) + 'px';
  hover.style.top = py + 16 + 'px';
});
canvas.addEventListener('pointerup', (event) => {
  const clicked = grip && grip.moved <= 4;
  grip = null;
  canvas.classList.remove('dragged');
  if (!clicked) return;
  const hit = under(...at(event));
  if (hit && hit.number !== undefined) select(hit.number);
});
canvas.addEventListener('pointercancel', () => { grip = null; canvas.classList.remove('dragged'); });
canvas.addEventListener('pointerleave', () => { $('hover').hidden = true; });
canvas.addEventListener('dblclick', (event) => zoom(0.5, timeAt(at(event)[0])));
canvas.addEventListener('wheel', (event) => {
  if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.0025), timeAt(at(event)[0])); }
  else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    move((event.deltaX || event.deltaY) / (width - GUTTER) * (view.to - view.from));
  }
}, { passive: false });
addEventListener('keydown', (event) => {
  if (event.target.id === 'filter' || event.altKey || event.ctrlKey || event.metaKey) return;
  const inList = event.target.id === 'list', span = view.to - view.from;
  const act = {
    ArrowLeft: () => (event.shiftKey ? move(-span / 8) : step(-1)), ArrowRight: () => (event.shiftKey ? move(span / 8) : step(1)),
    ArrowUp: inList && (() => step(-1)), ArrowDown: inList && (() => step(1)),
    Home: inList && (() => { if (shown.length) select(shown[0]); }), End: inList && (() => { if (shown.length) select(shown[shown.length - 1]); }),
    '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), 0: showAll, Escape: () => select(null),
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});
$('previous').addEventListener('click', () => step(-1));
$('next').addEventListener('click', () => step(1));
$('closer').addEventListener('click', () => zoom(0.5));
$('wider').addEventListener('click', () => zoom(2));
$('all').addEventListener('click', showAll);
$('clear').addEventListener('click', () => select(null));
$('pings').addEventListener('change', () => { showPings = $('pings').checked; find(); redraw(); });
$('filter').addEventListener('input', find);
$('list').addEventListener('scroll', list);
addEventListener('resize', () => { list(); redraw(); });
dark.addEventListener('change', () => { readColours(); list(); redraw(); legend(); });

// ---- Words around it ----

function legend() {
  const item = (shape, text) => `<li><svg width="26" height="14" aria-hidden="true">${shape}</svg>${text}</li>`;
  const line = (ink, dash, more) => `<path d="M2 12 L${more ? 16 : 24} ${more ? 6 : 2}" stroke="${ink}" stroke-width="1.7" stroke-dasharray="${dash}" fill="none"/>${more || ''}`;
  $('legend').innerHTML = [
    item(line(colour.accent, ''), 'message'),
    item(line(colour.bad, '4 3', `<path d="M13 2l6 8m0 -8l-6 8" stroke="${colour.bad}" stroke-width="2"/>`), 'lost on the way'),
    item(line(colour.warn, '', `<circle cx="18" cy="6" r="5" stroke="${colour.warn}" stroke-width="1.7" fill="none"/>`), 'took effect, answer lost'),
    item(line(colour.soft, '2 3'), 'still under way at the end'),
    item(`<path d="M13 2l5 5-5 5-5-5z" fill="${colour.ink}"/>`, 'znode changes'),
    item(`<path d="M6 2h14l-7 11z" fill="${colour.bad}"/>`, 'fault'),
    item(`<path d="M2 13V2l22 9v2z" fill="${colour.accent}" opacity=".45"/>`, 'what is left of the lease'),
    item(`<rect x="2" y="2" width="22" height="10" rx="3" fill="${colour.bad}"/>`, 'two believe at once'),
  ].join('');
}
function heading() {
  $('title').textContent = run.title;
  $('plan').textContent = run.plan;
  const verdict = $('verdict');
  verdict.className = run.violation ? 'bad' : 'good';
  verdict.textContent = run.violation ? `Violation: ${run.violation}` : `No violation. ${run.events.length} events in ${seconds(run.end)}.`;
  run.rulers.forEach((ruler) => {
    const badge = document.createElement('div'), name = document.createElement('b'), told = document.createElement('span');
    const astray = ruler.astray.reduce((sum, [from, to]) => sum + to - from, 0);
    badge.className = 'ruler ' + (ruler.overlap || astray ? 'bad' : 'good');
    badge.dataset.overlap = String(ruler.overlap);
    name.textContent = run.globals[ruler.global] + ': ';
    told.textContent = `overlap ${length(ruler.overlap)}` + (astray ? `; belief against the tree ${length(astray)}` : ' ✓');
    badge.append(name, told);
    $('rulers').append(badge);
  });
}
readColours();
heading();
legend();
find();
draw();
const fromAddress = () => {
  const wanted = new URLSearchParams(location.hash.slice(1)), number = Number(wanted.get('select'));
  const from = Number(wanted.get('from')) * 1e9, to = Number(wanted.get('to')) * 1e9;   // in seconds
  if (from >= 0 && to > from) { view.from = from; view.to = to; }
  if (wanted.has('select') && Number.isInteger(number) && number >= 0 && number < run.events.length) select(number, true);
  else select(null, true);
};
addEventListener('hashchange', fromAddress);
fromAddress();
document.body.dataset.ready = 'true';
