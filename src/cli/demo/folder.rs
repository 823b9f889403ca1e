//! Where a run keeps its logs, its records and the server's store.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// A run's folders. What nobody asked to keep is removed with it.
pub(super) struct Folder {
    scratch: PathBuf,
    evidence: PathBuf,
    asked: bool,
    kept: bool,
}

impl Folder {
    /// Creates them; the evidence where it was asked for. The server creates its own.
    pub(super) fn create(evidence: Option<&Path>) -> Result<Self> {
        let scratch = scratch()?;
        let evidence_at = match evidence {
            // Children run elsewhere: only a whole path means the same to them.
            Some(path) => std::path::absolute(path)?,
            None => scratch.join("evidence"),
        };
        let folder = Self {
            scratch,
            evidence: evidence_at,
            asked: evidence.is_some(),
            kept: false,
        };
        let logs = folder.logs();
        std::fs::create_dir_all(&logs)
            .with_context(|| format!("cannot create {}", logs.display()))?;
        Ok(folder)
    }

    /// The records.
    pub(super) fn evidence(&self) -> &Path {
        &self.evidence
    }

    /// A log for each process.
    pub(super) fn logs(&self) -> PathBuf {
        self.evidence.join("logs")
    }

    /// The server's own folder.
    pub(super) fn store(&self) -> PathBuf {
        self.scratch.join("nats")
    }

    /// Something went wrong: what tells why must stay.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// True if the evidence outlives the run.
    pub(super) fn stays(&self) -> bool {
        self.asked || self.kept
    }
}

/// A folder that was not there and that no other user of this machine can enter: all of them may write
/// beside it.
fn scratch() -> Result<PathBuf> {
    let (process, nonce) = (std::process::id(), rand::random::<u32>());
    let path = std::env::temp_dir().join(format!("shardfleet-demo-{process}-{nonce:08x}"));
    DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The server's log belongs to the evidence, its store is of no more use.
        let log = self.store().join("nats.log");
        if self.stays() {
            _ = std::fs::copy(log, self.logs().join("nats.log"));
        }
        let gone = if self.kept && !self.asked {
            self.store()
        } else {
            self.scratch.clone()
        };
        _ = std::fs::remove_dir_all(gone);
    }
}
