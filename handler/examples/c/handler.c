// The routes of the default handler, in C without a C library.
//
// The host makes one call of `alloc` and one of `handle` for a request, and then
// puts all memory back as it was before. So nothing here is ever freed, and what
// is written to a global is gone with the request.
#include <stdint.h>

// WebAssembly's unit of memory.
#define PAGE 65536u

// The host adds `content-length` and `date`; lines may end in LF alone.
#define PAGE_OF(status, fields, page) \
    "HTTP/1.1 " status "\n" fields "content-type: text/html; charset=utf-8\n\n" page
#define ALLOW "allow: GET, HEAD, OPTIONS\n"

static const char INDEX[] = PAGE_OF("200 OK", "", "<h1> hello index</h1>");
static const char ROUTE[] = PAGE_OF("200 OK", "", "<h1> hello route</h1>");
static const char NOT_FOUND[] = PAGE_OF("404 page not found", "", "<h1>error 404 not found</h1>");
static const char NOT_ALLOWED[] =
    PAGE_OF("405 method is not allowed", ALLOW, "<h1>error 405 method not allowed</h1>");
static const char OPTIONS[] = "HTTP/1.1 204 No Content\n" ALLOW "\n";

// The linker places this at the first address past the stack and the data.
extern uint8_t __heap_base;

// Says where the request may be written. Memory grows only where it has to: an
// instance whose memory grew cannot be used again, and that takes time.
__attribute__((export_name("alloc"))) uint32_t alloc(uint32_t length) {
    uint64_t end = (uint64_t)(uintptr_t)&__heap_base + length;
    uint64_t pages = (end + PAGE - 1) / PAGE;
    uint32_t present = __builtin_wasm_memory_size(0);
    if (pages > present && __builtin_wasm_memory_grow(0, pages - present) == SIZE_MAX) {
        return 0; // no room: the client gets 413
    }
    return (uint32_t)(uintptr_t)&__heap_base;
}

// A piece of the request; it does not end in a 0 as C's own strings do.
struct piece {
    const char *start;
    uint32_t length;
};

// The bytes from here up to one of the two, which every request line has.
static struct piece up_to(const char *start, char one, char other) {
    uint32_t length = 0;
    while (start[length] != one && start[length] != other) length++;
    return (struct piece){start, length};
}

static int is(struct piece piece, const char *text) {
    for (uint32_t i = 0; i < piece.length; i++) {
        if (text[i] != piece.start[i]) return 0; // also where the text ends first, by its 0
    }
    return text[piece.length] == 0;
}

// The result in the contract's form: address and length in one number.
#define RESPONSE(text) ((uint64_t)(uintptr_t)(text) << 32 | (sizeof(text) - 1))

// The request is one message, `METHOD target HTTP/1.1` and so on. The host has
// checked it; so this reads no further than it needs to, and `length` not at all.
__attribute__((export_name("handle"))) uint64_t handle(const char *request, uint32_t length) {
    (void)length;
    struct piece method = up_to(request, ' ', ' ');
    struct piece path = up_to(request + method.length + 1, ' ', '?');
    int is_index = is(path, "/"), is_route = is(path, "/route");

    // HEAD is answered like GET: the host keeps the body to itself.
    if (is(method, "GET") || is(method, "HEAD")) {
        return is_index ? RESPONSE(INDEX) : is_route ? RESPONSE(ROUTE) : RESPONSE(NOT_FOUND);
    }
    if (is(method, "OPTIONS")) {
        return is_index || is_route || is(path, "*") ? RESPONSE(OPTIONS) : RESPONSE(NOT_FOUND);
    }
    return RESPONSE(NOT_ALLOWED);
}
