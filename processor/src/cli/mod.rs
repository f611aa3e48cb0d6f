//! The command line: one file for each subcommand, and how an error ends the program.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | it failed while running: look at what happened and try again; an audit found something wrong |
//! | 2 | unusable arguments, configuration, rules or events: mend them first |

mod arguments;
mod audit;
mod backtest;
mod checkpoint;
mod demo;
mod failure;
mod generate;
mod history;
mod journal;
mod journal_record;
mod rules;
mod run;
mod summary;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tocsin turns the stream of what customers do into alerts.
#[derive(Debug, Parser)]
#[command(name = "tocsin", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Backtest(backtest::BacktestArgs),
    Checkpoint(checkpoint::CheckpointArgs),
    Demo(demo::DemoArgs),
    Generate(generate::GenerateArgs),
    Rules(rules::RulesArgs),
    Audit(audit::AuditArgs),
    Journal(journal::JournalArgs),
}

/// Reads the arguments of the process and does what they say.
pub fn main() -> ExitCode {
    // A wrong usage ends here: clap says what is wrong and exits with 2.
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run(args) => run::execute(&args),
        Command::Backtest(args) => backtest::execute(&args),
        Command::Checkpoint(args) => checkpoint::execute(&args),
        Command::Demo(args) => demo::execute(&args),
        Command::Generate(args) => generate::execute(&args),
        Command::Rules(args) => rules::execute(&args),
        Command::Audit(args) => audit::execute(&args),
        Command::Journal(args) => journal::execute(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", failure::report(&error));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
