//! The wire-cutter: a TCP proxy between a process and NATS or Discord.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What a wire does with what goes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Passes it on.
    Whole,
    /// No connection lives, none is taken.
    Cut,
    /// Connections stay open, nothing goes through.
    Stalled,
    /// What the client says goes through; what it is answered does not.
    Deaf,
}

/// A wire. Dropping it cuts it for good.
pub(crate) struct Wire {
    /// Where its near end is.
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    snips: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// A wire to whichever of `far` takes a connection, by turns.
    pub(crate) async fn to(mut far: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Whole);
        let (snips, snipped) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                far.rotate_left(1);
                let (modes, snipped) = (modes.clone(), snipped.clone());
                tokio::spawn(carry(near, far.clone(), modes, snipped));
            }
        });
        Self {
            address,
            mode,
            snips,
            accepting,
        }
    }

    /// Ends every connection, and takes no new one.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
        self.snip();
    }

    /// Ends every connection; new ones are taken.
    pub(crate) fn snip(&self) {
        self.snips.send_modify(|count| *count += 1);
    }

    /// Nothing goes through, and nobody is told.
    pub(crate) fn stall(&self) {
        self.mode.send_replace(Mode::Stalled);
    }

    /// The client is heard, and hears nothing: its acks are on the way for ever.
    pub(crate) fn deafen(&self) {
        self.mode.send_replace(Mode::Deaf);
    }

    /// All is well again; what a stalled wire held goes through.
    pub(crate) fn heal(&self) {
        self.mode.send_replace(Mode::Whole);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn carry(
    near: TcpStream,
    far: Vec<SocketAddr>,
    mut modes: watch::Receiver<Mode>,
    mut snipped: watch::Receiver<u64>,
) {
    snipped.mark_unchanged();
    if *modes.borrow_and_update() == Mode::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(&far[..]).await else {
        return;
    };
    _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    let answers = [Mode::Stalled, Mode::Deaf];
    tokio::select! {
        _ = snipped.changed() => {}
        () = pump(near_reads, far_writes, modes.clone(), &[Mode::Stalled]) => {}
        () = pump(far_reads, near_writes, modes, &answers) => {}
    }
}

/// Passes on what comes, unless the wire holds it up.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut modes: watch::Receiver<Mode>,
    held_up: &[Mode],
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let passes = |mode: &Mode| !held_up.contains(mode);
        if modes.wait_for(passes).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
