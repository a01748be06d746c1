// The routes of the default handler, in AssemblyScript.
//
// The host makes one call of `alloc` and one of `handle` for a request, and then
// puts all memory back as it was after `_initialize`. So nothing here is ever
// freed (`--runtime stub` brings no garbage collector), and what is written to a
// global is gone with the request.

// WebAssembly's unit of memory.
const PAGE: u64 = 65536;

// All of this is run once, in `_initialize`: the compiler's strings are UTF-16, and
// HTTP wants bytes. The host adds `content-length` and `date`; lines may end in LF
// alone.
const HTML = "content-type: text/html; charset=utf-8\n\n";
const ALLOW = "allow: GET, HEAD, OPTIONS\n";
const INDEX = bytes("HTTP/1.1 200 OK\n" + HTML + "<h1> hello index</h1>");
const ROUTE = bytes("HTTP/1.1 200 OK\n" + HTML + "<h1> hello route</h1>");
const NOT_FOUND = bytes("HTTP/1.1 404 page not found\n" + HTML + "<h1>error 404 not found</h1>");
const NOT_ALLOWED = bytes(
  "HTTP/1.1 405 method is not allowed\n" + ALLOW + HTML + "<h1>error 405 method not allowed</h1>",
);
const OPTIONS = bytes("HTTP/1.1 204 No Content\n" + ALLOW + "\n");

// The last thing that is allocated; the memory from here on is the request's.
const ROOM = heap.alloc(0);

function bytes(text: string): ArrayBuffer {
  return String.UTF8.encode(text);
}

// Says where the request may be written; 0 means no room, and the client gets 413.
// Memory grows only where it has to: an instance whose memory grew cannot be used
// again, and that takes time.
export function alloc(length: u32): usize {
  const pages = (<u64>ROOM + length + PAGE - 1) / PAGE;
  const present = <u64>memory.size();
  if (pages > present && memory.grow(<i32>(pages - present)) == -1) return 0;
  return ROOM;
}

// The request is one message, `METHOD target HTTP/1.1` and so on. The host has
// checked it; so this reads no further than it needs to, and `length` not at all.
// It makes no strings: they would be allocated from ROOM on, over the request.
export function handle(request: usize, length: u32): u64 {
  const method = request;
  const methodEnd = upTo(method, " ", " ");
  // The query takes no part in the choice.
  const path = methodEnd + 1;
  const pathEnd = upTo(path, " ", "?");
  let page = NOT_FOUND;
  if (is(path, pathEnd, "/")) page = INDEX;
  if (is(path, pathEnd, "/route")) page = ROUTE;

  // HEAD is answered like GET: the host keeps the body to itself.
  if (is(method, methodEnd, "GET") || is(method, methodEnd, "HEAD")) return response(page);
  if (is(method, methodEnd, "OPTIONS")) {
    return response(page != NOT_FOUND || is(path, pathEnd, "*") ? OPTIONS : NOT_FOUND);
  }
  return response(NOT_ALLOWED);
}

// The address of the first of the two from here on, which every request line has.
function upTo(from: usize, one: string, other: string): usize {
  while (load<u8>(from) != one.charCodeAt(0) && load<u8>(from) != other.charCodeAt(0)) from++;
  return from;
}

function is(from: usize, end: usize, text: string): bool {
  if (end - from != text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (load<u8>(from + i) != text.charCodeAt(i)) return false;
  }
  return true;
}

// The result in the contract's form: address and length in one number.
function response(message: ArrayBuffer): u64 {
  return (<u64>changetype<usize>(message) << 32) | message.byteLength;
}
