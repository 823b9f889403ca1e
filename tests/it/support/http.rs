//! Requests to processes under test.

use reqwest::{Client, Response};

/// A client; TLS needs its provider before the first one is built.
pub(crate) fn client() -> Client {
    // Fails only where another test was first.
    _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// The code and the body of an answer.
pub(crate) async fn get(url: &str) -> (u16, String) {
    let answer = client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// True if a request is answered, and well.
pub(crate) async fn is_well(url: &str) -> bool {
    let answer = client().get(url).send().await;
    answer.is_ok_and(|answer: Response| answer.status().is_success())
}
