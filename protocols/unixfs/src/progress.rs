//! What an import or export says while it runs.

use std::path::Path;

/// One step of an import or export. Byte counts are of this step, not totals.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// So many bytes of file content were stored (import) or written (export).
    Bytes(u64),
    /// So many bytes were found, and verified, in what an earlier export left behind.
    Kept(u64),
    /// A file, directory or link was begun.
    Entry(&'a Path),
}

/// Where progress is reported. Called from the task that imports or exports: it must not block.
pub(crate) type Report<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);
