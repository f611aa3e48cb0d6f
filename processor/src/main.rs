//! The program `tocsin`: see [`cli`].

mod cli;

/// Every event allocates a little and lets go of as much: see ARCHITECTURE.md, libraries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
