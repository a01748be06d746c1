// Node's module http2, over TLS.
import { deepStrictEqual } from "node:assert";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";

const { SECURE, SECURE_ECHO, CERTIFICATE } = process.env;
if (!SECURE) process.exit(77);
console.log(`node ${process.version}, http2`);

const ALLOW = "GET, HEAD, OPTIONS";
const ANSWERS = [
  ["GET", "/", 200, undefined, "<h1> hello index</h1>"],
  ["GET", "/route?a=1", 200, undefined, "<h1> hello route</h1>"],
  ["GET", "/nope", 404, undefined, "<h1>error 404 not found</h1>"],
  ["HEAD", "/", 200, undefined, ""],
  ["OPTIONS", "/", 204, ALLOW, ""],
  ["POST", "/", 405, ALLOW, "<h1>error 405 method not allowed</h1>"],
];

function session(url) {
  const session = connect(url, { ca: readFileSync(CERTIFICATE) });
  session.on("error", (error) => {
    throw error;
  });
  return session;
}

function ask(session, headers, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const pieces = [];
    let head;
    stream.on("response", (found) => (head = found));
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", () => resolve([head, Buffer.concat(pieces)]));
    stream.on("error", reject);
    if (body !== undefined) stream.end(body);
  });
}

const hello = session(SECURE);
for (const [method, path, status, allow, page] of ANSWERS) {
  const [head, body] = await ask(hello, { ":method": method, ":path": path });
  deepStrictEqual([head[":status"], head.allow, body.toString()], [status, allow, page], `${method} ${path}`);
}
// As many at once as the server allows, on one connection.
const many = Array.from({ length: 100 }, (_, number) => ask(hello, { ":path": `/route?${number}` }));
for (const [head] of await Promise.all(many)) deepStrictEqual(head[":status"], 200);
hello.close();

const echo = session(SECURE_ECHO);
for (const size of [0, 1, 64 * 1024, 1024 * 1024]) {
  const sent = randomBytes(size);
  const [head, body] = await ask(echo, { ":method": "POST", ":path": "/", "content-type": "a/b" }, sent);
  deepStrictEqual([head[":status"], body.equals(sent)], [200, true], `an upload of ${size} bytes`);
}
const [head] = await ask(echo, { ":method": "POST", ":path": "/" }, Buffer.alloc(2 * 1024 * 1024));
deepStrictEqual(head[":status"], 413, "an upload that is too long");
const [after] = await ask(echo, { ":path": "/" });
deepStrictEqual(after[":status"], 200, "the connection goes on");
echo.close();
