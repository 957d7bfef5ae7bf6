// The official CometD client, driven from outside: one JSON command a line on stdin, one JSON line
// on stdout for each answer, message and change of a client. The folder of its packages is argv[2].

import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {pathToFileURL} from "node:url";

const {resolve} = createRequire(process.argv[2] + "/packages");
const load = name => import(pathToFileURL(resolve(name)));
const {adapt} = await load("cometd-nodejs-client");
const {CometD} = await load("cometd");
const {AckExtension} = await load("cometd/AckExtension.js");
adapt();

const clients = new Map();
const say = line => process.stdout.write(JSON.stringify(line) + "\n");

function open({name, url, transport, acks}, answer) {
  const client = new CometD(name);
  clients.set(name, client);
  for (const other of client.getTransportTypes()) {
    if (other !== transport) client.unregisterTransport(other);
  }
  if (acks) client.registerExtension("ack", new AckExtension());
  for (const channel of ["/meta/handshake", "/meta/connect"]) {
    client.addListener(channel, message => say({name, meta: channel, message}));
  }
  client.configure({url, backoffIncrement: 100, maxBackoff: 500, maxNetworkDelay: 5000});
  client.handshake(answer);
}

const commands = {
  open,
  subscribe({name, channel}, answer) {
    clients.get(name).subscribe(channel, message => say({name, told: message}), answer);
  },
  unsubscribe({name, channel}, answer) {
    const client = clients.get(name);
    client.unsubscribe(client.subscribe(channel, () => {}), answer);
  },
  publish({name, channel, data}, answer) {
    clients.get(name).publish(channel, data, answer);
  },
  batch({name, channels}, answer) {
    const client = clients.get(name);
    client.batch(() => channels.forEach((channel, index) => {
      const last = index === channels.length - 1;
      client.subscribe(channel, message => say({name, told: message}), last ? answer : () => {});
    }));
  },
  disconnect({name}, answer) {
    clients.get(name).disconnect(answer);
  },
};

for await (const line of createInterface({input: process.stdin})) {
  const command = JSON.parse(line);
  commands[command.do](command, message => say({answer: command.number, message}));
}
process.exit(0);
