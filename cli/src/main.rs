//! The program `hedgerow`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Settings jemalloc reads before `main`: memory goes back to the system after a second,
/// by a thread of its own, so a node that was busy is small again soon.
#[allow(
    unsafe_code,
    reason = "jemalloc finds its settings by the name of this symbol"
)]
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; node::MALLOC_CONF.len()] = node::MALLOC_CONF;

fn main() -> ExitCode {
    cli::main()
}
