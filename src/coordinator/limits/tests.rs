//! Whatever a server may answer, over a real connection.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const TOKEN: &str = "hunter2";
const GOOD: &str = r#"{"url":"wss://g","shards":9,"session_start_limit":{"total":1000,"remaining":998,"reset_after":14400000,"max_concurrency":16}}"#;

/// What a server does once it has read the request.
enum Does {
    Answers(String),
    /// So many bytes of it in a body that never ends.
    Floods,
    Closes,
    Resets,
    IsSilent,
}

fn http(status: &str, headers: &str, body: &str) -> Does {
    let length = body.len();
    Does::Answers(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

fn with(key: &str, value: &str) -> Does {
    let (before, after) = GOOD.split_once(&format!("\"{key}\":")).unwrap();
    let end = after.find([',', '}']).unwrap();
    let body = format!("{before}\"{key}\":{value}{}", &after[end..]);
    http("200 OK", "", &body)
}

async fn serve(mut socket: TcpStream, does: &Does) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    assert!(
        request.starts_with("GET /api/v10/gateway/bot "),
        "{request}"
    );
    assert!(request.contains("Bot hunter2"), "{request}");
    match does {
        Does::Answers(answer) => _ = socket.write_all(answer.as_bytes()).await,
        Does::Floods => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            _ = socket.write_all(head.as_bytes()).await;
            // Until nobody reads any more.
            while socket.write_all(&[b' '; 4_096]).await.is_ok() {}
        }
        Does::Closes => {}
        Does::Resets => socket.set_zero_linger().unwrap(),
        Does::IsSilent => _ = socket.read(&mut [0]).await,
    }
}

/// Asks a server that does this.
async fn ask(does: Does) -> Result<Answer, Unread> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}/api/v10/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            serve(socket, &does).await;
        }
    });
    let answer = Discord::new(&api, &Secret::from(TOKEN.to_owned()))
        .unwrap()
        .ask()
        .await;
    serving.abort();
    if let Err(error) = serving.await {
        assert!(error.is_cancelled(), "{error}");
    }
    answer
}

#[tokio::test]
async fn discord_is_understood() {
    let answer = ask(http("200 OK", "", GOOD)).await.unwrap();
    assert_eq!((answer.remaining, answer.shards), (998, 9));
    assert_eq!(answer.reset_after, Duration::from_secs(14_400));
    let answer = ask(with("remaining", "0")).await.unwrap();
    assert_eq!(answer.remaining, 0);
}

/// Asks a server that does this: what is said contains this, and Discord is left alone for so many
/// seconds, where it wants that. Rows of the table in docs/OPERATIONS.md.
async fn says(does: Does, word: &str, pause: Option<f64>) {
    let error = ask(does).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(word), "{word:?} is not in {text:?}");
    assert_eq!(error.pause(), pause.map(Duration::from_secs_f64), "{text}");
    assert_eq!(error.is_final(), text.contains("401"), "{text}");
    assert!(!format!("{error:?} {text}").contains(TOKEN), "{text}");
}

#[tokio::test]
async fn too_many_requests_are_heeded_for_up_to_a_day() {
    let row = async |header: &str, body: &str, word: &str, pause| {
        says(http("429 Too Many Requests", header, body), word, pause).await;
    };
    let json = |seconds: &str| format!(r#"{{"retry_after":{seconds},"global":true}}"#);
    let header = |seconds: &str| format!("retry-after: {seconds}\r\n");
    let unsaid = "does not say for how long";
    row(&header("3"), "{}", "for 3.0 s", Some(3.0)).await;
    row(&header("3"), &json("7.5"), "for 7.5 s", Some(7.5)).await;
    row(&header("10800"), "", "for 3 h 0 min", Some(10_800.0)).await;
    row("", &json("86400.0"), "for 24 h 0 min", Some(86_400.0)).await;
    row(&header("9999999999"), "", "for 24 h", Some(86_400.0)).await;
    row("", &json("1e300"), "for 24 h", Some(86_400.0)).await;
    row("", "error code: 1015", unsaid, None).await;
    row(&header("-5"), &json("0"), unsaid, None).await;
    row(&header("NaN"), &json("\"x\""), unsaid, None).await;
    row(&header("inf"), "<html>", unsaid, None).await;
}

#[tokio::test]
async fn every_other_status_is_told_apart() {
    let row = async |status: &str, headers: &str, word: &str, pause| {
        says(http(status, headers, "<html>hello</html>"), word, pause).await;
    };
    row(
        "401 Unauthorized",
        "",
        "refuses the bot's token (401)",
        None,
    )
    .await;
    row("403 Forbidden", "", "refuses this machine (403)", None).await;
    row("500 Internal", "", "answered 500", None).await;
    row("502 Bad Gateway", "", "answered 502", None).await;
    row(
        "503 Away",
        "retry-after: 120\r\n",
        "answered 503",
        Some(120.0),
    )
    .await;
    row("302 Found", "location: /login\r\n", "is not followed", None).await;
    row("201 Created", "", "answered 201", None).await;
    says(
        Does::Answers("HTTP/1.1 204 No\r\n\r\n".to_owned()),
        "answered 204",
        None,
    )
    .await;
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_told_apart() {
    let row = async |body: &str, word: &str| says(http("200 OK", "", body), word, None).await;
    row("<html>hello</html>", "it is no JSON").await;
    row(&GOOD[..40], "it is no JSON").await;
    row("", "it is empty").await;
    row(r#"{"url":"wss://g"}"#, "it has no session_start_limit").await;
    for (key, value) in [
        ("max_concurrency", "0"),
        ("max_concurrency", "99999999"),
        ("remaining", "-3"),
        ("reset_after", "-1"),
        ("shards", "\"Bot hunter2\""),
        ("shards", "4294967295"),
    ] {
        let word = format!("{key} is no whole number");
        says(with(key, value), &word, None).await;
    }
}

#[tokio::test]
async fn a_connection_that_ends_or_never_does_is_bounded() {
    says(Does::Floods, "longer than 65536 bytes", None).await;
    says(Does::Closes, "does not answer", None).await;
    says(Does::Resets, "does not answer", None).await;
    says(Does::IsSilent, "timed out", None).await;
    let other = Does::Answers("SSH-2.0-x\r\n".to_owned());
    says(other, "does not answer", None).await;
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{";
    says(Does::Answers(part.to_owned()), "does not answer", None).await;
}

#[tokio::test]
async fn nobody_there_is_named() {
    let away = Discord::new("http://127.0.0.1:1", &Secret::from(TOKEN.to_owned())).unwrap();
    let error = away.ask().await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error:?} {error}").contains(TOKEN));
}
