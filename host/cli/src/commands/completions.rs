use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::output;

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
    pulselet completions bash > ~/.local/share/bash-completion/completions/pulselet
    pulselet completions zsh > \"${fpath[1]}/_pulselet\"
    pulselet completions fish > ~/.config/fish/completions/pulselet.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "pulselet", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    output::done()
}

/// The command line without what `--help` hides; some shells would propose it.
fn visible() -> Command {
    let all = Cli::command();
    let commands: Vec<Command> = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    Command::new("pulselet").args(all.get_arguments().cloned()).subcommands(commands)
}
