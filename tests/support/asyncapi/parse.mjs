// The official AsyncAPI parser: documents on stdin, one JSON line each; for each one JSON line on
// stdout, what it has to say of it. The folder of its packages is argv[2].

import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const {Parser} = createRequire(process.argv[2] + "/packages")("@asyncapi/parser");
const parser = new Parser();

for await (const line of createInterface({input: process.stdin})) {
  const {document, diagnostics} = await parser.parse(line);
  const said = diagnostics.map(({code, severity, message, path}) => ({
    code, severity, message, path: path.join("/"),
  }));
  const channels = document?.channels().all().map(channel => channel.address()) ?? null;
  process.stdout.write(JSON.stringify({said, channels}) + "\n");
}
process.exit(0);
