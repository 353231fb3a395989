"use strict";
// What script adds to the report's page: filter, sort, live charts, comparison, and the cells behind every figure.
// Without it the page is a complete document. Numbers are added up as integers (amounts in 分), so sums are exact.
(() => {
  const byId = (id) => document.getElementById(id);
  const words = JSON.parse(byId("script-words").textContent);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  const grouped = (value) => value.toLocaleString("zh-CN");
  // A whole number of the smallest unit (分, or 0.0001), as written: money with its two decimals, others without zeros.
  const decimal = (whole, decimals) => {
    if (!decimals) return grouped(whole);
    const digits = String(Math.abs(whole)).padStart(decimals + 1, "0");
    const rest = decimals === 2 ? digits.slice(-2) : digits.slice(-decimals).replace(/0+$/, "");
    return (whole < 0 ? "-" : "") + grouped(Number(digits.slice(0, -decimals))) + (rest ? `.${rest}` : "");
  };

  // Elements are made of text only; nothing from the data is ever read as markup.
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  async function unpack(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }
  const canUnpack = typeof DecompressionStream === "function";

  document.documentElement.classList.add("scripted");

  // -- tables: columns, sort, filter ----------------------------------------------------------------------------------

  const collator = new Intl.Collator("zh-CN", { numeric: true });

  // The cell of a column, minding cells that go across several.
  function cellAt(row, column) {
    let at = 0;
    for (const cell of row.cells) {
      at += cell.colSpan;
      if (at > column) return cell;
    }
    return null;
  }

  const tables = [...document.querySelectorAll("table.data")].map((element) => {
    const body = element.tBodies[0];
    const all = [...body.rows];
    const headers = [...element.tHead.rows[0].cells];
    const table = {
      element,
      key: element.dataset.table,
      headers,
      columns: headers.map((header) => header.dataset.column),
      rows: all.filter((row) => !row.classList.contains("total")),
      totals: all.filter((row) => row.classList.contains("total")),
      sort: null,
      note: make("p", { className: "note filtered", hidden: true }),
    };
    element.parentElement.after(table.note);
    table.rows.forEach((row, place) => {
      row.place = place;
      row.label = row.querySelector("th").textContent;
      row.words = [...row.cells].filter((cell) => !cell.classList.contains("n")).map((cell) => cell.textContent);
    });
    headers.forEach((header, column) => {
      const label = header.textContent;
      const button = make("button", { type: "button", className: "sort", title: fill(words.sort, { header: label }) });
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortBy(table, column));
    });
    return table;
  });

  function orderOf(row, column) {
    const cell = cellAt(row, column);
    if (cell === null || cell.classList.contains("gap")) return null;
    if (cell.dataset.order !== undefined) return Number(cell.dataset.order);
    return cell.classList.contains("n") ? null : cell.textContent;
  }

  // Numbers the largest first, texts from the first on; the second click turns it round, the third takes it back.
  function sortBy(table, column) {
    const isNumber = table.headers[column].classList.contains("number");
    const first = isNumber && table.columns[column] !== "rank" ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    const now = table.sort && table.sort.column === column ? table.sort.direction : null;
    const direction = now === null ? first : now === first ? second : null;
    table.sort = direction === null ? null : { column, direction };
    table.headers.forEach((header, at) => header.setAttribute("aria-sort", at === column && direction ? direction : "none"));
    const sign = direction === "descending" ? -1 : 1;
    table.rows.sort((one, other) => {
      if (direction === null) return one.place - other.place;
      const [a, b] = [orderOf(one, column), orderOf(other, column)];
      // Where there is no figure the row stays at the end, whichever way the column is sorted.
      if (a === null || b === null) return (a === null) - (b === null) || one.place - other.place;
      const difference = typeof a === "number" ? a - b : collator.compare(a, b);
      return sign * difference || one.place - other.place;
    });
    table.element.tBodies[0].append(...table.rows, ...table.totals);
  }

  const asked = { words: byId("words"), city: byId("city"), found: byId("found") };

  function filter() {
    const wanted = asked.words.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const city = asked.city ? asked.city.value : "";
    let shown = 0;
    let all = 0;
    for (const table of tables) {
      const hasCities = table.rows.some((row) => row.dataset.city);
      const isFiltered = wanted.length > 0 || (city && hasCities);
      let here = 0;
      for (const row of table.rows) {
        const text = row.words.join(" ").toLowerCase();
        const fits = wanted.every((word) => text.includes(word)) && (!city || !hasCities || row.dataset.city === city);
        row.hidden = !fits;
        here += fits ? 1 : 0;
      }
      // A total is of all rows: beside some of them it would be read as theirs.
      for (const row of table.totals) row.hidden = Boolean(isFiltered);
      table.note.hidden = !isFiltered;
      const counts = { shown: here, all: table.rows.length };
      table.note.textContent = here ? fill(words.shown_table, counts) : words.none;
      shown += here;
      all += table.rows.length;
      roving(table.element);
    }
    asked.found.textContent = wanted.length || city ? fill(words.shown, { shown: grouped(shown), all: grouped(all) }) : "";
    charts.forEach((chart) => chart.draw());
  }

  // -- figures: each opens; in a table or a paragraph one of them is a tab stop and arrows lead to the others ---------------

  function labelOf(span, given) {
    if (given) return given;
    const row = span.closest("tr");
    const table = span.closest("table");
    if (!row || !table) return "";
    let column = 0;
    for (const cell of row.cells) {
      if (cell.contains(span)) break;
      column += cell.colSpan;
    }
    const caption = table.getAttribute("aria-label") || document.getElementById(table.getAttribute("aria-labelledby"))?.textContent || "";
    const header = table.tHead.rows[0].cells[column]?.textContent || "";
    return [caption, row.querySelector("th").textContent, header].filter(Boolean).join(" · ");
  }

  // Groups with one tab stop each: the figures of a table, and those of a paragraph.
  const GROUPS = "table, p.text, .coverage p";

  function roving(scope) {
    const openers = [...scope.querySelectorAll(".opens")];
    const first = openers.find((one) => !one.closest("tr")?.hidden);
    openers.forEach((one) => (one.tabIndex = one === first ? 0 : -1));
  }

  function beside(opener, key) {
    const row = opener.closest("tr");
    if (!row || key === "ArrowLeft" || key === "ArrowRight") {
      const line = [...(row || opener.closest("p")).querySelectorAll(".opens")];
      return line[line.indexOf(opener) + (key === "ArrowRight" || key === "ArrowDown" ? 1 : -1)];
    }
    const rows = [...row.parentElement.rows].filter((one) => !one.hidden && one.querySelector(".opens"));
    const other = rows[rows.indexOf(row) + (key === "ArrowDown" ? 1 : -1)];
    return other?.cells[opener.closest("td").cellIndex]?.querySelector(".opens") || other?.querySelector(".opens");
  }

  function pressed(event) {
    const opener = event.target.closest?.(".opens");
    if (!opener) return;
    if (opener.getAttribute("role") === "button" && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      opener.click();
    }
    if (!opener.closest(GROUPS) || !["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    const next = beside(opener, event.key);
    if (!next) return;
    opener.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  const hasTraces = byId("trace-data").textContent !== "";
  if (hasTraces) {
    for (const span of document.querySelectorAll("span.figure")) {
      const { figure } = span.dataset;
      // In running text a button would be a box of its own; a span flows with the line.
      const isRunning = span.closest(GROUPS)?.tagName === "P";
      const opener = isRunning ? span : make("button", { type: "button", className: span.className });
      if (isRunning) opener.setAttribute("role", "button");
      else {
        opener.dataset.figure = figure;
        span.replaceWith(opener);
        opener.append(...span.childNodes);
      }
      opener.classList.add("opens");
      opener.label = isRunning ? partLabel(figure) : labelOf(opener, span.dataset.label);
      opener.text = opener.textContent;
      opener.setAttribute("aria-label", fill(words.open, { label: opener.label, text: opener.text }));
      opener.setAttribute("aria-haspopup", "dialog");
    }
    document.addEventListener("click", (event) => {
      const opener = event.target.closest(".opens");
      if (opener) open({ key: opener.dataset.figure, label: opener.label, text: opener.text });
    });
    document.addEventListener("keydown", pressed);
    document.querySelectorAll(GROUPS).forEach(roving);
  }

  // -- traces ---------------------------------------------------------------------------------------------------------------

  const CELLS_AT_ONCE = 200;
  const IN_FILE = ["city", "county", "lfl", "yoy", "both"];
  const dialog = byId("trace");
  const path = [];
  let traces = null;

  async function loaded() {
    traces ??= JSON.parse(await unpack("trace-data"));
    return traces;
  }

  // The lists of a block are joined texts until someone looks at them.
  function lists(block) {
    block.keys ??= Object.fromEntries(Object.entries(block.k || {}).map(([name, text]) => [name, text.split("\n")]));
    block.cells ??= Object.fromEntries(Object.entries(block.c || {}).map(([name, text]) => [name, text.split(",")]));
    block.rows ??= block.r ? block.r.split(",") : [];
    return block;
  }

  // The lines behind a figure: {block, at, lines, amount}.
  function* linesOf(data, entry) {
    const seen = new Set();
    const conditions = Object.entries(entry.w);
    for (const packed of data.blocks) {
      if (packed.f !== entry.f || packed.p !== entry.p) continue;
      const block = lists(packed);
      const inBlock = conditions.filter(([name]) => name in block.keys || !IN_FILE.includes(name));
      const isSummed = "lines" in block.cells;
      if (isSummed && Object.keys(block.keys).length !== inBlock.length) continue;
      if (isSummed && !inBlock.every(([name]) => name in block.keys)) continue;
      const flags = "i" in block ? data.files[block.i][5] : {};
      for (let at = 0; at < block.n; at += 1) {
        const fits = conditions.every(([name, wanted]) => {
          const value = name in block.keys ? block.keys[name][at] : flags[name];
          return Array.isArray(wanted) ? wanted.includes(value) : value === wanted;
        });
        if (!fits) continue;
        const count = isSummed ? Number(block.cells.lines[at]) : 1;
        let amount = 0;
        if (entry.d) {
          amount = seen.has(block.keys[entry.d][at]) ? 0 : 1;
          seen.add(block.keys[entry.d][at]);
        } else if (entry.n) amount = count;
        else if (!entry.l) for (const name of entry.c) amount += Number(block.cells[name][at] || 0);
        yield { block, at, count, amount, isSummed };
      }
    }
  }

  const sumOf = (data, entry) => {
    let total = 0;
    for (const line of linesOf(data, entry)) total += line.amount;
    return total;
  };

  // A part as a fraction of integers, or null where cells do not add up to it.
  function value(data, key) {
    const entry = data.entries[key];
    if (!entry || ["note", "order", "standing", "lead"].includes(entry.t) || entry.l) return null;
    if (entry.t === "sum") return [BigInt(sumOf(data, entry)), 1n];
    const over = entry.o.map((part) => value(data, part));
    const under = entry.u.map((part) => value(data, part));
    if ([...over, ...under].includes(null)) return null;
    const sum = (list) => list.reduce((total, [number]) => total + number, 0n);
    if (entry.t === "difference") return [sum(over) - sum(under), 1n];
    if (entry.t === "points") {
      const [half, last] = [over.length / 2, under.length / 2];
      const [a, b] = [sum(over.slice(0, half)), sum(under.slice(0, last))];
      const [c, d] = [sum(over.slice(half)), sum(under.slice(last))];
      return b === 0n || d === 0n ? null : [a * d - c * b, b * d];
    }
    const base = sum(under);
    if (base === 0n) return null;
    return [entry.t === "change" ? sum(over) - base : entry.t === "per_thousand" ? sum(over) * 1000n : sum(over), base];
  }

  // A fraction to so many decimals, rounded half away from zero, as the report rounds.
  function rounded([number, base], decimals) {
    const positive = (one) => (one < 0n ? -one : one);
    const scale = 10n ** BigInt(decimals);
    const whole = (positive(number) * 2n * scale + positive(base)) / (positive(base) * 2n);
    const sign = number < 0n !== base < 0n && whole !== 0n ? "-" : "";
    return `${sign}${whole / scale}.${String(whole % scale).padStart(decimals, "0")}`;
  }
  const percentText = ([number, base]) => rounded([number * 100n, base], 1);

  // What a figure or a part comes to, as the report would print it; empty where cells do not add up to it.
  function madeText(data, key) {
    const entry = data.entries[key];
    const exact = value(data, key);
    if (exact === null) return "";
    if (entry.t === "sum") return decimal(Number(exact[0]), entry.e);
    if (entry.t === "difference") return decimal(Number(exact[0]), 0);
    if (entry.t === "per_thousand") return rounded(exact, 2);
    return percentText(exact) + (entry.t === "points" ? words.points_unit : "%");
  }

  function partLabel(key) {
    const pieces = key.split(".");
    const variant = Object.keys(words.variants).find((name) => pieces.at(-1) === name);
    const measure = pieces.at(variant ? -2 : -1);
    let label = words.measures[measure] || words.figure;
    if (pieces[0] === "trend") label = `${fill(words.period_name, { year: pieces[1].slice(0, 4), month: Number(pieces[1].slice(5)) })}${label}`;
    if (variant) label += `（${words.variants[variant]}）`;
    return label;
  }

  function open(step) {
    path.length = 0;
    path.push(step);
    show();
    if (!dialog.open) dialog.showModal();
    byId("trace-title").focus();
  }

  async function show() {
    const step = path.at(-1);
    const body = byId("trace-body");
    byId("trace-title").textContent = step.label || words.figure;
    byId("trace-back").hidden = path.length < 2;
    body.replaceChildren(make("p", {}, words.loading));
    dialog.scrollTop = 0;
    if (!canUnpack) {
      body.replaceChildren(make("p", { className: "warn" }, words.too_old));
      return;
    }
    const data = await loaded();
    if (path.at(-1) !== step) return;
    const entry = data.entries[step.key];
    body.replaceChildren();
    if (step.text) body.append(make("p", { className: "what" }, make("strong", {}, step.text)));
    if (!entry || entry.t === "note") {
      body.append(make("p", {}, entry ? data.hows[entry.h] : words.no_traces));
    } else if (entry.t === "sum") {
      body.append(...cellsOf(data, entry, step));
    } else {
      body.append(...partsOf(data, entry, step));
    }
  }

  function partsOf(data, entry, step) {
    const names = (keys) => keys.map((key) => partLabel(key)).join(" + ");
    const grouped2 = (keys) => (keys.length > 1 ? `（${names(keys)}）` : names(keys));
    const half = (keys, second) => keys.slice(second ? keys.length / 2 : 0, second ? undefined : keys.length / 2);
    const isPoints = entry.t === "points";
    const formula = fill(words.formulas[entry.t], {
      over: isPoints ? grouped2(half(entry.o)) : grouped2(entry.o),
      under: isPoints ? grouped2(half(entry.u)) : grouped2(entry.u),
      over2: isPoints ? grouped2(half(entry.o, true)) : "",
      under2: isPoints ? grouped2(half(entry.u, true)) : "",
    });
    const made = [make("p", {}, make("strong", {}, `${words.made}：`), formula)];
    const comesTo = madeText(data, step.key);
    if (comesTo) made.push(make("p", { className: "sum" }, `${words.added_by_page}：${comesTo}`));
    const list = make("ul", { className: "parts" });
    for (const key of [...new Set([...entry.o, ...entry.u])]) {
      const text = madeText(data, key);
      const button = make("button", { type: "button", className: "part" }, partLabel(key), text ? make("span", { className: "digits" }, text) : null);
      button.addEventListener("click", () => {
        path.push({ key, label: partLabel(key), text });
        show();
        byId("trace-title").focus();
      });
      list.append(make("li", {}, button));
    }
    return [...made, make("p", { className: "note" }, words.parts), list];
  }

  function cellsOf(data, entry, step) {
    const printed = (whole) => decimal(whole, entry.e);
    const groups = new Map();
    let total = 0;
    let count = 0;
    let isSummed = false;
    for (const line of linesOf(data, entry)) {
      const file = "i" in line.block ? line.block.i : -1;
      if (!groups.has(file)) groups.set(file, { lines: [], total: 0, count: 0 });
      const group = groups.get(file);
      group.lines.push(line);
      group.total += line.amount;
      group.count += line.count;
      total += line.amount;
      count += line.count;
      isSummed ||= line.isSummed;
    }
    const isLedger = ["ledger", "file", "finding"].includes(entry.f);
    const many = fill(isLedger ? words.ledger_lines : words.lines, { count: grouped(count) });
    const files = fill(words.files, { count: grouped([...groups.keys()].filter((file) => file >= 0).length) });
    const made = [];
    made.push(make("p", {}, make("strong", {}, `${words.made}：`), "h" in entry ? data.hows[entry.h] : words.default_how));
    if (!count) made.push(make("p", {}, words.nothing));
    if (!entry.l) {
      const sum = make("p", { className: "sum" }, `${words.added_by_page}（${many}，${files}）：${words.total} `, make("strong", {}, printed(total)));
      sum.dataset.total = String(total);
      if ("v" in entry) {
        const isEqual = entry.v === total;
        sum.dataset.equal = String(isEqual);
        sum.append("　", make("span", { className: isEqual ? "equal" : "unequal" }, isEqual ? `✓ ${words.equal}` : `✗ ${words.unequal} ${printed(entry.v)}`));
      }
      made.push(sum);
    } else made.push(make("p", { className: "sum" }, `${many}，${files}`));
    if (isSummed) made.push(make("p", { className: "warn" }, fill(words.summed, { count: grouped(count) })));
    if (entry.m) made.push(...commandOf(entry.m, isSummed));
    const isOne = groups.size === 1;
    const ordered = [...groups.entries()].sort((one, other) => one[0] - other[0]);
    if (isLedger) made.push(ledgerOf(data, entry, ordered.flatMap(([, group]) => group.lines)));
    else for (const [file, group] of ordered) made.push(fileOf(data, entry, file, group, isOne, printed));
    return made;
  }

  function commandOf([mart, measure, period, region, ...filters], isSummed) {
    const quoted = (text) => (/^[\w=.-]*$/.test(text) ? text : `'${text}'`);
    const options = [`--period ${period}`, `--mart ${mart}`, `--measure ${measure}`];
    if (region) options.push(`--region ${region}`);
    options.push(...filters.map((one) => `--filter ${quoted(one)}`));
    const command = `make trace ARGS="${options.join(" ")}"`;
    const code = make("code", {}, command);
    const button = make("button", { type: "button" }, words.copy);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command);
        button.textContent = words.copied;
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = words.copy_failed;
      }
    });
    const line = make("p", { className: "command" }, code, " ", button);
    return isSummed ? [line] : [make("details", {}, make("summary", {}, words.command), line)];
  }

  function headOf(data, number) {
    const [name, sha256, version, received, reporter] = data.files[number];
    const facts = [reporter, version ? fill(words.version, { version }) : "", received ? `${words.received} ${received}` : ""];
    return [
      make("p", { className: "file" }, make("strong", {}, name), make("span", {}, facts.filter(Boolean).join(" · "))),
      make("p", { className: "hash" }, `${words.sha256} ${sha256}`),
    ];
  }

  function ledgerOf(data, entry, found) {
    const labels = words.state;
    const list = make("ul", { className: "ledger" });
    for (const { block, at } of found) {
      const item = make("li");
      if (block.f === "ledger") {
        const key = (name) => block.keys[name][at];
        const states = [];
        if (key("received") === "1") {
          states.push(key("at"), key("on_time") === "1" ? labels.on_time : labels.late);
          states.push(key("accepted") === "1" ? labels.accepted : labels.refused);
          if (key("first_pass") === "1") states.push(labels.first_pass);
        } else states.push(words.not_received);
        if (entry.c) states.push(`${words.value} ${block.cells[entry.c[0]][at]}`);
        const form = words.forms[key("form")] || key("form");
        item.append(make("p", { className: "file" }, make("strong", {}, `${key("name")} · ${form}`), make("span", {}, states.join(" · "))));
      }
      if (block.f === "finding") {
        const key = (name) => block.keys[name][at];
        const place = [block.s ? `${words.sheet}「${block.s}」` : "", key("cell") ? `${words.cell} ${key("cell")}` : ""];
        const title = `${key("name")} · ${words.forms[key("form")] || key("form")} · ${key("code")}`;
        item.append(make("p", { className: "file" }, make("strong", {}, title), make("span", {}, place.filter(Boolean).join(" · "))));
      }
      if ("i" in block) item.append(...headOf(data, block.i));
      list.append(item);
    }
    return list;
  }

  // One file: name and digest, its columns, and its cells once it is opened.
  function fileOf(data, entry, file, group, isOpen, printed) {
    const details = make("details", { className: "source" });
    const [name, , , , reporter] = data.files[file];
    const counts = fill(words.lines, { count: grouped(group.count) });
    const sum = entry.l ? counts : `${counts} · ${words.of_file} ${printed(group.total)}`;
    details.append(make("summary", {}, make("span", { className: "name" }, `${reporter} · ${name}`), make("span", { className: "digits" }, sum)));
    const render = () => {
      if (details.childElementCount > 1) return;
      details.append(...headOf(data, file), ...sheetsOf(entry, group.lines, printed));
    };
    details.addEventListener("toggle", () => details.open && render());
    if (isOpen) {
      details.open = true;
      render();
    }
    return details;
  }

  function sheetsOf(entry, found, printed) {
    const columns = entry.c || [];
    const block = found[0].block;
    const heads = block.h || {};
    const places = make("ul", { className: "columns" });
    for (const one of [...new Set(found.map((line) => line.block))]) {
      const named = Object.entries(one.h || {}).filter(([name]) => columns.includes(name.split(":")[0]));
      const listed = named.map(([, [letter, header]]) => `${letter}「${header}」`).join("、");
      places.append(make("li", {}, `${words.sheet}「${one.s}」${listed ? ` · ${words.column} ${listed}` : ""}`));
    }
    if (found.every((line) => line.isSummed)) return [places];
    const table = make("table", { className: "cells" });
    const head = make("tr", {}, ...[words.cell, words.value, ...(entry.l ? [] : [words.counted])].map((text) => make("th", { scope: "col" }, text)));
    const body = make("tbody");
    table.append(make("thead", {}, head), body);
    let next = 0;
    const more = make("button", { type: "button" });
    const add = () => {
      for (const line of found.slice(next, next + CELLS_AT_ONCE)) body.append(...rowsOf(entry, line, columns, printed));
      next += CELLS_AT_ONCE;
      more.hidden = next >= found.length;
      more.textContent = fill(words.more, { row: "", count: Math.min(CELLS_AT_ONCE, found.length - next) });
    };
    more.addEventListener("click", add);
    add();
    const isOf = Object.keys(heads).length > 0 || block.s;
    return [places, make("div", { className: "box" }, table), isOf ? more : null].filter(Boolean);
  }

  function rowsOf(entry, { block, at, amount }, columns, printed) {
    const [row, own] = block.rows[at].split(":");
    return columns
      .map((name, place) => {
        const [letter] = (own && block.h[`${name}:${own}`]) || block.h[name] || [""];
        const address = letter ? `${letter}${row}` : fill(words.row, { row });
        const list = block.cells[name];
        const text = list ? (list[at] === "" ? "" : printed(Number(list[at]))) : words.unnamed;
        if (list && list[at] === "" && columns.length > 1) return null;
        const counted = entry.n || entry.d ? (place || !amount ? "" : String(amount)) : list ? text : "";
        return make("tr", {}, make("th", { scope: "row" }, address), make("td", { className: "n" }, text), ...(entry.l ? [] : [make("td", { className: "n" }, counted)]));
      })
      .filter(Boolean);
  }

  byId("trace-back").addEventListener("click", () => {
    path.pop();
    show();
    byId("trace-title").focus();
  });
  byId("trace-close").addEventListener("click", () => dialog.close());
  // A click beside the dialog closes it as Esc does.
  dialog.addEventListener("click", (event) => {
    const box = dialog.getBoundingClientRect();
    const isInside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (event.target === dialog && !isInside) dialog.close();
  });

  // -- live charts ------------------------------------------------------------------------------------------------------------

  const templates = JSON.parse(byId("chart-templates").textContent);
  const tip = byId("tip");
  let library = null;

  // Put in as a script of its own: the page's policy lets it run because it knows its digest.
  function loadLibrary() {
    library ??= unpack("chart-library").then((text) => {
      document.head.append(make("script", { textContent: text }));
      return window.vegaEmbed;
    });
    return library;
  }

  function tooltip(handler, event, item, text) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = String(text);
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.min(event.clientY + 12, innerHeight - tip.offsetHeight - 8)}px`;
  }

  // Columns of counts, amounts or rates, each of one unit: what one chart can show at a time.
  const SKIPPED = ["rank", "change_lfl", "change_plain", "lfl", "lfl_previous"];

  class LiveChart {
    constructor(figure, table) {
      Object.assign(this, { figure, table, shape: figure.dataset.chart, top: Number(figure.dataset.top), view: null });
      this.column = figure.dataset.measure;
      this.box = make("div", { className: "live", hidden: true });
      const select = make("select");
      table.headers.forEach((header, at) => {
        const name = table.columns[at];
        const hasNumbers = table.rows.some((row) => typeof orderOf(row, at) === "number");
        if (header.classList.contains("number") && hasNumbers && !SKIPPED.includes(name)) {
          select.append(make("option", { value: name, selected: name === this.column }, header.textContent));
        }
      });
      const label = make("label", {}, `${figure.dataset.words} `, select);
      this.choice = make("p", { className: "choice", hidden: true }, label);
      select.addEventListener("change", () => {
        this.column = select.value;
        this.draw();
      });
      figure.querySelector("figcaption").after(this.choice, this.box);
    }

    // The second series, while the chart shows what it was printed with.
    lineOf(row) {
      const name = this.figure.dataset.line;
      const cell = name && this.column === this.figure.dataset.measure ? cellAt(row, this.table.columns.indexOf(name)) : null;
      const line = cell ? orderOf(row, this.table.columns.indexOf(name)) : null;
      return { line, line_label: line === null ? "" : cell.textContent };
    }

    rows() {
      const at = this.table.columns.indexOf(this.column);
      const shown = this.table.rows.filter((row) => !row.hidden).map((row) => {
        const cell = cellAt(row, at);
        const number = orderOf(row, at);
        const key = cell?.querySelector("[data-figure]")?.dataset.figure || "";
        const line = this.lineOf(row);
        return { name: row.label, value: number, label: cell?.textContent || "", key, place: row.place, tone: "plain", ...line };
      });
      const drawn = shown.filter((row) => typeof row.value === "number");
      if (this.shape === "columns") {
        drawn.sort((one, other) => one.place - other.place);
        const against = byId("against")?.value;
        const chosen = `trend.${against}.`;
        drawn.forEach((row) => (row.tone = against && row.key.startsWith(chosen) ? "chosen" : "plain"));
        return drawn;
      }
      // What is not classified has no rank: it is no industry and no post.
      const rank = this.table.columns.indexOf("rank");
      const ranked = rank < 0 ? drawn : drawn.filter((row) => typeof orderOf(this.table.rows.find((one) => one.place === row.place), rank) === "number");
      return (ranked.length ? ranked : drawn).sort((one, other) => other.value - one.value || one.place - other.place).slice(0, this.top);
    }

    async start() {
      if (this.view || this.isStarting) return;
      this.isStarting = true;
      const embed = await loadLibrary();
      const spec = structuredClone(templates[this.shape]);
      spec.width = this.figure.clientWidth;
      this.box.hidden = false;
      const result = await embed(this.box, spec, { mode: "vega", ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip });
      this.view = result.view;
      this.view.addEventListener("click", (event, item) => {
        const row = item?.datum;
        if (hasTraces && row?.key) open({ key: row.key, label: `${row.name} · ${this.header()}`, text: row.label });
      });
      this.box.setAttribute("aria-hidden", "true");
      this.figure.classList.add("lives");
      this.choice.hidden = this.choice.querySelectorAll("option").length < 2;
      new ResizeObserver(() => this.resize()).observe(this.figure);
      await this.draw();
    }

    header() {
      return this.table.headers[this.table.columns.indexOf(this.column)].textContent;
    }

    resize() {
      const width = this.figure.clientWidth;
      if (!width || width === this.width) return;
      this.width = width;
      this.view.width(width).runAsync();
    }

    async draw() {
      if (!this.view) return;
      const rows = this.rows();
      this.box.hidden = rows.length === 0;
      this.figure.querySelector("figcaption").textContent = this.caption(rows.length);
      const unique = new Map();
      rows.forEach((row) => {
        const times = unique.get(row.name) || 0;
        unique.set(row.name, times + 1);
        if (times) row.name += "\u2009".repeat(times);
      });
      if (this.shape === "columns") {
        const largest = (name) => Math.max(1e-9, ...rows.map((row) => row[name] ?? 0));
        const hasLine = rows.some((row) => row.line !== null);
        this.view.signal("top", largest("value") * (hasLine ? 1.7 : 1.05)).signal("line_top", largest("line") * 1.1);
      }
      await this.view.data("rows", rows).runAsync();
      this.box.dataset.rows = String(rows.length);
    }

    caption(count) {
      this.original ??= this.figure.querySelector("figcaption").textContent;
      const isAsPrinted = this.column === this.figure.dataset.measure && !this.table.rows.some((row) => row.hidden);
      return isAsPrinted ? this.original : `${this.table.element.getAttribute("aria-label")} · ${fill(words.chart_of, { column: this.header(), count })}`;
    }
  }

  const charts = [];
  if (canUnpack && "IntersectionObserver" in window) {
    const watched = new IntersectionObserver(
      (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
        watched.unobserve(entry.target);
        charts.find((chart) => chart.figure === entry.target)?.start();
      }),
      { rootMargin: "300px" },
    );
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      const table = tables.find((one) => one.key === figure.dataset.of);
      if (!table) continue;
      figure.dataset.words = words.chart_measure;
      charts.push(new LiveChart(figure, table));
      watched.observe(figure);
    }
  }

  // -- the rest -----------------------------------------------------------------------------------------------------------------

  let pause = 0;
  asked.words.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(filter, 120);
  });
  asked.city?.addEventListener("change", filter);
  byId("reset").addEventListener("click", () => {
    asked.words.value = "";
    if (asked.city) asked.city.value = "";
    filter();
    asked.words.focus();
  });

  const against = byId("against");
  if (against) {
    const choose = () => {
      for (const one of document.querySelectorAll(".against")) one.hidden = against.value !== "" && one.dataset.against !== against.value;
      charts.filter((chart) => chart.shape === "columns").forEach((chart) => chart.draw());
    };
    against.addEventListener("change", choose);
    choose();
  }

  byId("print").addEventListener("click", () => print());
})();
