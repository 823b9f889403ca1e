//! The listener of a process: opened first, closed last and gracefully.

pub mod admin;
mod chronicle;
mod guard;
pub mod host;
mod html;
pub mod readiness;
pub mod serve;
pub mod status;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config;

/// An open port that nobody serves yet.
pub struct Web {
    listener: TcpListener,
    /// Where it listens; the real port, where the configuration says 0.
    pub address: SocketAddr,
}

impl Web {
    /// Opens the port of `web.listen`; none if that is empty.
    ///
    /// # Errors
    /// Where the port is taken or not this user's to open.
    pub async fn bind(config: &config::Web) -> Result<Option<Self>> {
        let Some(wanted) = config.listen.0 else {
            return Ok(None);
        };
        let listener = TcpListener::bind(wanted).await.with_context(|| {
            format!(
                "cannot listen on {wanted} (key web.listen). Choose another port, as in \
                 `--set web.listen=127.0.0.1:0` or SHARDFLEET_WEB__LISTEN; `none` serves nothing"
            )
        })?;
        let address = listener.local_addr()?;
        Ok(Some(Self { listener, address }))
    }

    /// Serves until `closed`, then lets open requests finish.
    pub async fn serve(self, router: Router, closed: CancellationToken) {
        let guard = middleware::from_fn_with_state(self.address, guard::guard);
        let router = router.layer(guard);
        serve::serve(self.listener, router, closed).await;
    }
}
