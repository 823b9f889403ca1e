//! Layers: defaults, then a file, then the environment, then flags. Gathers every fault.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Value},
};

use super::{
    Config,
    fault::{Fault, Faults},
    files,
    given::Given,
    section::{Reader, show},
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
    let (given, mut strange) = variables::given(std::env::vars_os());
    for given in given {
        figment = figment.merge(given);
    }
    for (key, value) in &sources.flags {
        figment = figment.merge(Given {
            origin: "--set".to_owned(),
            key: key.clone(),
            value: value.clone(),
        });
    }
    strange.extend(variables::misspelt(variables::of_this_process()));
    match read(&figment) {
        Ok(config) if strange.is_empty() => Ok(config),
        Ok(_) => Err(Faults(strange)),
        Err(Faults(mut faults)) => {
            faults.extend(strange);
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

/// Reads the configuration from layers already merged.
pub(super) fn read(figment: &Figment) -> Result<Config, Faults> {
    let mut reader = Reader {
        figment,
        faults: Vec::new(),
        from_files: Vec::new(),
    };
    let mut config = Config::read(&mut reader);
    unknown_keys(&mut reader);
    files::read(&mut config, &mut reader);
    // White space around them is nobody's: what pastes a token or a seed often brings some.
    for word in [&mut config.discord.token, &mut config.nats.nkey] {
        *word = word.expose().trim().to_owned().into();
    }
    super::check::check(&config, &mut reader);
    if reader.faults.is_empty() {
        Ok(config)
    } else {
        Err(Faults(reader.faults))
    }
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
