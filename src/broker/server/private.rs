//! Folders and files that nobody but this user reads.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result};

/// Makes a folder of this user alone, or closes one of an earlier run to others. A folder that holds
/// what is not ours is left as it is, and its owner is told.
///
/// # Errors
/// Where it cannot be created.
pub(super) fn folder(path: &Path) -> Result<()> {
    let failed = || format!("cannot create {}", path.display());
    if !path.is_dir() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(failed)?;
        }
        return DirBuilder::new()
            .mode(FOLDER)
            .create(path)
            .with_context(failed);
    }
    let mode = fs::metadata(path)
        .with_context(failed)?
        .permissions()
        .mode()
        & 0o777;
    if mode & !FOLDER == 0 {
        return Ok(());
    }
    let closed = if is_ours(path) {
        fs::set_permissions(path, Permissions::from_mode(FOLDER)).map_err(|error| error.to_string())
    } else {
        Err("it holds what is not of this program".to_owned())
    };
    if let Err(why) = closed {
        let folder = path.display();
        tracing::warn!(
            "others on this machine may enter {folder} (mode {mode:o}), where nats-server keeps every \
             event, and it was not closed to them: {why}. Choose a folder of its own with --data, or \
             `chmod 700` this one"
        );
    }
    Ok(())
}

/// Writes a file of this user alone. One that was there with another mode is replaced, so that nobody
/// who has it open reads what is new.
///
/// # Errors
/// Names the file.
pub(super) fn file(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // What a run that was killed here has left.
    _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE)
        .open(&new)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    fs::rename(&new, path).with_context(failed)
}

/// Empty, or what a run of this program leaves.
fn is_ours(path: &Path) -> bool {
    let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    empty || path.join("nats.conf").is_file()
}

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn opened(path: &Path) {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_folder_is_closed_to_others_unless_it_is_somebody_elses() {
        let scratch = tempfile::tempdir().unwrap();
        let new = scratch.path().join("not/there/yet");
        folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        opened(&new);
        folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700, "it is empty");
        fs::write(new.join("nats.conf"), "").unwrap();
        opened(&new);
        folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700, "an earlier run made it");
        fs::rename(new.join("nats.conf"), new.join("thesis.txt")).unwrap();
        opened(&new);
        folder(&new).unwrap();
        assert_eq!(mode(&new), 0o755, "it holds a thesis");
    }

    #[test]
    fn a_file_is_replaced_and_never_open_to_others() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("secret");
        let elsewhere = scratch.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        std::os::unix::fs::symlink(&elsewhere, scratch.path().join("secret.new")).unwrap();
        for text in ["one", "two"] {
            file(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(mode(&path), 0o600);
            fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    }
}
