## The routes of the default handler, in Nim, which becomes C, without a C library.
##
## The host makes one call of `alloc` and one of `handle` for a request, and then
## puts all memory back as it was before. So nothing here is ever freed, and what
## is written to a global is gone with the request. Nim's own strings would need an
## allocator; the texts here are the data of C strings.

const
  page = 65536 ## WebAssembly's unit of memory.

  # The host adds `content-length` and `date`; lines may end in LF alone.
  html = "content-type: text/html; charset=utf-8\n\n"
  allow = "allow: GET, HEAD, OPTIONS\n"

  index = "HTTP/1.1 200 OK\n" & html & "<h1> hello index</h1>"
  route = "HTTP/1.1 200 OK\n" & html & "<h1> hello route</h1>"
  notFound = "HTTP/1.1 404 page not found\n" & html & "<h1>error 404 not found</h1>"
  notAllowed = "HTTP/1.1 405 method is not allowed\n" & allow & html &
    "<h1>error 405 method not allowed</h1>"
  options = "HTTP/1.1 204 No Content\n" & allow & "\n"

type Bytes = ptr UncheckedArray[char]

# The linker places this at the first address past the stack and the data.
{.emit: "/*TYPESECTION*/ extern char __heap_base;".}
let heapBase {.importc: "__heap_base", nodecl.}: char
proc memorySize(memory: cint): uint32 {.importc: "__builtin_wasm_memory_size", nodecl.}
proc memoryGrow(memory: cint, pages: uint32): uint32 {.importc: "__builtin_wasm_memory_grow", nodecl.}

{.pragma: wasm, exportc, codegenDecl: "__attribute__((export_name(\"$2\"))) $1 $2$3".}

proc alloc(length: uint32): uint32 {.wasm.} =
  ## Says where the request may be written; 0 means no room, and the client gets
  ## 413. Memory grows only where it has to: an instance whose memory grew cannot
  ## be used again, and that takes time.
  let start = cast[uint32](unsafeAddr heapBase)
  let pages = (uint64(start) + length + page - 1) div page
  let present = memorySize(0)
  if pages > present and memoryGrow(0, uint32(pages - present)) == high(uint32):
    return 0
  start

proc upTo(start: Bytes, one, other: char): int =
  ## How many bytes are before the first of the two, which every request line has.
  while start[result] notin {one, other}: inc result

proc same(start: Bytes, length: int, text: cstring): bool =
  for i in 0 ..< length:
    if text[i] != start[i]: return false # also where the text ends first, by its 0
  text[length] == '\0'

template response(message: static string): uint64 =
  ## The result in the contract's form: address and length in one number.
  uint64(cast[uint32](cstring(message))) shl 32 or uint64(message.len)

proc handle(request: Bytes, length: uint32): uint64 {.wasm.} =
  ## The request is one message, `METHOD target HTTP/1.1` and so on. The host has
  ## checked it; so this reads no further than it needs to, and `length` not at all.
  let methodLength = request.upTo(' ', ' ')
  let path = cast[Bytes](unsafeAddr request[methodLength + 1])
  # The query takes no part in the choice.
  let pathLength = path.upTo(' ', '?')
  let isIndex = path.same(pathLength, "/")
  let isRoute = path.same(pathLength, "/route")

  # HEAD is answered like GET: the host keeps the body to itself.
  if request.same(methodLength, "GET") or request.same(methodLength, "HEAD"):
    if isIndex: response(index) elif isRoute: response(route) else: response(notFound)
  elif request.same(methodLength, "OPTIONS"):
    if isIndex or isRoute or path.same(pathLength, "*"): response(options) else: response(notFound)
  else:
    response(notAllowed)
