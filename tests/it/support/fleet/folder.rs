//! A folder of one test: kept, and said where, if the test fails.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How many lines of each log are shown when a test fails.
const LAST_LINES: usize = 6;

/// The folder.
pub(crate) struct Folder(Option<TempDir>);

impl Folder {
    /// A new one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("shardfleet-it-").tempdir();
        Self(Some(folder.unwrap()))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().unwrap().path()
    }

    /// Every log in it, by name.
    pub(crate) fn logs(&self) -> Vec<(String, String)> {
        let files = std::fs::read_dir(self.path()).unwrap().flatten();
        let mut logs: Vec<_> = files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
            .map(|path| (name(&path), lossy(&path)))
            .collect();
        logs.sort();
        logs
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the test runner shows it with the failure"
)]
impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (name, text) in self.logs() {
            let lines: Vec<_> = text.lines().collect();
            println!("--- {name}");
            for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                println!("{}", line.chars().take(400).collect::<String>());
            }
        }
        if let Some(folder) = self.0.take() {
            println!("logs are kept in {}", folder.keep().display());
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(PathBuf::from)
        .unwrap_or_default()
        .display()
        .to_string()
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
