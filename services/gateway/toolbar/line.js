// The line to the server: asks until it is answered, keeps the server's time, follows the stream.

const FIRST_MS = 500;
const LAST_MS = 10_000;
const ANSWER_MS = 15_000;
// Then it begins anew: a dead connection does not say that it is dead.
const STREAM_MS = 30_000;
// Refused as it came, not for what it asks.
const AGAIN = [401, 408, 425, 429];

const field = (block, name) => block.match(RegExp(`^${name}: (.*)$`, "m"))?.[1];

export class Line {
	// Server time minus ours is between these; each Date header tells more.
	#low = -Infinity;
	#high = Infinity;
	#waiting = [];

	now() {
		return Date.now() + ((this.#low + this.#high) / 2 || 0);
	}

	async #ask(path, signal, ms, { headers, ...options } = {}) {
		const sent = Date.now();
		const response = await fetch(new URL(`../${path}`, import.meta.url), {
			headers: { Authorization: `Bearer ${this.token}`, ...headers },
			signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]),
			cache: "no-store",
			...options,
		});
		const date = Date.parse(response.headers.get("Date"));
		this.#low = Math.max(this.#low, date - Date.now());
		this.#high = Math.min(this.#high, date + 1000 - sent);
		// A clock was set.
		if (!(this.#low <= this.#high)) [this.#low, this.#high] = [-Infinity, Infinity];
		if (response.status === 401) this.refused();
		return response;
	}

	// The server's word, asked for until there is one; nothing once the signal aborts.
	async settle(path, signal, options, trouble) {
		for (let wait = FIRST_MS; !signal.aborted; wait = Math.min(2 * wait, LAST_MS)) {
			let after = 0;
			try {
				const response = await this.#ask(path, signal, ANSWER_MS, options);
				const { status, ok, headers } = response;
				after = headers.get("Retry-After") * 1000 || 0;
				if (status === 200 || (status >= 400 && status < 500 && !AGAIN.includes(status))) {
					return { ok, answer: await response.json() };
				}
			// Nobody knows whether it arrived.
			} catch {}
			trouble?.();
			await this.pause(Math.max(wait, after));
		}
	}

	// Tells on.open(resumed), on.event(data), on.lost() until the signal aborts.
	async follow(path, on, signal) {
		let position;
		for (let wait = FIRST_MS; !signal.aborted; wait = Math.min(2 * wait, LAST_MS)) {
			let heard;
			try {
				const headers = position ? { "Last-Event-ID": position } : {};
				const { status, body } = await this.#ask(path, signal, STREAM_MS, { headers });
				// Of a log that is gone.
				if (status === 400) position = null;
				if (status !== 200) throw status;
				heard = true;
				on.open(position);
				const reader = body.pipeThrough(new TextDecoderStream()).getReader();
				for (let rest = "", read; !(read = await reader.read()).done; ) {
					const blocks = (rest + read.value).split("\n\n");
					rest = blocks.pop();
					wait = FIRST_MS;
					for (const block of blocks) {
						position = field(block, "id") ?? position;
						if (field(block, "data")) on.event(JSON.parse(field(block, "data")));
					}
				}
			} catch (error) {
				if (heard && error.name === "TimeoutError") continue;
			}
			if (!signal.aborted) on.lost();
			await this.pause(wait);
		}
	}

	// Whoever waits goes on at once.
	wake() {
		for (const go of this.#waiting.splice(0)) go();
	}

	// At least so long, and not all come back at once.
	pause(ms) {
		return new Promise((resolve) => {
			this.#waiting.push(resolve);
			setTimeout(resolve, ms * (1 + Math.random() / 2));
		});
	}
}
