//! HTTP/2, frame by frame: what a client may send, and what it may not. A request that goes wrong
//! leaves the others of its connection alone, and a connection that goes wrong leaves the others alone.

mod begins;
mod bodies;
mod case;
pub mod client;
mod compressed;
mod control;
mod differential;
mod ends;
mod floods;
mod flow;
pub mod frames;
mod heads;
mod hpack;
mod limits;
mod refused;
mod same;
mod states;
mod times;
mod versions;

use case::check;

#[test]
fn frames_come_where_they_may() {
    check(&[], &[states::connection(), states::idle(), states::half_closed(), states::closed()].concat());
}

#[test]
fn nothing_comes_between_the_parts_of_a_head() {
    check(&[], &states::within_fields());
}

#[test]
fn frames_are_as_long_as_they_may_be() {
    check(&[], &states::sizes());
}

#[test]
fn it_is_clear_what_is_asked_for_and_of_which_server() {
    check(&[], &[heads::pseudo(), heads::targets(), heads::hosts()].concat());
}

#[test]
fn fields_are_read_to_the_letter() {
    check(&[], &[heads::fields(), heads::trailers()].concat());
}

#[test]
fn a_body_has_the_length_that_was_stated_and_none_above_the_limit() {
    check(&[], &[bodies::lengths(), bodies::padding()].concat());
    check(&bodies::FLAGS, &bodies::limits());
}

#[test]
fn frames_that_bring_no_request_do_what_they_say() {
    check(&[], &[control::of_settings(), control::windows()].concat());
    check(&[], &[control::priorities(), control::others()].concat());
}

#[test]
fn compressed_fields_are_read_to_the_letter() {
    check(&[], &[compressed::hostile(), compressed::unusual()].concat());
}

#[test]
fn limits_hold_to_the_byte() {
    check(&limits::FLAGS, &limits::heads());
    check(&["--h2-streams", "3"], &limits::streams());
}

#[test]
fn floods_end_the_connection() {
    check(&floods::FLAGS, &floods::floods());
}
