//! Every place where the simulator reads what it did not write, in one: for a fuzzer, which looks for
//! bytes that one of them does not survive.

use axum::http::HeaderValue;

use super::{body, emit, fault, frame, plan::Plan};

/// Knocks at each with the same bytes. Returns how many understood them.
pub fn knock(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let form = HeaderValue::from_static("multipart/form-data; boundary=x");
    let path = body::segments(&text);
    let understood = [
        frame::parse(bytes).is_ok(),
        fault::parse(bytes).is_ok(),
        emit::parse(bytes).is_ok(),
        body::read(None, bytes).is_ok(),
        body::read(Some(&form), bytes).is_ok(),
        !body::bucket("GET", &path).is_empty(),
        Plan::parse(&text).is_ok_and(goes_on),
    ];
    understood
        .into_iter()
        .filter(|understood| *understood)
        .count()
}

/// Carries a few steps of a plan out, but for what they do.
fn goes_on(mut plan: Plan) -> bool {
    for _ in 0..10 {
        let Some((_, index)) = plan.next() else {
            break;
        };
        plan.advance(index);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_and_a_path_are_understood() {
        // As a fault, as a JSON body, as a path of one segment.
        assert_eq!(knock(br#"{"fault":"drop"}"#), 3);
        // As no body at all (twice), as an empty path.
        assert_eq!(knock(b""), 3);
    }
}
