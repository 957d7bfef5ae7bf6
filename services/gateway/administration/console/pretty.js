// JSON in lines, every token as it came: a number keeps all its digits, a key that stands twice
// stands twice. What is no JSON is null.

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const DEPTH_MAX = 40; // deeper is indented no more: lines of blanks would be most of it

export function pretty(text) {
  try {
    JSON.parse(text);
    return inLines(text.match(TOKENS));
  } catch {
    return null;
  }
}

function inLines(tokens) {
  const told = [];
  let depth = 0;
  const line = () => told.push("\n", "  ".repeat(Math.min(depth, DEPTH_MAX)));
  tokens.forEach((token, index) => {
    const empty = "}]".includes(tokens[index + 1]);
    if ("}]".includes(token)) {
      depth -= 1;
      if (!"{[".includes(tokens[index - 1])) line();
    }
    told.push(token);
    if ("{[".includes(token)) {
      depth += 1;
      if (!empty) line();
    }
    if (token === ",") line();
    if (token === ":") told.push(" ");
  });
  return told.join("");
}
