// Stands in for a CRM's page and its backend, and for a switch: the demo's keys are known to all.

const $ = (id) => document.getElementById(id);
const toolbar = document.querySelector("aftercall-toolbar");
const form = $("switch-form");
const calls = [];

$("lines").textContent = `<script type="module" src="${location.origin}/toolbar/aftercall-toolbar.js"></script>
<aftercall-toolbar></aftercall-toolbar>
<script type="module">document.querySelector("aftercall-toolbar").addEventListener("token-needed", async ({ target }) => { target.token = await (await fetch("/my/toolbar-token")).text(); });</script>`;

for (let number = 1; number <= 10; number += 1) form.elements.agent.append(new Option(`agent-${number}`));

const ask = (path, key, type, body) =>
  fetch(path, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": type },
    body: JSON.stringify(body),
  });

const giveToken = async () => {
  const agent = form.elements.agent.value;
  const answer = await ask("/v1/toolbar-tokens", "demo-key", "application/json", { agent_id: agent });
  toolbar.token = (await answer.json()).token;
};
toolbar.addEventListener("token-needed", giveToken);
form.elements.agent.addEventListener("change", giveToken);
form.elements.language.addEventListener("change", ({ target }) => {
  toolbar.lang = target.value;
  toolbar.replaceWith(toolbar); // it reads its language when it comes into a page
});

const tell = async (call, type, data) => {
  const id = crypto.randomUUID();
  const event = { specversion: "1.0", id, source: "/demo/page", type, subject: call, data };
  const answer = await ask("/v1/events", "demo-switch-key", "application/cloudevents+json", event);
  $("told").textContent = answer.ok ? `${call}: ${type}` : `${call}: ${answer.status}`;
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (event.submitter.value === "hang-up") {
    const call = calls.pop();
    if (call) await tell(call, "call.disconnected", { by: "caller" });
    return;
  }
  const call = `page-${crypto.randomUUID()}`;
  calls.push(call);
  await tell(call, "call.started", { direction: "inbound", from: "+31205550100", to: "100", did: "100" });
  await tell(call, "call.agent_joined", { agent_id: form.elements.agent.value });
});
