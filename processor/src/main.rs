//! The program `tocsin`: see [`cli`].

mod cli;

/// For RocksDB and librdkafka as well. How it is set is in `.cargo/config.toml`, what it saves in `benches/README.md`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
