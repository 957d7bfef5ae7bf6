// <aftercall-toolbar>: an agent's calls as the server knows them, and what is said of them. Its own
// is what was typed, which this tab keeps until the call is gone.

import { Line } from "./line.js";
import { look } from "./look.js";
import { make, pick } from "./picker.js";

const LOCALES = ["ar", "en"];
// A page has its own by key-save="ctrl+Enter", and so on; an empty one is none.
const KEYS = { search: "alt+KeyC", save: "alt+KeyS", extend: "alt+KeyX" };
const STREAM = "v1/stream?topics=calls.changed,disposition.events,user.events";
const ORIGINS = { correction: "corrected", late: "user_event" };
// What is told of a call at once is read once.
const GATHER_MS = 50;
const EXTEND_S = 30;
const TICK_MS = 250;
const HOUR_MS = 36e5;
// Until the page has given a token, the gateway the words.
const ASK_AGAIN_MS = 3000;

// What was typed, by agent and call.
let kept = {};
try {
	kept = sessionStorage;
} catch {}

const say = (node, text = "") => node.textContent === text || (node.textContent = text);
const fresh = () => `${Date.now()}-${Math.random()}`;
// As its fields hold it; a time there is the browser's.
const fields = ({ comment, callback_at: at, pause_after, pause_reason, release_after }) => ({
	comment, pause_after, pause_reason, release_after,
	callback_at: at && new Date(at).toLocaleString("sv").slice(0, 16).replace(" ", "T"),
});
const isOver = ({ phase, state, typed }) => phase === "released" && state !== "missed" && !typed;
const parse = (text) => {
	try {
		return JSON.parse(text);
	} catch {}
};

const follow = (host) => {
	const line = new Line();
	const calls = new Map();
	const parts = {};
	// The call that is shown; and what is so when there is none, which only the server can say.
	let shown, drawn, none;
	let claims = {};
	let words = {};
	let stop = new AbortController();
	let asking, renewal, renewAt, isLost, gathered;
	let turns = 0;

	const part = (tag, name, attributes, ...children) =>
		(parts[name] = make(tag, { part: name, ...attributes }, ...children));
	const field = (name, type) =>
		make("label", {}, part("span", `${name}-label`), part(type ? "input" : "textarea", name, { name, type }));
	const root = host.attachShadow({ mode: "open" });
	root.adoptedStyleSheets = [look];
	root.append(part("section", "toolbar", {},
		part("div", "calls", { role: "group" }),
		part("div", "head", {},
			part("bdi", "countdown", { role: "timer" }), part("button", "extend"), part("button", "dismiss")),
		part("form", "form", {},
			part("input", "search", { type: "search" }),
			part("div", "codes", { role: "radiogroup" }),
			field("callback_at", "datetime-local"),
			field("comment"),
			field("pause_after", "checkbox"),
			field("pause_reason", "text"),
			field("release_after", "checkbox"),
			part("button", "save")),
		part("p", "outcome", { role: "status" }),
		part("p", "connection", { role: "status" })));
	const { form, search, codes, callback_at, countdown, extend, dismiss, outcome, connection } = parts;
	const show = pick(search, codes);
	callback_at.max = "9999-12-31T23:59";

	form.oninput = ({ target: { name, type, checked, value } }) => {
		if (name) keep(shown, { [name]: type === "checkbox" ? checked : value });
	};
	form.onsubmit = (event) => {
		event.preventDefault();
		const { pending, code } = shown.draft;
		if (pending) return;
		if (!code) return search.focus();
		keep(shown, { pending: { key: fresh(), body: bodyOf(shown.draft) } });
		dispose(shown);
	};
	dismiss.onclick = () => {
		draw(forget(shown));
		shown?.tab.focus();
	};
	extend.onclick = () => {
		const body = JSON.stringify({ agent_id: claims.agent, seconds: EXTEND_S });
		ask(shown, "wrap-up-extension", { key: fresh(), body });
	};
	extend.onblur = () => draw();

	const tell = (name, detail) => host.dispatchEvent(new CustomEvent(name, { detail }));
	const place = () => `aftercall ${claims.tenant} ${claims.agent} `;
	const keep = (call, change) => {
		call.typed = true;
		const key = place() + call.id;
		const text = JSON.stringify(Object.assign(call.draft, change));
		try {
			kept[key] = text;
		} catch {
			// Full: from now on this page alone has it.
			delete kept[key];
			kept = { ...kept, [key]: text };
		}
		draw();
	};
	const drop = (call) => {
		call.typed = false;
		delete kept[place() + call.id];
	};
	const forget = (call) => {
		drop(call);
		calls.delete(call.id);
		call.tab?.remove();
	};
	// What is asked; a reason without a pause is not.
	const bodyOf = ({ pending, callback_at: at, pause_reason: why, ...said }) => {
		const asked = { ...said, callback_at: at && new Date(at), pause_reason: said.pause_after && why };
		return JSON.stringify({ ...asked, agent_id: claims.agent }, (_, value) => value || undefined);
	};

	// One of a kind at a time. The answer tells what was decided then: how the call stands is read.
	const ask = async (call, what, { key, body }, done) => {
		const doing = (word) => draw((call.doing[what] = word));
		if (call.doing[what]) return;
		const { signal } = stop;
		call.refusal = "";
		doing("sending");
		const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
		const asked = { method: "POST", headers, body };
		const said = await line.settle(`v1/calls/${call.id}/${what}`, signal, asked, () => doing("unknown"));
		// It is kept, and asked anew once the toolbar is back.
		if (!said) return;
		const { detail, errors: [first] = [] } = said.answer;
		if (!said.ok) call.refusal = first ? `${first.field}: ${first.detail}` : detail;
		done?.(said);
		doing("sending");
		await read(call.id, signal);
		doing("");
		// Saved again meanwhile.
		if (call.draft.pending && !signal.aborted) dispose(call);
	};
	const dispose = (call) => {
		const { pending } = call.draft;
		ask(call, "disposition", pending, ({ ok, answer }) => {
			keep(call, { pending: undefined });
			// Unless more was typed meanwhile.
			if (ok && pending.body === bodyOf(call.draft)) drop(call);
			tell("outcome", answer);
		});
	};

	const readAll = async (signal) => {
		const tree = await line.settle("v1/codes", signal);
		if (!tree?.ok) return;
		show(tree.answer.codes);
		// Those of another phase are read if something is typed.
		for (const phase of ["active", "wrap_up", "ringing"]) {
			const turn = ++turns;
			const page = await line.settle(`v1/calls?limit=200&phase=${phase}`, signal);
			if (!page) return;
			for (const call of page.answer.calls ?? []) learn(call, turn);
			draw();
		}
		none = "none";
		for (const key in kept) {
			const [mine, id] = key.split(place());
			if (!mine && !calls.has(id)) read(id, signal);
		}
		draw();
	};
	const read = (id, signal) =>
		(gathered[id] ??= (async () => {
			await line.pause(GATHER_MS);
			delete gathered[id];
			const turn = ++turns;
			const said = await line.settle(`v1/calls/${id}`, signal);
			if (said?.ok) draw(learn(said.answer, turn));
		})());
	// A call as the server knows it now. An older answer must not hide a newer one.
	const learn = ({ id, version, direction, from, to, agents }, turn) => {
		const own = agents.find(({ agent_id }) => agent_id === claims.agent);
		const { phase, queued, disposition, missed, overdue, wrap_up_ends_at: ends } = own;
		const { code, origin, previous, ...said } = queued ?? disposition ?? {};
		let call = calls.get(id);
		if (!call) {
			const draft = parse(kept[place() + id]);
			if (phase === "released" && !draft) return;
			// Not under the agent's hands.
			for (const old of calls.values()) if (isOver(old) && !root.activeElement) forget(old);
			calls.set(id, (call = { id, draft, typed: draft, doing: {} }));
			if (!calls.has(shown?.id)) shown = call;
		}
		if (version < call.version || turn < call.turn) return;
		if (!call.typed) call.draft = { ...fields(said), code };
		const state = queued ? "queued" : code ? ORIGINS[origin] ?? "saved" : missed ? "missed" : overdue ? "overdue" : "";
		const peer = (direction === "outbound" ? to : from) ?? id;
		Object.assign(call, { version, turn, phase, peer, ends: !overdue && Date.parse(ends), state, code, previous });
		if (call.draft.pending) dispose(call);
	};

	const draw = () => {
		if (!calls.has(shown?.id)) [shown] = calls.values();
		form.hidden = !shown || !words.dir;
		for (const call of calls.values()) {
			call.tab ??= parts.calls.appendChild(make("button", { part: "call" }));
			call.tab.onclick = () => draw((shown = call));
			call.tab.ariaPressed = call === shown;
		}
		const { draft = {}, doing = {}, refusal, state = none, phase, code, previous } = shown ?? {};
		for (const input of form.elements) {
			const { name, type, value } = input;
			const typed = draft[name] ?? "";
			if (/radio|checkbox/.test(type)) input.checked = typed === true || typed === value;
			else if (name && value !== typed) input.value = typed;
		}
		if (drawn !== (drawn = shown)) search.oninput();
		callback_at.required = codes.querySelector("[data-callback=true]:checked");
		extend.hidden = phase !== "wrap_up" && !(phase && root.activeElement === extend);
		dismiss.hidden = phase !== "released" || draft.pending;
		// Of two the one that is unknown.
		const busy = Object.values(doing).sort().pop();
		outcome.dataset.state = busy || (refusal && "refused") || state;
		const label = (one) => codes.querySelector(`[value="${CSS.escape(one)}"] + *`)?.textContent ?? one;
		const values = { code: label(code), previous: label(previous?.code), refusal };
		const texts = busy ? [busy] : [refusal && "refused", state];
		const told = texts.map((is) => words[`is-${is}`]?.replace(/{(\w+)}/g, (_, name) => values[name]));
		say(outcome, told.filter(Boolean).join(" "));
		say(connection, isLost ? words.lost : "");
		tick();
	};
	const tick = () => {
		if (!shown) say(countdown);
		for (const { tab, phase, peer, ends } of calls.values()) {
			const left = Math.max(0, ends - line.now() || 0) + 999;
			const time = phase === "wrap_up" ? new Date(left).toISOString().slice(left < HOUR_MS ? 14 : 11, 19) : "";
			say(tab, `\u2068${peer}\u2069 ${words[phase] ?? ""} ${time}`);
			if (tab === shown.tab) say(countdown, time);
		}
	};

	const need = (reason) => {
		const ask = () => tell("token-needed", { reason });
		if (!asking) setTimeout(ask);
		asking ??= setInterval(ask, ASK_AGAIN_MS);
	};
	line.refused = () => need("refused");
	const renew = () => {
		asking = clearInterval(asking);
		clearTimeout(renewal);
		if (host.isConnected && line.token) renewal = setTimeout(() => need("expiring"), renewAt - performance.now());
	};

	const speak = async (signal) => {
		const lang = host.closest("[lang]")?.lang || navigator.language;
		const locale = LOCALES.find((one) => lang.startsWith(one)) ?? "en";
		const found = async () => (await fetch(new URL(`locales/${locale}.json`, import.meta.url), { signal })).json();
		let said;
		// What is no catalogue has no direction.
		while (!(said = await found().catch(() => {}))?.dir) {
			if (signal.aborted) return;
			await line.pause(ASK_AGAIN_MS);
		}
		words = said;
		for (const name in parts) {
			if (words[name]) say(parts[name], words[name]);
			parts[name].ariaLabel = words[`@${name}`] ?? null;
		}
		search.placeholder = words["@search"];
		Object.assign(parts.toolbar, { lang: locale, dir: words.dir });
		draw();
	};

	const press = (event) => {
		const { target, repeat } = event;
		// Another toolbar's.
		if (target !== host && target.localName === host.localName) return;
		const held = ["ctrl", "alt", "shift", "meta"].filter((one) => event[`${one}Key`]);
		for (const name in KEYS) {
			const asked = host.getAttribute(`key-${name}`) ?? KEYS[name];
			if (asked !== [...held, event.code].join("+") || !parts[name].checkVisibility()) continue;
			event.preventDefault();
			if (!repeat) parts[name][name === "search" ? "focus" : "click"]();
		}
	};
	const start = () => {
		stop.abort();
		const { signal } = (stop = new AbortController());
		none = isLost = "";
		gathered = {};
		calls.clear();
		parts.calls.replaceChildren();
		renew();
		draw();
		if (!host.isConnected) return;
		speak(signal);
		if (!line.token) return need("missing");
		const ticking = setInterval(tick, TICK_MS);
		signal.onabort = () => clearInterval(ticking);
		document.addEventListener("keydown", press, { signal });
		addEventListener("online", () => line.wake(), { signal });
		const open = (resumed) => {
			draw((isLost = false));
			if (!resumed) readAll(signal);
		};
		const event = ({ type, data }) => (type === "stream.gap" ? readAll(signal) : data.call_id && read(data.call_id, signal));
		line.follow(STREAM, { open, event, lost: () => draw((isLost = true)) }, signal);
	};
	// A fresh token goes on where the last one ended; another agent's begins anew.
	const take = (token) => {
		if (token === line.token) return;
		const before = place();
		claims = JSON.parse(atob(token.split(/[_.]/)[1]));
		line.token = token;
		renewAt = performance.now() + 0.75 * (claims.expires_ms - claims.issued_ms);
		before === place() ? renew() : start();
		line.wake();
	};
	return { start, take };
};

customElements.define("aftercall-toolbar", class extends HTMLElement {
	#inside = follow(this);

	connectedCallback() {
		// Given before there was a setter.
		const { token } = this;
		delete this.token;
		if (token) this.token = token;
		this.#inside.start();
	}

	disconnectedCallback() {
		this.#inside.start();
	}

	set token(token) {
		this.#inside.take(token);
	}
});
