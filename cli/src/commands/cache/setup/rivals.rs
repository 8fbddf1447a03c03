//! Other files of apt that set the same and are read later, so that theirs is what holds.

use std::{fs, path::PathBuf};

use super::{file, presets::Preset, say};
use crate::args::CacheClient;

/// Each with its line and its value. What cannot be read is apt's to complain about.
pub(super) fn of(preset: &Preset, port: u16) -> Vec<String> {
    let mut rivals = Vec::new();
    for path in later(preset) {
        let text = file::read(&path).ok().flatten().unwrap_or_default();
        let found = preset.format.find(&text, port).unwrap_or_default();
        if let Some(last) = found.iter().rfind(|found| !found.is_right) {
            let line = say::line(&text, last.at.start);
            rivals.push(format!("{}:{line} sets {}", path.display(), last.value));
        }
    }
    rivals
}

/// First the parts, by name, then `apt.conf`.
fn later(preset: &Preset) -> Vec<PathBuf> {
    let folder = preset.file.parent();
    let Some(folder) = folder.filter(|_| preset.client == CacheClient::Apt) else {
        return Vec::new();
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    // Others, such as copies that dpkg makes, apt passes over.
    files.retain(|file| {
        *file > preset.file && file.extension().is_none_or(|extension| extension == "conf")
    });
    files.sort();
    files.extend(folder.parent().map(|apt| apt.join("apt.conf")));
    files
}
