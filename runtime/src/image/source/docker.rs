//! Docker archives: `manifest.json` beside configurations and layers (`docker save`).

use super::{Files, Resolved, assemble};
use crate::image::manifest::DockerEntry;
use crate::image::{Error, Reference, limits};

pub(super) fn read(
    manifest: &[u8],
    files: &mut Files,
    wanted: Option<&Reference>,
) -> Result<Resolved, Error> {
    let entries: Vec<DockerEntry> =
        serde_json::from_slice(manifest).map_err(|source| Error::document("manifest.json", &source))?;
    let entry = choose(&entries, wanted)?;
    if entry.layers.len() > limits::LAYERS {
        return Err(Error::Invalid(format!("it has {} layers", entry.layers.len())));
    }
    let config = files
        .document(&entry.config)?
        .ok_or_else(|| Error::Invalid(format!("it lacks its configuration {:.200?}", entry.config)))?;
    let layers = entry
        .layers
        .iter()
        .map(|name| files.blob(name))
        .collect::<Result<_, _>>()?;
    assemble(config, layers, entry.repo_tags.clone().unwrap_or_default())
}

fn choose<'a>(entries: &'a [DockerEntry], wanted: Option<&Reference>) -> Result<&'a DockerEntry, Error> {
    let tags = |entry: &'a DockerEntry| entry.repo_tags.iter().flatten();
    let is_wanted =
        |tag: &String| wanted.is_some_and(|wanted| tag.parse::<Reference>().is_ok_and(|tag| tag == *wanted));
    if let Some(entry) = entries.iter().find(|entry| tags(entry).any(is_wanted)) {
        return Ok(entry);
    }
    match entries {
        [entry] => Ok(entry),
        [] => Err(Error::Invalid("it holds no image".to_owned())),
        _ => {
            let names: Vec<_> = entries.iter().flat_map(tags).collect();
            Err(Error::Invalid(format!(
                "it holds several images; choose one of {names:.500?}"
            )))
        }
    }
}
