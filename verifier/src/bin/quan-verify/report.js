"use strict";
// The report: data from the page itself, no request. What it verifies, it verifies by WebCrypto and the keys of the trail.
const DATA = JSON.parse(document.getElementById("data").textContent);
const TEXTS = {
  en: {
    title: "Audit report", audit: "The audit", check: "Check a receipt or a proof", use: "Use of shared hardware", money: "Where the subsidy went",
    check_help: "Paste a signed receipt (one line with two dots) or a whole .tlog-proof file. It is checked here, in this browser, with the keys of this trail; nothing leaves this page.",
    pasted: "Receipt or proof", verify: "Check", offline: "One file, made by quan-verify. It makes no request and works without a network.",
    agree: "agree: every file, signature, decision and balance was checked and holds", differ: "differ: something does not hold", withheld: "withheld: entries are missing from this copy",
    origin: "Log", entries: "Entries", decided: "Decided again", root: "Root", until: "Last entry", fund: "Fund", differences: "Differences",
    where: "Where", code: "Code", expected: "Expected", found: "Found", week: "Week", region: "Region", site: "Site", cards: "Cards", billed: "Billed GPU-h", shared: "Shared GPU-h", utilisation: "Utilisation",
    schemes: "By scheme", programmes: "By programme", size_classes: "By the buyer's size class", levels: "By evidence level", words: "By whose word it rests on",
    orders: "Orders", earned: "Earned, CNY", taken_back: "Taken back, CNY", granted: "Granted, CNY", good: "holds", refused: "refused",
    accepted_as: "accepted as entry", not_listed: "whether this exchange accepted it is not shown by this file", no_key: "this browser's WebCrypto has no Ed25519: use another browser, or quan-verify", cosigned: "cosignatures of the policy's witnesses hold", same_root: "its checkpoint is the one of this report", other_size: "its checkpoint has another size than this report; quan-verify audit --known compares them",
  },
  zh: {
    title: "审计报告", audit: "审计结果", check: "核验凭证或证明", use: "共享算力使用情况", money: "补贴去向",
    check_help: "粘贴一份已签名的凭证（一行，含两个点）或整个 .tlog-proof 文件。核验只在本浏览器内进行，使用本审计链登记的密钥，任何内容都不会离开本页。",
    pasted: "凭证或证明", verify: "核验", offline: "单一文件，由 quan-verify 生成；不发出任何网络请求，离线可用。",
    agree: "一致：所有文件、签名、决定与余额均已核验", differ: "不一致：存在差异", withheld: "有保留：本副本缺少部分条目",
    origin: "日志", entries: "条目数", decided: "重新判定", root: "根哈希", until: "最后条目", fund: "资金", differences: "差异",
    where: "位置", code: "代码", expected: "应为", found: "实为", week: "周", region: "地区", site: "算力中心", cards: "加速卡", billed: "计费卡时", shared: "共享卡时", utilisation: "利用率",
    schemes: "按券种", programmes: "按政策", size_classes: "按用户规模", levels: "按证据等级", words: "按依据何方陈述",
    orders: "订单", earned: "已核定（元）", taken_back: "已追回（元）", granted: "净额（元）", good: "有效", refused: "拒绝",
    accepted_as: "已作为条目接受，编号", not_listed: "本文件未表明交易平台是否接受该凭证", no_key: "本浏览器的 WebCrypto 不支持 Ed25519：请换浏览器或使用 quan-verify", cosigned: "个见证人共签有效", same_root: "其检查点与本报告一致", other_size: "其检查点大小与本报告不同；可用 quan-verify audit --known 比较",
  },
  it: {
    title: "Rapporto di verifica", audit: "La verifica", check: "Controlla una ricevuta o una prova", use: "Uso delle macchine condivise", money: "Dove è andato il contributo",
    check_help: "Incolla una ricevuta firmata (una riga con due punti) o un intero file .tlog-proof. Il controllo avviene qui, in questo browser, con le chiavi di questo registro; nulla lascia la pagina.",
    pasted: "Ricevuta o prova", verify: "Controlla", offline: "Un solo file, fatto da quan-verify. Non fa richieste e funziona senza rete.",
    agree: "concorda: ogni file, firma, decisione e saldo è stato controllato e regge", differ: "diverge: qualcosa non regge", withheld: "trattenuto: in questa copia mancano voci",
    origin: "Registro", entries: "Voci", decided: "Decise di nuovo", root: "Radice", until: "Ultima voce", fund: "Fondo", differences: "Differenze",
    where: "Dove", code: "Codice", expected: "Atteso", found: "Trovato", week: "Settimana", region: "Regione", site: "Centro", cards: "Schede", billed: "GPU-h fatturate", shared: "GPU-h condivise", utilisation: "Utilizzo",
    schemes: "Per schema", programmes: "Per programma", size_classes: "Per dimensione dell'acquirente", levels: "Per livello di prova", words: "Per parola di chi",
    orders: "Ordini", earned: "Maturato, CNY", taken_back: "Recuperato, CNY", granted: "Concesso, CNY", good: "regge", refused: "rifiutata",
    accepted_as: "accettata come voce", not_listed: "questo file non mostra se la piattaforma l'ha accettata", no_key: "la WebCrypto di questo browser non ha Ed25519: usa un altro browser o quan-verify", cosigned: "cofirme dei testimoni della policy reggono", same_root: "il suo checkpoint è quello di questo rapporto", other_size: "il suo checkpoint ha un'altra dimensione; quan-verify audit --known li confronta",
  },
};
const fragment = new URLSearchParams(location.hash.slice(1));
let lang = fragment.get("lang") || navigator.language.slice(0, 2);
if (!(lang in TEXTS)) lang = "en";
const t = (key) => TEXTS[lang][key] || key;
const byId = (id) => document.getElementById(id);

/** Makes an element with text or children. */
function el(name, content, attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const part of [content].flat()) made.append(part);
  return made;
}
/** Fen as CNY, exactly: fen are safe integers. */
function cny(fen) {
  const whole = BigInt(fen), size = whole < 0n ? -whole : whole;
  return `${whole < 0n ? "-" : ""}${size / 100n}.${String(size % 100n).padStart(2, "0")}`;
}
const hours = (seconds) => (seconds / 3600).toFixed(1);
const percent = (bp) => `${(bp / 100).toFixed(2)} %`;

function table(heads, rows) {
  const head = el("tr", heads.map((text) => el("th", text, { scope: "col" })));
  const body = rows.map((row) => el("tr", row.map((cell) => el("td", String(cell)))));
  return el("div", el("table", [el("thead", head), el("tbody", body)]), { class: "scroll" });
}
/** A bar chart: one bar a row, as long as its number. */
function bars(rows, label) {
  const space = "http://www.w3.org/2000/svg", step = 22, left = 260, width = 860;
  const most = Math.max(1, ...rows.map((row) => row.value));
  const svg = document.createElementNS(space, "svg");
  const draw = (name, attributes, text) => {
    const made = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
  };
  svg.setAttribute("viewBox", `0 0 ${width} ${rows.length * step + 4}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  rows.forEach((row, at) => {
    const y = at * step + 4, long = (Math.max(0, row.value) / most) * (width - left - 150);
    draw("text", { x: left - 8, y: y + 12, "text-anchor": "end" }, row.name);
    draw("rect", { x: left, y, width: Math.max(1, long).toFixed(1), height: step - 8, rx: 2 });
    draw("text", { x: left + long + 6, y: y + 12 }, row.text);
  });
  return svg;
}

function show() {
  document.documentElement.lang = lang;
  document.title = `Quan · ${t("title")}`;
  for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
  for (const one of document.querySelectorAll("[data-lang]")) one.setAttribute("aria-pressed", String(one.dataset.lang === lang));
  const { report, stats } = DATA;
  byId("verdict-word").replaceChildren(el("strong", t(report.verdict), { class: report.verdict === "agree" ? "good" : "bad" }));
  const facts = [["origin", report.origin], ["entries", report.entries], ["decided", report.decided], ["until", stats.until], ["root", report.root]];
  byId("facts").replaceChildren(...facts.flatMap(([key, value]) => [el("dt", t(key)), el("dd", String(value ?? "–"))]));
  const kinds = [...new Set(report.funds.flatMap((fund) => Object.keys(fund.fen)))].sort();
  byId("funds").replaceChildren(table([t("fund"), ...kinds], report.funds.map((fund) => [fund.fund, ...kinds.map((kind) => cny(fund.fen[kind] || 0))])));
  const place = (at) => at.file ?? `entry ${at.entry}`;
  const differences = report.differences.map((one) => [place(one.at), one.code, one.expected, one.found]);
  byId("differences").replaceChildren(...(differences.length ? [el("h3", t("differences")), table([t("where"), t("code"), t("expected"), t("found")], differences)] : []));
  byId("notes").replaceChildren(...report.notes.map((note) => el("li", note)));
  showUse(stats);
  showMoney(stats.subsidy);
}
function showUse(stats) {
  const used = stats.regions.filter((row) => row.billed_gpu_seconds !== 0);
  const chart = bars(used.map((row) => ({ name: `${row.region} ${row.week}`, value: row.utilisation_bp, text: percent(row.utilisation_bp) })), t("use"));
  const cells = (row) => [hours(row.billed_gpu_seconds), hours(row.shared_gpu_seconds), percent(row.utilisation_bp)];
  const heads = [t("week"), t("billed"), t("shared"), t("utilisation")];
  const regions = table([t("region"), ...heads], stats.regions.map((row) => [row.region, row.week, ...cells(row)]));
  const sites = table([t("site"), t("cards"), ...heads], stats.sites.map((row) => [row.site, row.gpu_model, row.week, ...cells(row)]));
  byId("use").replaceChildren(chart, el("h3", t("region")), regions, el("h3", t("site")), sites);
}
function showMoney(subsidy) {
  const parts = ["schemes", "programmes", "size_classes", "levels", "words"].flatMap((cut) => {
    const rows = subsidy[cut];
    const chart = bars(rows.map((row) => ({ name: row.name, value: row.granted_fen, text: cny(row.granted_fen) })), t(cut));
    const cells = rows.map((row) => [row.name, row.orders, cny(row.earned_fen), cny(row.taken_back_fen), cny(row.granted_fen)]);
    return [el("h3", t(cut)), chart, table(["", t("orders"), t("earned"), t("taken_back"), t("granted")], cells)];
  });
  byId("money").replaceChildren(...parts);
}

// ---- Checking -------------------------------------------------------------------------------------------------------

/** What the rules say no to, with its stable code. */
class Refused extends Error {
  constructor(code, sentence) { super(sentence); this.code = code; }
}
const need = (holds, code, sentence) => { if (!holds) throw new Refused(code, sentence); };
const utf8 = (text) => new TextEncoder().encode(text);
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const equal = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
const encode = (bytes) => { let text = ""; for (const byte of bytes) text += String.fromCharCode(byte); return btoa(text); };
const encodeUrl = (bytes) => encode(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
/** Base64 in its one spelling. */
function decode(text, code) {
  let raw = null;
  try { raw = Uint8Array.from(atob(text), (one) => one.charCodeAt(0)); } catch { /* refused below */ }
  need(raw && encode(raw) === text, code, "not base64 in its one spelling");
  return raw;
}
function decodeUrl(text, code) {
  need(/^[A-Za-z0-9_-]*$/.test(text), code, "not base64url");
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return decode(standard + "=".repeat((4 - (standard.length % 4)) % 4), code);
}
async function signed(key, message, signature) {
  let imported;
  try { imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]); }
  catch { throw new Refused("browser", t("no_key")); }
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}
function json(bytes, code) {
  let value = null;
  try { value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)); } catch { /* refused below */ }
  need(value !== null && typeof value === "object" && !Array.isArray(value), code, "not a JSON object");
  return value;
}
/** The use of the key that may sign each kind of statement. */
const USES = {
  "compute-usage-receipt+jwt": ["receipt"], "data-delivery-receipt+jwt": ["receipt", "delivery"], "data-acceptance-receipt+jwt": ["acceptance"],
  "capacity-share+jwt": ["capacity"], "key-registration+jwt": ["receipt", "acceptance", "capacity", "recovery"],
};
async function checkReceipt(compact) {
  const parts = compact.split("."), bad = "receipt.malformed";
  need(parts.length === 3 && compact.length <= 48000, bad, "a compact JWS has three parts");
  const header = json(decodeUrl(parts[0], bad), bad), signature = decodeUrl(parts[2], bad);
  need(Object.keys(header).sort().join() === "alg,kid,typ", bad, "the header has exactly alg, kid and typ");
  need(header.alg === "EdDSA" || header.alg === "Ed25519", bad, "alg is EdDSA or Ed25519");
  need(header.typ in USES && signature.length === 64, bad, "not a statement of an exchange");
  const claims = json(decodeUrl(parts[1], bad), bad);
  const key = DATA.keys.find((one) => one.kid === header.kid);
  need(key, "receipt.key-unknown", `the trail registers no key ${header.kid}`);
  need(await signed(decodeUrl(key.x, bad), utf8(`${parts[0]}.${parts[1]}`), signature), "receipt.signature", `the signature is not one of key ${key.kid} over this receipt`);
  need(USES[header.typ].includes(key.use) || key.owner === "exchange", "receipt.key-unknown", `key ${key.kid} is registered for ${key.use}`);
  if (Number.isInteger(claims.iat)) {
    need(claims.iat >= key.valid_from && claims.iat < key.valid_to, "receipt.key-not-valid-then", "the key was not valid when the receipt was issued");
    need(!key.compromised, "receipt.key-not-valid-then", "the key was revoked as compromised");
  }
  need(claims.aud === DATA.report.origin, "receipt.audience", `the receipt is for ${claims.aud}`);
  need(claims.iss === undefined || claims.iss === key.party, "receipt.issuer", `the receipt is said to be by ${claims.iss}, its key belongs to ${key.party}`);
  const entry = DATA.receipts[encodeUrl(await sha256(utf8(compact)))];
  const accepted = entry === undefined ? t("not_listed") : `${t("accepted_as")} ${entry}`;
  return `${header.typ}\n${accepted}\n${JSON.stringify(claims, null, 2)}`;
}
function vkey(text) {
  // The key's base64 may hold a plus too; its name never does.
  const [name, id, ...rest] = text.split("+");
  const bytes = decode(rest.join("+"), "trail.key");
  return { name, id, type: bytes[0], key: bytes.slice(1) };
}
/** The signature line of a key over a note: its bytes after the id. */
function lineOf(lines, key) {
  for (const line of lines) {
    const [dash, name, blob, more] = line.split(" ");
    need(dash === "—" && blob && more === undefined, "trail.note", "not a signature line");
    const bytes = decode(blob, "trail.note");
    const id = [...bytes.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (name === key.name && id === key.id) return bytes.slice(4);
  }
  return null;
}
async function cosigned(text, lines) {
  let count = 0;
  for (const key of DATA.witnesses.map(vkey)) {
    const line = lineOf(lines, key);
    if (!line) continue;
    need(line.length === 72, "trail.cosignature", "a cosignature is a time and 64 bytes");
    const time = new DataView(line.buffer, line.byteOffset, 8).getBigUint64(0);
    need(await signed(key.key, utf8(`cosignature/v1\ntime ${time}\n${text}`), line.slice(8)), "trail.signature", `the cosignature of ${key.name} does not hold`);
    count += 1;
  }
  return count;
}
/** RFC 9162 §2.1.3.2. */
async function rootOf(leaf, index, size, hashes) {
  let at = index, last = size - 1n, root = leaf;
  for (const hash of hashes) {
    need(last > 0n, "trail.proof", "more hashes than the tree is high");
    if (at & 1n || at === last) {
      root = await sha256(join([1], hash, root));
      while (at !== 0n && !(at & 1n)) { at >>= 1n; last >>= 1n; }
    } else root = await sha256(join([1], root, hash));
    at >>= 1n; last >>= 1n;
  }
  need(last === 0n, "trail.proof", "fewer hashes than the tree is high");
  return root;
}
const decimal = (text, code) => { need(/^(0|[1-9][0-9]{0,18})$/.test(text || ""), code, "not a decimal number"); return BigInt(text); };
async function checkProof(file) {
  const bad = "trail.proof", cut = file.indexOf("\n\n");
  need(cut > 0 && file.startsWith("c2sp.org/tlog-proof@v1\n"), bad, "not a .tlog-proof");
  const head = file.slice(0, cut).split("\n").slice(1), note = file.slice(cut + 2), split = note.lastIndexOf("\n\n");
  need(head[0]?.startsWith("extra "), bad, "the file does not hold its entry (extra)");
  const entry = decode(head[0].slice(6), bad);
  need(head[1]?.startsWith("index "), bad, "no line index");
  const index = decimal(head[1].slice(6), bad), hashes = head.slice(2).map((line) => decode(line, bad));
  need(hashes.length <= 63 && hashes.every((hash) => hash.length === 32), bad, "a hash has 32 bytes");
  need(split > 0 && note.endsWith("\n"), "trail.note", "no signature lines");
  const text = note.slice(0, split + 1), lines = note.slice(split + 2, -1).split("\n");
  const [origin, sizeText, rootText] = text.split("\n"), size = decimal(sizeText, "trail.checkpoint"), root = decode(rootText || "", "trail.checkpoint");
  const ours = DATA.logs.map(vkey).filter((key) => key.name === origin);
  need(ours.length, "trail.origin", `the policy does not name the log ${origin}`);
  let holds = false;
  for (const key of ours) {
    const line = lineOf(lines, key);
    if (line) { need(await signed(key.key, utf8(text), line), "trail.signature", "the log's signature does not hold"); holds = true; }
  }
  need(holds, "trail.signature", "no signature by the log's key");
  need(index < size, bad, "the index lies outside the tree");
  need(equal(await rootOf(await sha256(join([0], entry)), index, size, hashes), root), bad, "the hashes do not lead to the signed root");
  const count = await cosigned(text, lines);
  const same = size === BigInt(DATA.report.size ?? -1);
  need(!same || rootText === DATA.report.root, "trail.fork", "another root of the same size than this report's: the log has forked");
  const told = json(entry, "entry.spelling");
  return `${origin}, ${t("entries")} ${size}, index ${index}\n${count} ${t("cosigned")}\n${same ? t("same_root") : t("other_size")}\n${JSON.stringify(told, null, 2)}`;
}
async function verify() {
  const answer = byId("answer"), text = byId("pasted").value.replaceAll("\r\n", "\n");
  answer.dataset.verdict = "working";
  try {
    const isProof = text.startsWith("c2sp.org/");
    const said = isProof ? await checkProof(text.endsWith("\n") ? text : `${text}\n`) : await checkReceipt(text.trim());
    answer.replaceChildren(el("span", t("good"), { class: "good" }), `\n${said}`);
    answer.dataset.verdict = "good";
    delete answer.dataset.code;
  } catch (fault) {
    const code = fault instanceof Refused ? fault.code : "fault";
    answer.replaceChildren(el("span", `${t("refused")}: ${code}`, { class: "bad" }), `\n${fault.message}`);
    answer.dataset.verdict = "refused";
    answer.dataset.code = code;
  }
  // What the page has fetched: nothing, and its policy forbids it.
  document.body.dataset.requests = String(performance.getEntriesByType("resource").length);
}
byId("verify").addEventListener("click", verify);
for (const one of document.querySelectorAll("[data-lang]")) one.addEventListener("click", () => { lang = one.dataset.lang; show(); });
show();
// `#receipt=…` or `#proof=…` (percent-encoded) fills the box and checks it: a fragment never leaves the browser.
const given = fragment.get("receipt") ?? fragment.get("proof");
if (given !== null) { byId("pasted").value = given; verify(); }
