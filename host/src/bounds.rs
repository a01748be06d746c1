//! Fixed bounds, which no flag changes, as rows for the reference page and for the API.

use ::host_wasm as wasm;
use handler_sdk::abi;
use host_http::h1::{DIGITS_MAX, EXTRA_MAX, METHOD_MAX};
use host_http::hop_by_hop::OPTIONS_MAX;
use host_http::proxy_header;
use host_http::response;

use crate::admin::memory_bounds;
use crate::admin::protocol::{BODY_MAX, REPLY_MAX, REQUEST_TIMEOUT};
use crate::admin::{body, guests, listener, proof as admin_proof, stream};
use crate::amount::Amount;
use crate::bounds::row::{bytes, count, time};
use crate::config::file;
use crate::events::{event, hub, traffic};
use crate::fault_counts;
use crate::files::{own_file, private_folder};
use crate::net::{socket, unix_socket};
use crate::record;
use crate::rollout::{kept, plan_flags, rates, share};
use crate::serve::buffers::UNCOUNTED;
use crate::serve::{connection, linger, slots};
use crate::site::{probation, replayed, saved, state_dir};
use crate::source::watch;
use crate::telemetry::{log, log_queue};
use crate::trial::request_file;

mod acme;
mod components;
mod row;

pub(crate) use self::row::Row;

fn connections() -> Vec<Row> {
    vec![
        count(
            "Connections of one listener that wait to be accepted (`net.core.somaxconn` may lower it)",
            unix_socket::BACKLOG as u64,
            "the client's kernel tries again",
        ),
        bytes("PROXY header of version 1", proxy_header::V1_MAX, "the connection is closed"),
        bytes("PROXY header of version 2", proxy_header::V2_MAX, "the connection is closed"),
        bytes("Path of a Unix socket", unix_socket::PATH_MAX, "the socket is not opened"),
        time(
            "Time in which a new connection is not closed for another one (`--rate-window` may lower it)",
            slots::FIRST_REQUEST,
            "without a request it may be closed (`--connections`)",
        ),
        bytes(
            "Unsent bytes of a connection in the kernel",
            socket::UNSENT_MAX as usize,
            "the write waits (`--write-timeout`, `--write-rate-min`)",
        ),
        time(
            "Time to wait on shutdown for the first request of a connection",
            connection::FIRST_REQUEST,
            "the connection is closed",
        ),
        time("Time to drain a closing connection", linger::LINGER, "the connection is closed"),
        bytes("Bytes drained from a closing connection", linger::LINGER_MAX, "the connection is closed"),
    ]
}

fn messages() -> Vec<Row> {
    vec![
        bytes("Length of a method", METHOD_MAX, "501"),
        count("Options in the `connection` header of a request", OPTIONS_MAX as u64, "431"),
        count("Options in the `connection` header of a response", OPTIONS_MAX as u64, "502"),
        count("Headers of a response", response::FIELDS_MAX as u64, "502"),
        count("Digits in a chunk size", DIGITS_MAX as u64, "400"),
        bytes("Chunk extensions and trailers of a body", EXTRA_MAX, "400"),
        ("Trailers of a body", Amount::Flag("fields-max"), "431"),
        bytes("Body that does not count towards `--buffer-max`", UNCOUNTED, "the body counts"),
        bytes(
            "Memory that is kept from large responses for the next ones (`--buffer-max` may lower it)",
            wasm::fixed::RESPONSES_KEPT_MAX,
            "the memory is freed",
        ),
    ]
}

const NOT_SERVED: &str = "the module is not served";

fn modules() -> Vec<Row> {
    vec![
        count("Functions", wasm::fixed::FUNCTIONS_MAX, NOT_SERVED),
        count("Locals of all functions", wasm::fixed::LOCALS_MAX, NOT_SERVED),
        count("Nesting depth of blocks", wasm::fixed::NESTING_MAX, NOT_SERVED),
        count("Block parameters of a function", wasm::fixed::BLOCK_PARAMETERS_MAX, NOT_SERVED),
        count("Targets of branch tables", wasm::fixed::BRANCH_TARGETS_MAX, NOT_SERVED),
        count("Types", wasm::fixed::TYPES_MAX, NOT_SERVED),
        count("Imports", wasm::fixed::IMPORTS_MAX, NOT_SERVED),
        count("Exports", wasm::fixed::EXPORTS_MAX, NOT_SERVED),
        count("Globals", wasm::fixed::GLOBALS_MAX, NOT_SERVED),
        count("Mutable globals", wasm::fixed::CHANGING_GLOBALS_MAX as u64, NOT_SERVED),
        count("Tables", wasm::fixed::TABLES_MAX as u64, NOT_SERVED),
        count("Data segments", wasm::fixed::DATA_SEGMENTS_MAX, NOT_SERVED),
        count("Elements of all segments", wasm::fixed::ELEMENTS_MAX, NOT_SERVED),
        count(
            "Elements of all segments that are expressions",
            wasm::fixed::ELEMENT_EXPRESSIONS_MAX,
            NOT_SERVED,
        ),
        count("Threads that compile a module", wasm::fixed::THREADS_MAX as u64, "further cores are not used"),
        bytes(
            "Module file that is compiled on all of these threads",
            wasm::fixed::ON_ALL_CORES,
            "half of them are used",
        ),
        count(
            "Calls of candidates at once",
            wasm::fixed::INSTANCES_SPARE as u64,
            "further ones wait, for two deadlines (`--deadline`) and 10 s",
        ),
        count(
            "Pages of an instance that its requests wrote to",
            wasm::fixed::PAGES_MAX as u64,
            "the instance is dropped",
        ),
        count(
            "Separate ranges of such pages (`vm.max_map_count` may lower it)",
            u64::from(wasm::fixed::STRETCHES_MAX),
            "the instance is dropped",
        ),
        count(
            "Targets that a version remembers as long",
            wasm::fixed::LONG_TARGETS_MAX as u64,
            "one takes the place of another",
        ),
        bytes("Values of a site, with their names", abi::VALUES_MAX, "the values are refused"),
        bytes("Name of a value", abi::VALUE_NAME_MAX, "the values are refused"),
        bytes("Native stack of a call", wasm::fixed::STACK_MAX, "the call traps"),
        count(
            "Frames reported for a trap",
            wasm::fixed::FRAMES_MAX as u64,
            "the outermost frames are left out",
        ),
        bytes("Function name in a message", wasm::fixed::FRAME_MAX, "the name is cut"),
        bytes("Message about a module", wasm::fixed::MESSAGE_MAX, "the message is cut"),
    ]
}

fn commands() -> Vec<Row> {
    vec![
        count("Control connections at once", listener::CONNECTIONS_MAX as u64, "further ones wait"),
        count("Those of one address at `--admin`", guests::OF_ONE_MAX as u64, "further ones are closed"),
        count(
            "Uploaded modules received or prepared at once",
            memory_bounds::UPLOADS_MAX as u64,
            "further ones wait",
        ),
        time(
            "Time to receive a command, to wait for an upload permit, or to receive a module",
            REQUEST_TIMEOUT,
            "the command is refused",
        ),
        bytes("Head of a request to the API", listener::HEAD_MAX, "431, and the connection is closed"),
        bytes("Body of a request to the API, except for a module", BODY_MAX, "413"),
        time("Time to drain a body that the API has refused", body::DRAIN, "the connection is closed"),
        time(
            "Time to send a reply of the API, and in which a client reads nothing of a stream",
            listener::SEND_TIMEOUT,
            "the connection is closed",
        ),
        bytes("Reply to a command", REPLY_MAX, "the command fails"),
        count("Faults that the API remembers", fault_counts::RECENT_MAX as u64, "the oldest is dropped"),
        bytes("Target or cause of a fault that the API remembers", fault_counts::TEXT_MAX, "it is cut"),
        count("Streams of events at once", u64::from(hub::STREAMS_MAX), "503"),
        count(
            "Changes kept for clients that follow the events",
            hub::CHANGES_MAX as u64,
            "the oldest is dropped",
        ),
        count(
            "Faults kept for clients that follow the events",
            hub::FAULTS_MAX as u64,
            "the oldest is dropped",
        ),
        count("Streams of the traffic at once", traffic::STREAMS_MAX as u64, "503"),
        time("Time for which samples of the traffic are kept", traffic::KEPT, "they are dropped"),
        count(
            "Sites whose samples are kept, the whole server included",
            traffic::SCOPES_MAX as u64,
            "those of the one that was followed the longest ago are dropped",
        ),
        bytes("Kept changes, and kept faults, each", hub::BYTES_MAX, "the oldest are dropped"),
        bytes("Text in an event", fault_counts::TEXT_MAX, "it is cut"),
        bytes("List in an event", event::LIST_MAX, "it is cut"),
        time(
            "Time between two comments in a stream of events",
            stream::COMMENT_INTERVAL,
            "a comment is sent",
        ),
        time("Time to send the last events on exit", hub::FLUSH, "they are lost"),
        bytes("Configuration file", file::FILE_MAX, "it is refused"),
        count(
            "Mistakes in a configuration that are told one by one",
            file::MISTAKES_MAX as u64,
            "their number is told",
        ),
        bytes("File of requests, and file with a body of one", request_file::FILE_MAX, "it is refused"),
        time(
            "Time to wait for the lock of a folder or of a control socket",
            own_file::LOCK_TIMEOUT,
            "the folder or the socket is not used",
        ),
        bytes("State file", state_dir::STATE_MAX, "the state file is not written (`--keep`)"),
        bytes(
            "Origin of a version in the state file",
            saved::ORIGIN_MAX,
            "the state file is set aside on restart",
        ),
        count(
            "Files in a state or recording folder",
            private_folder::ENTRIES_MAX as u64,
            "the folder is not used",
        ),
        time("Time to wait for writes to the module file to end", watch::QUIET_WAIT_MAX, "the file is read"),
        count(
            "Symbolic links on the path of a file",
            watch::SYMLINKS_MAX as u64,
            "further ones are not watched",
        ),
    ]
}

fn proof() -> Vec<Row> {
    vec![
        count("Classes of requests in a journal", kept::CLASSES_MAX as u64, "one gives way as a whole"),
        count(
            "Requests of one class that a journal takes in a second",
            rates::OF_CLASS_MAX,
            "they are not kept",
        ),
        count(
            "Requests of all classes that a journal takes in a second",
            rates::OF_ALL_MAX,
            "they are not kept",
        ),
        count("Comparisons at once (`host diff`)", admin_proof::DIFFS_MAX as u64, "503"),
        time("Time of a comparison", admin_proof::TIME_MAX, "it is refused"),
        count(
            "Examples of each kind and class in a report",
            admin_proof::EXAMPLES_MAX as u64,
            "the request is refused",
        ),
        count(
            "Requests that fail with a watched version and wait to be run again",
            probation::SUSPECTS_MAX as u64,
            "further ones only count",
        ),
        count(
            "Requests of a sample that wait to run on both versions",
            probation::SAMPLES_MAX as u64,
            "further ones are left out",
        ),
        bytes("Request that is run again for a watched version", probation::COPY_MAX, "it only counts"),
        count(
            "Groups of requests, and classes, in the kept report on the latest candidate of a site",
            replayed::GROUPS_MAX as u64,
            "further ones are left out",
        ),
        count("Steps of a rollout", share::STEPS_MAX as u64, "the plan is refused"),
        count("Requests that a step may wait for", plan_flags::REQUESTS_MAX, "the plan is refused"),
    ]
}

fn log_and_recordings() -> Vec<Row> {
    vec![
        bytes("Log lines that wait to be written", log_queue::BYTES_MAX, "lines are dropped and counted"),
        time("Time to write queued log lines on exit", log::FLUSH, "the lines are lost"),
        count("Requests that wait to be recorded", record::QUEUE as u64, "further ones are not recorded"),
        time("Time to write queued recordings on exit", record::FLUSH, "the recordings are lost"),
    ]
}

/// Returns the fixed bounds in groups, each with a title.
pub(crate) fn fixed() -> [(&'static str, Vec<Row>); 8] {
    [
        ("Connections", connections()),
        ("Messages", messages()),
        ("Modules", modules()),
        ("Components", components::rows()),
        ("Commands and files", commands()),
        ("Proof of candidates", proof()),
        ("Certificates by ACME", acme::rows()),
        ("Log and recordings", log_and_recordings()),
    ]
}
