//! Writes one shard's session beside its polling: nothing slow stands in the poll loop.

use tokio::sync::mpsc;

use super::{
    forward::{Body, Message},
    session::{self, SessionKey},
    track::Session,
};

/// Writes READYs once they are stored, and resume points as they move, until both senders are gone.
pub async fn keep(
    mut key: SessionKey,
    mut ready: mpsc::UnboundedReceiver<Message>,
    mut points: mpsc::UnboundedReceiver<Session>,
) {
    let (mut readies, mut moves) = (true, true);
    while readies || moves {
        tokio::select! {
            biased;
            message = ready.recv(), if readies => match message {
                Some(message) => if let Some(session) = begun(&message) { key.keep(&session).await },
                None => readies = false,
            },
            point = points.recv(), if moves => match point {
                Some(session) => key.keep(&session).await,
                None => moves = false,
            },
        }
    }
}

/// The session that a READY begins.
fn begun(message: &Message) -> Option<Session> {
    let Body::Event { payload, .. } = &message.body else {
        return None;
    };
    let ready = session::ready(payload)?;
    Some(Session {
        id: ready.session_id,
        resume_url: ready.resume_gateway_url,
        seq: message.seq,
    })
}
