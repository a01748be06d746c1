//! Links the imports of components to the interfaces that the host grants (see `needs`).

use wasmtime::Result;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

use crate::component::state::{Has, HasTable, State};
use crate::component::{clocks as own_clocks, random as own_random};

/// Creates a linker with all interfaces that the host grants.
pub(super) fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    io::error::add_to_linker::<_, HasTable>(l, |state: &mut State| &mut state.table)?;
    io::poll::add_to_linker::<_, HasTable>(l, |state: &mut State| &mut state.table)?;
    io::streams::add_to_linker::<_, HasTable>(l, |state: &mut State| &mut state.table)?;
    clocks::monotonic_clock::add_to_linker::<_, own_clocks::Has>(l, State::clocks)?;
    clocks::wall_clock::add_to_linker::<_, own_clocks::Has>(l, State::clocks)?;
    random::random::add_to_linker::<_, own_random::Has>(l, |state: &mut State| &mut state.random)?;
    random::insecure::add_to_linker::<_, own_random::Has>(l, |state: &mut State| &mut state.random)?;
    random::insecure_seed::add_to_linker::<_, own_random::Has>(l, |state: &mut State| &mut state.random)?;
    cli::environment::add_to_linker::<_, Has>(l, |state: &mut State| state)?;
    cli::stdout::add_to_linker::<_, Has>(l, |state: &mut State| state)?;
    cli::stderr::add_to_linker::<_, Has>(l, |state: &mut State| state)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<State, WasiSockets>(l, &options, State::sockets)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::tcp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::udp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)?;
    Ok(linker)
}
