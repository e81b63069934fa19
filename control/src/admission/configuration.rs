//! `AdmissionConfiguration` of `apiserver.config.k8s.io/v1`: the configurations of plug-ins, by their names.
//!
//! Source: `k8s.io/apiserver/pkg/admission/config.go`.

use std::path::{Path, PathBuf};

use keelson_api::status::FieldError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{pod_security, resource_quota};

/// What is configured of plug-ins.
#[derive(Debug, Default)]
pub struct Plugins {
    /// `PodSecurity`.
    pub pod_security: pod_security::Settings,
    /// `ResourceQuota`.
    pub limited: resource_quota::Limited,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A file cannot be read.
    #[error("unable to read admission control configuration from {path:?} [{source}]")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// It is not an `AdmissionConfiguration`.
    #[error("error decoding admission control configuration {path:?}: {why}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A plug-in cannot use its part.
    #[error("couldn't init admission plugin {plugin:?}: {why}")]
    Plugin {
        /// Its name.
        plugin: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl From<ConfigurationError> for crate::Error {
    fn from(error: ConfigurationError) -> Self {
        Self::Config(error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    name: String,
    /// Of a file with the configuration, relative to this one.
    #[serde(default)]
    path: String,
    /// The configuration itself, which counts more.
    #[serde(default)]
    configuration: Option<Value>,
}

/// Names of the plug-ins that have a configuration.
const CONFIGURED: [&str; 2] = [pod_security::NAME, resource_quota::NAME];

impl Plugins {
    /// Reads the file of `--admission-control-config-file`; without one, everything is as it is by default.
    pub fn read(file: Option<&Path>) -> Result<Self, ConfigurationError> {
        let Some(path) = file else {
            return Ok(Self::default());
        };
        let found: File = yaml(&text(path)?).map_err(|why| ConfigurationError::Decode {
            path: path.to_owned(),
            why,
        })?;
        let known = ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];
        if found.kind != "AdmissionConfiguration" || !known.contains(&found.api_version.as_str()) {
            let why = unregistered(&found.kind, &found.api_version);
            return Err(ConfigurationError::Decode {
                path: path.to_owned(),
                why,
            });
        }
        for plugin in &found.plugins {
            if !CONFIGURED.contains(&plugin.name.as_str()) {
                tracing::warn!(
                    plugin = plugin.name,
                    "this admission plug-in has no configuration; what is configured has no effect"
                );
            }
        }
        let wrong = |plugin| move |why| ConfigurationError::Plugin { plugin, why };
        let name = pod_security::NAME;
        let pod_security = match part(path, &found.plugins, name)? {
            Some(part) => part.and_then(pod_security::Settings::new).map_err(wrong(name))?,
            None => pod_security::Settings::default(),
        };
        let name = resource_quota::NAME;
        let limited = match part(path, &found.plugins, name)? {
            Some(part) => part.and_then(resource_quota::Limited::new).map_err(wrong(name))?,
            None => resource_quota::Limited::default(),
        };
        Ok(Self {
            pod_security,
            limited,
        })
    }
}

/// The configuration of a plug-in, if there is one.
#[allow(clippy::type_complexity)] // two kinds of errors: of files, and of what is in them
fn part(
    file: &Path,
    plugins: &[Plugin],
    name: &str,
) -> Result<Option<Result<Value, String>>, ConfigurationError> {
    let Some(plugin) = plugins.iter().find(|plugin| plugin.name == name) else {
        return Ok(None);
    };
    if let Some(value) = &plugin.configuration {
        return Ok(Some(Ok(value.clone())));
    }
    if plugin.path.is_empty() {
        return Ok(None);
    }
    // An absolute path replaces the directory.
    let path = file.parent().unwrap_or(Path::new("")).join(plugin.path.as_str());
    Ok(Some(yaml(&text(&path)?)))
}

fn text(path: &Path) -> Result<String, ConfigurationError> {
    std::fs::read_to_string(path).map_err(|source| ConfigurationError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A null is as good as nothing, as everywhere in Kubernetes' files.
fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut value: Value = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    drop_nulls(&mut value);
    T::deserialize(value).map_err(|error| error.to_string())
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// All that is wrong, as upstream lists it.
pub fn all(errors: &[FieldError]) -> String {
    match errors {
        [one] => one.to_string(),
        all => {
            let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("[{}]", texts.join(", "))
        }
    }
}

/// Upstream's words for a kind that is not known.
pub fn unregistered(kind: &str, version: &str) -> String {
    format!("no kind {kind:?} is registered for version {version:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Plugins, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Plugins::read(Some(&dir.path().join("a"))).map_err(|error| {
            let text = error.to_string();
            text.replace(&*dir.path().to_string_lossy(), "")
        })
    }

    const HEAD: &str = "{apiVersion: apiserver.config.k8s.io/v1, kind: AdmissionConfiguration";

    #[test]
    fn configurations_are_in_the_file_or_in_one_beside_it() {
        let own = "{apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, \
                   exemptions: {namespaces: [x]}}";
        let inline = format!("{HEAD}, plugins: [{{name: PodSecurity, configuration: {own}}}]}}");
        let beside = format!("{HEAD}, plugins: [{{name: Other}}, {{name: PodSecurity, path: b}}]}}");
        for files in [
            vec![("a", inline.as_str())],
            vec![("a", beside.as_str()), ("b", own)],
        ] {
            assert!(read(&files).unwrap().pod_security.is_exempt_namespace("x"));
        }
        for nothing in [
            format!("{HEAD}}}"),
            format!("{HEAD}, plugins: [{{name: PodSecurity}}]}}"),
        ] {
            let plugins = read(&[("a", &nothing)]).unwrap();
            assert_eq!(plugins.pod_security, pod_security::Settings::default());
        }
        assert_eq!(
            Plugins::read(None).unwrap().pod_security,
            pod_security::Settings::default()
        );
    }

    #[test]
    fn what_cannot_be_used_ends_the_start() {
        let error = |files: &[(&str, &str)]| read(files).unwrap_err();
        assert!(error(&[]).starts_with("unable to read admission control configuration from \"/a\" ["));
        let beside = format!("{HEAD}, plugins: [{{name: PodSecurity, path: b}}]}}");
        assert!(
            error(&[("a", &beside)])
                .starts_with("unable to read admission control configuration from \"/b\" [")
        );
        assert!(
            error(&[("a", "{apiVersion: v1, kind: Pod}")])
                .ends_with("no kind \"Pod\" is registered for version \"v1\"")
        );
        // As upstream reads it: what is unknown is nothing, and so is a null.
        for harmless in [
            "plugin: []",
            "plugins: ",
            "plugins: [{name: PodSecurity, path: null}]",
        ] {
            assert!(read(&[("a", &format!("{HEAD}, {harmless}}}"))]).is_ok());
        }
        let wrong = "{apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, \
                     defaults: {enforce: strict}}";
        assert_eq!(
            error(&[("a", &beside), ("b", wrong)]),
            "couldn't init admission plugin \"PodSecurity\": defaults.enforce: Invalid value: \"strict\": must be one of \
             privileged, baseline, restricted"
        );
    }
}
