// Node's fetch, and its module http.
import { deepStrictEqual } from "node:assert";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, request } from "node:http";

const { HELLO, ECHO } = process.env;
const [INDEX, ROUTE] = ["<h1> hello index</h1>", "<h1> hello route</h1>"];
const NOT_FOUND = "<h1>error 404 not found</h1>";
const NOT_ALLOWED = "<h1>error 405 method not allowed</h1>";
const ALLOW = "GET, HEAD, OPTIONS";

// Method, target; status, reason, `allow`, and the body.
const ANSWERS = [
  ["GET", "/", 200, "OK", null, INDEX],
  ["GET", "/route?a=1", 200, "OK", null, ROUTE],
  ["GET", "/nope", 404, "page not found", null, NOT_FOUND],
  ["HEAD", "/", 200, "OK", null, ""],
  ["HEAD", "/nope", 404, "page not found", null, ""],
  ["OPTIONS", "/", 204, "No Content", ALLOW, ""],
  ["POST", "/", 405, "method is not allowed", ALLOW, NOT_ALLOWED],
  ["DELETE", "/nope", 405, "method is not allowed", ALLOW, NOT_ALLOWED],
];
// Nothing, a single byte, more than one read gives, and as much as the server takes.
const UPLOADS = [0, 1, 64 * 1024, 1024 * 1024].map((size) => randomBytes(size));

async function* pieces(body) {
  for (let start = 0; start < body.length; start += 10_007) yield body.subarray(start, start + 10_007);
}
// More than the kernel takes in before anybody reads.
const TOO_LONG = Buffer.alloc(8 * 1024 * 1024);

function equal(what, found, expected) {
  deepStrictEqual(found, expected, `${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
}

function same(what, found, expected) {
  if (!expected.equals(Buffer.from(found))) {
    throw new Error(`${what}: expected the ${expected.length} bytes that were sent, found ${found.byteLength}, others`);
  }
}

async function byFetch() {
  for (const [method, target, ...expected] of [...ANSWERS, ...ANSWERS]) {
    const response = await fetch(HELLO + target, { method });
    const { status, statusText, headers } = response;
    equal(`fetch, ${method} ${target}`, [status, statusText, headers.get("allow"), await response.text()], expected);
  }
  for (const upload of UPLOADS) {
    for (const [how, body] of [["with a length", upload], ["in chunks", pieces(upload)]]) {
      const response = await fetch(ECHO, { method: "POST", body, duplex: "half" });
      same(`fetch, ${upload.length} bytes ${how}`, await response.arrayBuffer(), upload);
    }
  }
  // The server does not read it all, and yet its answer has to arrive.
  const refused = await fetch(ECHO, { method: "POST", body: TOO_LONG });
  equal("fetch, too long a body", refused.status, 413);
  await refused.text();
}

// Asks on the one connection of an agent; `send` writes the body.
async function ask(agent, url, method, headers = {}, send = (asked) => asked.end()) {
  const asked = request(url, { agent, method, headers });
  await send(asked);
  const [response] = await once(asked, "response");
  const body = Buffer.concat(await response.toArray());
  return { asked, response, body };
}

async function byHttp() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const reused = [];
  for (const [method, target, ...expected] of ANSWERS) {
    const { asked, response, body } = await ask(agent, HELLO + target, method);
    const { statusCode, statusMessage, headers } = response;
    equal(`http, ${method} ${target}`, [statusCode, statusMessage, headers.allow ?? null, body.toString()], expected);
    reused.push(asked.reusedSocket);
  }
  equal("http, whether the connection was used again", reused, ANSWERS.map((_, index) => index > 0));

  for (const upload of UPLOADS) {
    const size = `http, ${upload.length} bytes`;
    const whole = (asked) => asked.end(upload);
    const chunked = async (asked) => {
      for await (const piece of pieces(upload)) asked.write(piece);
      asked.end();
    };
    const framed = { "content-length": upload.length };
    same(`${size} with a length`, (await ask(agent, ECHO, "POST", framed, whole)).body, upload);
    const inChunks = { "transfer-encoding": "chunked" };
    same(`${size} in chunks`, (await ask(agent, ECHO, "POST", inChunks, chunked)).body, upload);
    if (upload.length === 0) continue;
    // The event comes with the 100, and nothing is sent before it.
    const asksFirst = async (asked) => {
      asked.flushHeaders();
      await once(asked, "continue");
      asked.end(upload);
    };
    const first = await ask(agent, ECHO, "POST", { ...framed, expect: "100-continue" }, asksFirst);
    same(`${size}, expect: 100-continue`, first.body, upload);
  }
  const refused = await ask(agent, ECHO, "POST", {}, (asked) => asked.end(TOO_LONG));
  equal("http, too long a body", refused.response.statusCode, 413);
  agent.destroy();
}

console.log(`Node ${process.version}`);
await byFetch();
await byHttp();
