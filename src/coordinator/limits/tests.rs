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
            while socket.write_all(&[b' '; 65_536]).await.is_ok() {}
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

/// The rows of the table in docs/OPERATIONS.md: what is said, and how long Discord is left alone.
#[tokio::test]
async fn each_answer_says_what_it_is_and_none_shows_the_token() {
    let page = "<html>hello</html>";
    let json =
        |seconds: &str| format!(r#"{{"message":"x","retry_after":{seconds},"global":true}}"#);
    let rows = [
        (
            http("401 Unauthorized", "", "{}"),
            "refuses the bot's token (401)",
            None,
        ),
        (
            http("403 Forbidden", "", page),
            "refuses this machine (403)",
            None,
        ),
        (
            http("429 X", "retry-after: 3\r\n", "{}"),
            "for 3.0 s",
            Some(3.0),
        ),
        (
            http("429 X", "retry-after: 3\r\n", &json("7.5")),
            "for 7.5 s",
            Some(7.5),
        ),
        (
            http("429 X", "", &json("86400.0")),
            "for 24 h 0 min",
            Some(86_400.0),
        ),
        (
            http("429 X", "retry-after: 9999999999\r\n", ""),
            "for 24 h",
            Some(86_400.0),
        ),
        (
            http("429 X", "retry-after: 10800\r\n", ""),
            "for 3 h 0 min",
            Some(10_800.0),
        ),
        (
            http("429 X", "", "error code: 1015"),
            "does not say for how long",
            None,
        ),
        (
            http("429 X", "retry-after: -5\r\n", &json("0")),
            "does not say for how long",
            None,
        ),
        (
            http("429 X", "retry-after: NaN\r\n", &json("\"x\"")),
            "does not say",
            None,
        ),
        (http("500 Oh", "", "{}"), "answered 500", None),
        (http("502 Bad", "", page), "answered 502", None),
        (
            http("503 Away", "retry-after: 120\r\n", page),
            "answered 503",
            Some(120.0),
        ),
        (
            http("302 Found", "location: /login\r\n", ""),
            "is not followed",
            None,
        ),
        (http("204 Empty", "", ""), "answered 204", None),
        (http("200 OK", "", page), "it is no JSON", None),
        (http("200 OK", "", &GOOD[..40]), "it is no JSON", None),
        (http("200 OK", "", ""), "it is empty", None),
        (
            http("200 OK", "", r#"{"url":"wss://g"}"#),
            "it has no session_start_limit",
            None,
        ),
        (
            with("max_concurrency", "0"),
            "max_concurrency is no whole number",
            None,
        ),
        (
            with("max_concurrency", "99999999"),
            "max_concurrency is no",
            None,
        ),
        (
            with("remaining", "-3"),
            "remaining is no whole number",
            None,
        ),
        (
            with("reset_after", "-1"),
            "reset_after is no whole number",
            None,
        ),
        (
            with("shards", "\"Bot hunter2\""),
            "shards is no whole number",
            None,
        ),
        (
            with("shards", "4294967295"),
            "shards is no whole number",
            None,
        ),
        (Does::Floods, "longer than 65536 bytes", None),
        (Does::Closes, "does not answer", None),
        (Does::Resets, "does not answer", None),
        (Does::IsSilent, "timed out", None),
        (
            Does::Answers("SSH-2.0-x\r\n".to_owned()),
            "does not answer",
            None,
        ),
        (
            Does::Answers("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_owned()),
            "does not answer",
            None,
        ),
    ];
    for (does, word, pause) in rows {
        let error = ask(does).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(word), "{word:?} is not in {text:?}");
        assert_eq!(error.pause(), pause.map(Duration::from_secs_f64), "{text}");
        assert_eq!(error.is_final(), text.contains("401"), "{text}");
        assert!(!format!("{error:?} {text}").contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn nobody_there_is_named() {
    let away = Discord::new("http://127.0.0.1:1", &Secret::from(TOKEN.to_owned())).unwrap();
    let error = away.ask().await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error:?} {error}").contains(TOKEN));
}
