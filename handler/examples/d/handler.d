/++
The routes of the default handler, in D without its runtime (`-betterC`).

The host makes one call of `alloc` and one of `handle` for a request, and then puts
all memory back as it was before. So nothing here is ever freed, and what is written
to a global is gone with the request.
+/
module handler;

extern (C): // the names of the exports as the contract has them

pragma(LDC_intrinsic, "llvm.wasm.memory.size.i32")
uint memorySize(uint memory);
pragma(LDC_intrinsic, "llvm.wasm.memory.grow.i32")
uint memoryGrow(uint memory, uint pages);

/// WebAssembly's unit of memory.
enum page = 65_536;

// The host adds `content-length` and `date`; lines may end in LF alone.
enum html = "content-type: text/html; charset=utf-8\n\n";
enum allow = "allow: GET, HEAD, OPTIONS\n";

enum index = "HTTP/1.1 200 OK\n" ~ html ~ "<h1> hello index</h1>";
enum route = "HTTP/1.1 200 OK\n" ~ html ~ "<h1> hello route</h1>";
enum notFound = "HTTP/1.1 404 page not found\n" ~ html ~ "<h1>error 404 not found</h1>";
enum notAllowed = "HTTP/1.1 405 method is not allowed\n" ~ allow ~ html
    ~ "<h1>error 405 method not allowed</h1>";
enum options = "HTTP/1.1 204 No Content\n" ~ allow ~ "\n";

/// The linker places this at the first address past the stack and the data.
extern __gshared ubyte __heap_base;

/// Says where the request may be written; 0 means no room, and the client gets 413.
/// Memory grows only where it has to: an instance whose memory grew cannot be used
/// again, and that takes time.
export uint alloc(uint length)
{
    const start = cast(uint) &__heap_base;
    const pages = (cast(ulong) start + length + page - 1) / page;
    const present = memorySize(0);
    if (pages > present && memoryGrow(0, cast(uint)(pages - present)) == uint.max)
        return 0;
    return start;
}

/// Answers the request at this address with the response's address and length, packed
/// in one number.
export ulong handle(const(char)* address, uint length)
{
    const response = answer(address[0 .. length]);
    return cast(ulong) cast(uint) response.ptr << 32 | response.length;
}

/// The request is one message, `METHOD target HTTP/1.1` and so on. The host has checked
/// it, so the request line has its two spaces.
private string answer(const(char)[] request)
{
    const method = upTo(request, ' ', ' ');
    // The query takes no part in the choice.
    const path = upTo(request[method.length + 1 .. $], ' ', '?');
    const isIndex = same(path, "/"), isRoute = same(path, "/route");

    // HEAD is answered like GET: the host keeps the body to itself.
    if (same(method, "GET") || same(method, "HEAD"))
        return isIndex ? index : isRoute ? route : notFound;
    if (same(method, "OPTIONS"))
        return isIndex || isRoute || same(path, "*") ? options : notFound;
    return notAllowed;
}

/// `==` would call `memcmp` of a C library.
private bool same(const(char)[] one, const(char)[] other)
{
    if (one.length != other.length)
        return false;
    foreach (i, character; one)
        if (character != other[i])
            return false;
    return true;
}

private const(char)[] upTo(const(char)[] text, char one, char other)
{
    size_t length;
    while (text[length] != one && text[length] != other)
        length++;
    return text[0 .. length];
}
