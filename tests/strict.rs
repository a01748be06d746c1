//! Strict HTTP/1.1. If two programs read the same bytes in two ways, a request can be
//! smuggled past one of them. So the server must refuse ambiguous requests and serve plain
//! ones. The modules below hold tables of both.

mod chunks;
mod heads;
mod lengths;
mod limits;
mod methods;
pub mod passed_on;
mod row;
mod targets;

use crate::harness::Server;
use row::Handler;

#[test]
fn lines_and_fields_are_read_to_the_letter() {
    row::check(Handler::Default, &[heads::lines(), heads::request_lines(), heads::fields()].concat());
}

#[test]
fn a_length_is_one_number_or_chunked() {
    row::check(Handler::Echo, &[lengths::content_length(), lengths::transfer_encoding()].concat());
}

#[test]
fn chunks_are_read_to_the_letter() {
    row::check(Handler::Echo, &[chunks::well_formed(), chunks::malformed(), chunks::trailers()].concat());
}

#[test]
fn it_has_to_be_clear_what_is_meant_and_which_server() {
    row::check(Handler::Default, &[targets::targets(), targets::hosts()].concat());
}

#[test]
fn limits_hold_to_the_byte() {
    row::check(Handler::Default, &limits::heads());
    row::check(Handler::Echo, &limits::bodies());
}

#[test]
fn a_connection_lives_as_long_as_both_sides_want() {
    row::check(Handler::Default, &[methods::methods(), methods::connections()].concat());
}

#[test]
fn the_handler_gets_nothing_that_could_be_read_in_two_ways() {
    row::check(Handler::Show, &passed_on::requests());
}

#[test]
fn a_client_that_takes_in_nothing_is_given_up() {
    let flags = ["--write-timeout", "100ms", "--log-level", "debug"];
    let mut server = Server::of_with("answers_much.wat", &flags);
    let mut client = server.connect();
    // The responses are more than all buffers between server and client can hold.
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(8));
    server.log_line(&["connection ended early", "read nothing for too long (--write-timeout)"]);
    assert_eq!(server.connect().ask("GET", "/").body.len(), 4_194_304);
}
