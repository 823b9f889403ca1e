//! Variables of the environment: those that give keys their values, and those that look so and do not.

use std::ffi::OsString;

use super::{Config, fault::Fault, given::Given};

/// What ours begin with.
const PREFIX: &str = "SHARDFLEET_";

/// Names that others gave; they win over ours.
const KNOWN: [(&str, &str); 3] = [
    ("DISCORD_TOKEN", "discord.token"),
    ("NATS_URL", "nats.url"),
    ("NATS_CREDS", "nats.creds"),
];

/// What the environment gives, the strongest last. An empty variable gives nothing: that is how a compose
/// file hands on one that is not set.
pub(super) fn given(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> (Vec<Given>, Vec<Fault>) {
    let (mut given, mut faults) = (Vec::new(), Vec::new());
    for (variable, value) in variables {
        let Ok(variable) = variable.into_string() else {
            continue;
        };
        let Some(key) = key_of(&variable).filter(|_| !value.is_empty()) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => given.push(Given {
                origin: variable,
                key,
                value,
            }),
            Err(_) => faults.push(Fault {
                key,
                value: None,
                origin: variable,
                reason: "it is no text (UTF-8)".to_owned(),
                hint: "text, or a file".to_owned(),
            }),
        }
    }
    let rank = |given: &Given| KNOWN.iter().position(|(known, _)| *known == given.origin);
    given.sort_by(|a, b| (rank(a), &a.origin).cmp(&(rank(b), &b.origin)));
    (given, faults)
}

fn key_of(variable: &str) -> Option<String> {
    if let Some((_, key)) = KNOWN.iter().find(|(known, _)| *known == variable) {
        return Some((*key).to_owned());
    }
    let variable = variable.to_ascii_uppercase();
    let rest = variable.strip_prefix(PREFIX)?;
    rest.contains("__")
        .then(|| rest.to_lowercase().replace("__", "."))
}

/// A fault for each that names a key, but for its underscores: two stand between section and key.
pub(super) fn misspelt(variables: impl Iterator<Item = String>) -> Vec<Fault> {
    let told = |variable: String| {
        let key = meant(&variable)?;
        let meant = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        Some(Fault {
            key: variable,
            value: None,
            origin: "environment".to_owned(),
            reason: format!("is not read: {key} is the variable {meant}"),
            hint: meant,
        })
    };
    variables.filter_map(told).collect()
}

/// Those that name no key at all. An orchestrator may have made them from the name of a service.
pub fn unknown(variables: impl Iterator<Item = String>) -> Vec<String> {
    let stranger = |variable: &String| {
        variable.starts_with(PREFIX)
            && !variable.contains("__")
            && meant(variable).is_none()
            && !is_service(variable)
    };
    variables.filter(stranger).collect()
}

/// The names of this process's variables.
pub fn of_this_process() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

fn meant(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    if rest.contains("__") {
        return None;
    }
    let plain = |text: &str| text.replace('_', "").to_lowercase();
    let keys = Config::SECTIONS
        .iter()
        .flat_map(|(section, keys)| keys.iter().map(move |key| (section, key)));
    keys.filter(|(section, key)| plain(rest) == plain(&format!("{section}{key}")))
        .map(|(section, key)| format!("{section}.{key}"))
        .next()
}

/// As Kubernetes makes them of a service called `shardfleet…`.
fn is_service(variable: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"]
        .iter()
        .any(|word| variable.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> impl Iterator<Item = String> {
        [
            "SHARDFLEET_GATEWAY_LANES",
            "SHARDFLEET_GATEWAY__LANES",
            "SHARDFLEET_GATEWAY_MAXGROUPS",
            "SHARDFLEET_LANES",
            "SHARDFLEET_PORT_9600_TCP_ADDR",
            "SHARDFLEET_GATEWAY_SERVICE_HOST",
            "GATEWAY_LANES",
        ]
        .into_iter()
        .map(str::to_owned)
    }

    #[test]
    fn a_value_is_its_bytes_and_an_empty_one_is_none() {
        let variables = [
            ("NATS_URL", "nats://known"),
            ("SHARDFLEET_NATS__URL", "nats://own"),
            ("SHARDFLEET_NATS__PASSWORD", " 0123 "),
            ("SHARDFLEET_DISCORD__INTENTS", ""),
            ("DISCORD_TOKEN", ""),
            ("OTHER__KEY", "x"),
        ];
        let os = |text: &str| OsString::from(text);
        let (given, faults) = super::given(variables.map(|(k, v)| (os(k), os(v))).into_iter());
        let given: Vec<_> = given
            .iter()
            .map(|given| (given.key.as_str(), given.value.as_str()))
            .collect();
        assert_eq!(
            given,
            [
                ("nats.password", " 0123 "),
                ("nats.url", "nats://own"),
                ("nats.url", "nats://known"),
            ]
        );
        assert!(faults.is_empty());
    }

    #[test]
    fn a_variable_with_one_underscore_is_told_the_right_one() {
        let faults = misspelt(given());
        let hints: Vec<_> = faults.iter().map(|fault| fault.hint.as_str()).collect();
        assert_eq!(
            hints,
            [
                "SHARDFLEET_GATEWAY__LANES",
                "SHARDFLEET_GATEWAY__MAX_GROUPS"
            ]
        );
        assert!(faults[0].reason.contains("gateway.lanes"), "{}", faults[0]);
    }

    #[test]
    fn what_names_no_key_is_unknown_and_a_service_is_not_ours() {
        assert_eq!(unknown(given()), ["SHARDFLEET_LANES"]);
    }
}
