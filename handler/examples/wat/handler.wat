;; The routes of the default handler, in WebAssembly text. The host takes it as
;; it is.
;;
;; The host makes one call of `alloc` and one of `handle` for a request, and then
;; puts all memory back as it was before. So nothing here is ever freed.
(module
  (memory (export "memory") 1)

  ;; The host adds `content-length` and `date`; lines may end in LF alone.
  (data (i32.const 0) "HTTP/1.1 200 OK\ncontent-type: text/html; charset=utf-8\n\n<h1> hello index</h1>")
  (data (i32.const 100) "HTTP/1.1 200 OK\ncontent-type: text/html; charset=utf-8\n\n<h1> hello route</h1>")
  (data (i32.const 200) "HTTP/1.1 404 page not found\ncontent-type: text/html; charset=utf-8\n\n<h1>error 404 not found</h1>")
  (data (i32.const 300) "HTTP/1.1 405 method is not allowed\nallow: GET, HEAD, OPTIONS\ncontent-type: text/html; charset=utf-8\n\n<h1>error 405 method not allowed</h1>")
  (data (i32.const 500) "HTTP/1.1 204 No Content\nallow: GET, HEAD, OPTIONS\n\n")
  ;; A response is its address and its length, packed in one number.
  (global $index i64 (i64.const 0x00_0000_004d))
  (global $route i64 (i64.const 0x64_0000_004d))
  (global $not_found i64 (i64.const 0xc8_0000_0060))
  (global $not_allowed i64 (i64.const 0x12c_0000_008a))
  (global $options i64 (i64.const 0x1f4_0000_0033))
  ;; The memory from here on is the request's.
  (global $room i32 (i32.const 1024))

  ;; Says where the request may be written; 0 means no room, and the client gets
  ;; 413. Memory grows only where it has to: an instance whose memory grew cannot
  ;; be used again, and that takes time.
  (func (export "alloc") (param $length i32) (result i32)
    (local $missing i64) ;; pages; in 64 bits, so that the sum cannot overflow
    (local.set $missing
      (i64.sub
        (i64.shr_u
          (i64.add
            (i64.extend_i32_u (local.get $length))
            (i64.extend_i32_u (i32.add (global.get $room) (i32.const 65535))))
          (i64.const 16))
        (i64.extend_i32_u (memory.size))))
    (if (i64.gt_s (local.get $missing) (i64.const 0))
      (then
        (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $missing))) (i32.const -1))
          (then (return (i32.const 0))))))
    (global.get $room))

  ;; The request is one message, `METHOD target HTTP/1.1` and so on. The host has
  ;; checked it. Words are compared as numbers, whose lowest byte is the first
  ;; letter: "GET " is 0x20544547.
  (func (export "handle") (param $request i32) (param $length i32) (result i64)
    (local $path i32)
    (local $page i64)

    ;; HEAD is answered like GET: the host keeps the body to itself.
    (if (i32.eq (i32.load (local.get $request)) (i32.const 0x20544547)) ;; "GET "
      (then (return (call $page (i32.add (local.get $request) (i32.const 4))))))
    (if (i64.eq
          (i64.and (i64.load (local.get $request)) (i64.const 0xff_ffff_ffff))
          (i64.const 0x20_4441_4548)) ;; "HEAD "
      (then (return (call $page (i32.add (local.get $request) (i32.const 5))))))
    (if (i64.ne (i64.load (local.get $request)) (i64.const 0x2053_4e4f_4954_504f)) ;; "OPTIONS "
      (then (return (global.get $not_allowed))))

    (local.set $path (i32.add (local.get $request) (i32.const 8)))
    (if (i32.eq (i32.load16_u (local.get $path)) (i32.const 0x202a)) ;; "* "
      (then (return (global.get $options))))
    (local.set $page (call $page (local.get $path)))
    (if (i64.ne (local.get $page) (global.get $not_found))
      (then (return (global.get $options))))
    (local.get $page))

  ;; What GET answers for the target here.
  (func $page (param $target i32) (result i64)
    (if (i32.eq (i32.load8_u (local.get $target)) (i32.const 0x2f)) ;; "/"
      (then
        (if (call $path_ends (i32.add (local.get $target) (i32.const 1)))
          (then (return (global.get $index))))))
    (if (i64.eq
          (i64.and (i64.load (local.get $target)) (i64.const 0xffff_ffff_ffff))
          (i64.const 0x6574_756f_722f)) ;; "/route"
      (then
        (if (call $path_ends (i32.add (local.get $target) (i32.const 6)))
          (then (return (global.get $route))))))
    (global.get $not_found))

  ;; Whether a path is over here: the target is, or its query begins.
  (func $path_ends (param $address i32) (result i32)
    (i32.or
      (i32.eq (i32.load8_u (local.get $address)) (i32.const 0x20))
      (i32.eq (i32.load8_u (local.get $address)) (i32.const 0x3f)))))
