// The code picker: radio buttons in folders, whose keys are the browser's own, and a search field.

export const make = (tag, attributes, ...children) => {
	const made = document.createElement(tag);
	for (const name in attributes) attributes[name] == null || made.setAttribute(name, attributes[name]);
	made.append(...children);
	return made;
};

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

const grow = (above) => ({ code, label = code, children, needs_callback: callback }) => {
	const words = fold(`${above} ${label} ${code}`);
	if (children) return make("details", { part: "folder" }, make("summary", {}, label), ...children.map(grow(words)));
	const input = make("input", { type: "radio", name: "code", value: code, "data-callback": callback });
	return make("label", { part: "code", "data-words": words }, input, make("span", {}, label));
};

export const pick = (search, codes) => {
	search.oninput = () => {
		const asked = fold(search.value.trim());
		for (const code of codes.querySelectorAll("label")) code.hidden = !code.dataset.words.includes(asked);
		for (const folder of codes.querySelectorAll("details")) {
			folder.open = asked || folder.querySelector(":checked");
			folder.hidden = !folder.querySelector("label:not([hidden])");
		}
	};
	search.onkeydown = (event) => {
		const first = [...codes.querySelectorAll("input")].find((input) => input.checkVisibility());
		if (event.key === "ArrowDown") first?.focus();
		// Only what can be seen is saved.
		else if (event.key === "Enter" && search.value && !first?.checked) first?.click();
		else return;
		event.preventDefault();
	};
	let grown;
	return (nodes) => {
		if (grown !== (grown = JSON.stringify(nodes))) codes.replaceChildren(...nodes.map(grow("")));
	};
};
