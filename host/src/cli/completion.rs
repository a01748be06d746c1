//! `host completion`: prints scripts that let shells complete the command lines of this program.

use std::process::ExitCode;

use clap::{Command, ValueEnum};
use clap_complete::{generate, shells};

use crate::cli::output::print;

/// Arguments of `host completion`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The script completes the name by which this program was called. To install it for yourself:\n  \
                        mkdir -p ~/.local/share/bash-completion/completions\n  \
                        host completion bash > ~/.local/share/bash-completion/completions/host\n  \
                        host completion zsh > FOLDER/_host    (FOLDER is in $fpath before compinit runs)\n  \
                        host completion fish > ~/.config/fish/completions/host.fish"
)]
pub struct Completion {
    /// Shell that runs the script
    #[arg(value_enum)]
    shell: Shell,
    /// Command line that is completed.
    #[arg(skip)]
    pub definition: Command,
}

/// Shell for which a script can be printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the completion script for a shell.
pub(super) fn run(completion: Completion) -> ExitCode {
    let Completion { shell, definition: mut command } = completion;
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, name, &mut script),
    }
    print(script);
    ExitCode::SUCCESS
}
