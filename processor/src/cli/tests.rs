use anyhow::{Context, anyhow};
use clap::CommandFactory;
use clap::error::ErrorKind;
use tocsin::config::Given;
use tocsin::config::keys::NAMED_FLAGS;
use tocsin::generate::Settings;
use tocsin::partitioner::Partitioner;
use tocsin_core::time::{DAY, MINUTE};

use super::failure::{Failure, exit_code, report};
use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_subcommand_has_help_with_examples() {
    fn check(command: &clap::Command) {
        for command in command.get_subcommands() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Examples:\n  tocsin "), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            check(command);
        }
    }
    check(&Cli::command());
}

#[test]
fn run_has_the_flags_that_the_configuration_names() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for (flag, key) in NAMED_FLAGS {
        let argument =
            run.get_arguments().find(|argument| Some(argument.get_long().unwrap()) == flag.strip_prefix("--"));
        let help = argument.unwrap().get_help().unwrap().to_string();
        assert!(help.contains(&format!("`{key}`")), "{flag}: {help}");
    }
}

#[test]
fn a_backtest_has_defaults() {
    let Ok(Command::Backtest(args)) = parse("tocsin backtest --rules r --events -") else { panic!() };
    assert_eq!((args.max_out_of_orderness, args.history, args.partitions), (MINUTE, 400 * DAY, 1));
    assert_eq!((args.partitioner, args.until, args.output), (Partitioner::Murmur2, None, None));
    let line =
        "tocsin backtest --rules r --events e --until 1970-01-01T01:00:00+01:00 --output none --partitioner crc32";
    let Ok(Command::Backtest(args)) = parse(line) else { panic!() };
    assert_eq!(
        (args.partitioner, args.until, args.output),
        (Partitioner::Crc32, Some(0), Some(backtest::Output::None))
    );
}

#[test]
fn generate_makes_the_reference_load_unless_told_otherwise() {
    let settings = |line| {
        let Ok(Command::Generate(args)) = parse(line) else { panic!("{line}") };
        args.settings()
    };
    assert_eq!(settings("tocsin generate"), Settings::default());
    let asked =
        settings("tocsin generate --customers 5000 --days 2 --leaving 7 --mix purchase=1 --start 1970-01-01T00:00:00Z");
    assert_eq!((asked.customers, asked.span, asked.start), (5_000, 2 * DAY, 0));
    // There are no complaints to plant.
    assert_eq!((asked.leaving, asked.complaining), (7, 0));
}

#[test]
fn wrong_usage_is_refused() {
    for (line, kind) in [
        ("tocsin", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("tocsin fly", ErrorKind::InvalidSubcommand),
        ("tocsin backtest --rules r", ErrorKind::MissingRequiredArgument),
        ("tocsin backtest --rules r --events e --partitioner md5", ErrorKind::InvalidValue),
        ("tocsin backtest --rules r --events e --until yesterday", ErrorKind::ValueValidation),
        ("tocsin backtest --rules r --events e --history 1y", ErrorKind::ValueValidation),
        ("tocsin backtest --rules r --events e --partitions 0", ErrorKind::ValueValidation),
        ("tocsin demo --speed 0", ErrorKind::ValueValidation),
        ("tocsin generate --events 0", ErrorKind::ValueValidation),
        ("tocsin generate --mix buy=1", ErrorKind::ValueValidation),
        ("tocsin generate --kafka --output events.jsonl", ErrorKind::ArgumentConflict),
        ("tocsin generate --topic events", ErrorKind::MissingRequiredArgument),
        ("tocsin rules", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("tocsin rules apply", ErrorKind::MissingRequiredArgument),
        ("tocsin rules history --show 0", ErrorKind::ValueValidation),
        ("tocsin journal show --from soon", ErrorKind::ValueValidation),
        ("tocsin journal show --limit 0", ErrorKind::ValueValidation),
        ("tocsin --version", ErrorKind::DisplayVersion),
        ("tocsin run --version", ErrorKind::DisplayVersion),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.kind(), kind, "{line}");
        assert_eq!(error.exit_code(), if kind == ErrorKind::DisplayVersion { 0 } else { 2 }, "{line}");
    }
}

#[track_caller]
fn check(error: &anyhow::Error, code: u8, expected: &str) {
    assert_eq!((exit_code(error), report(error).as_str()), (code, expected));
}

#[test]
fn an_error_says_what_happened_why_and_what_next() {
    check(&anyhow!("disk full"), 1, "error: disk full\n");
    let error: anyhow::Error = Failure::unusable("the rules cannot be used")
        .caused_by(anyhow!("a.yaml:3:5: no such key `whn`").context("a.yaml"))
        .hint("did you mean `when`?")
        .into();
    let expected = "error: the rules cannot be used\n  caused by: a.yaml\n  caused by: a.yaml:3:5: no such key `whn`\n  \
                    hint: did you mean `when`?\n";
    check(&error, 2, expected);
    let wrapped = Err::<(), _>(error).context("start").unwrap_err();
    assert_eq!(exit_code(&wrapped), 2);
    assert!(report(&wrapped).starts_with("error: start\n  caused by: the rules cannot be used\n"));

    let problems = anyhow::Error::from(Given::default().config().unwrap_err());
    assert_eq!(exit_code(&problems), 2);
    assert!(
        report(&problems)
            .starts_with("error: the configuration cannot be used: 1 problem\n  - kafka.bootstrap: is not given\n")
    );
}
