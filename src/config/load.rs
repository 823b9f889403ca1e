//! Layers: defaults, then a file, then the environment, then flags. Gathers every fault.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Env, Format as _, Toml},
    value::{Dict, Map, Value},
};

use super::{
    Config,
    fault::{Fault, Faults},
    section::{Reader, show},
    value::Secret,
    variables,
};

/// The file that is read where none is named, if it is there.
const DEFAULT_FILE: &str = "config.toml";

/// What the command line adds to file and environment.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config FILE`; it must be there.
    pub file: Option<PathBuf>,
    /// `--set section.key=value`, strongest of all.
    pub flags: Vec<(String, String)>,
}

/// Reads the configuration of this process.
///
/// # Errors
/// Every fault found, each with its key, value, origin and a way out.
pub fn load(sources: &Sources) -> Result<Config, Faults> {
    let mut figment = Figment::new();
    let file = sources
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    if sources.file.is_some() && !file.is_file() {
        let reason = "there is no such file".to_owned();
        return Err(Faults(vec![whole_file(&file, reason)]));
    }
    if file.is_file() {
        let toml = Toml::file_exact(&file);
        if let Err(error) = toml.data() {
            return Err(Faults(vec![whole_file(&file, error.kind.to_string())]));
        }
        figment = figment.merge(toml);
    }
    figment = figment
        .merge(
            Env::prefixed("SHARDFLEET_")
                .filter(|key| key.as_str().contains("__"))
                .split("__"),
        )
        .merge(known_variable("DISCORD_TOKEN", "discord.token"))
        .merge(known_variable("NATS_URL", "nats.url"))
        .merge(known_variable("NATS_CREDS", "nats.creds"));
    for (key, value) in &sources.flags {
        figment = figment.merge(Flag(key, value));
    }
    let misspelt = variables::misspelt(variables::of_this_process());
    match read(&figment) {
        Ok(config) if misspelt.is_empty() => Ok(config),
        Ok(_) => Err(Faults(misspelt)),
        Err(Faults(mut faults)) => {
            faults.extend(misspelt);
            Err(Faults(faults))
        }
    }
}

/// Reads a configuration from the text of a file alone.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str) -> Result<Config, Faults> {
    let toml = Toml::string(text);
    if let Err(error) = toml.data() {
        return Err(Faults(vec![whole_file(
            Path::new("the text"),
            error.kind.to_string(),
        )]));
    }
    read(&Figment::from(toml))
}

/// One `--set`, read as the environment is: what looks like a number is one.
struct Flag<'a>(&'a str, &'a str);

impl Provider for Flag<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("--set")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let Ok(value) = self.1.parse::<Value>();
        let dict = figment::util::nest(self.0, value).into_dict();
        Ok(Profile::Global.collect(dict.unwrap_or_default()))
    }
}

/// Reads the configuration from layers already merged.
pub(super) fn read(figment: &Figment) -> Result<Config, Faults> {
    let mut reader = Reader {
        figment,
        faults: Vec::new(),
    };
    let mut config = Config::read(&mut reader);
    unknown_keys(&mut reader);
    let Config { discord, nats, .. } = &mut config;
    let token = (
        "discord.token_file",
        &discord.token_file,
        "put the bot's token into it",
    );
    from_file(&mut discord.token, token, &mut reader);
    let password = (
        "nats.password_file",
        &nats.password_file,
        "put the password into it",
    );
    from_file(&mut nats.password, password, &mut reader);
    super::check::check(&config, &mut reader);
    if reader.faults.is_empty() {
        Ok(config)
    } else {
        Err(Faults(reader.faults))
    }
}

fn known_variable(variable: &'static str, key: &'static str) -> Env {
    Env::raw()
        .only(&[variable])
        .map(move |_| key.into())
        .split(".")
}

fn whole_file(file: &Path, reason: String) -> Fault {
    let hint = "the committed config.toml lists every key".to_owned();
    Fault {
        key: "--config".to_owned(),
        value: None,
        origin: file.display().to_string(),
        reason,
        hint,
    }
}

fn unknown_keys(reader: &mut Reader<'_>) {
    let data: Map<Profile, Dict> = reader.figment.data().unwrap_or_default();
    let sections = data.into_values().flatten();
    for (section, value) in sections {
        let Some((_, keys)) = Config::SECTIONS.iter().find(|(name, _)| *name == section) else {
            let known: Vec<_> = Config::SECTIONS.iter().map(|(name, _)| *name).collect();
            let hint = format!("one of {}", known.join(", "));
            reader.fault(&section, None, "there is no such section".to_owned(), &hint);
            continue;
        };
        let Value::Dict(_, entries) = value else {
            reader.fault(
                &section,
                Some(show(&value)),
                "not a section".to_owned(),
                "[section]",
            );
            continue;
        };
        for key in entries.keys().filter(|key| !keys.contains(&key.as_str())) {
            let path = format!("{section}.{key}");
            let hint = format!("one of {}", keys.join(", "));
            reader.fault(&path, None, "there is no such key".to_owned(), &hint);
        }
    }
}

/// A secret that stands in a file of its own: the key that names it, the file, what belongs into it.
fn from_file(
    secret: &mut Secret,
    (key, file, hint): (&str, &String, &str),
    reader: &mut Reader<'_>,
) {
    if file.is_empty() || !secret.is_empty() {
        return;
    }
    let named = Some(format!("{file:?}"));
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => *secret = Secret::from(text.trim().to_owned()),
        Ok(_) => reader.fault(key, named, "the file is empty".to_owned(), hint),
        Err(error) => {
            let reason = format!("cannot be read: {error}");
            reader.fault(key, named, reason, "a file that this user may read");
        }
    }
}
