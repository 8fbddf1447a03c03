//! Files and directories as UnixFS, in the unixfs-v1-2025 profile.
