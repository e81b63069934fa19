//! Where credentials and certificates come from.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use keelson_runtime::image::{Access, Credentials, DockerConfig};

use super::args::Registry;

/// Longest password that is read.
const LONGEST: u64 = 64 << 10;

/// What the options and files say for an image.
pub fn access(args: &Registry, image: &str) -> Result<Access> {
    Ok(Access {
        credentials: credentials(args, image)?,
        tls_verify: args.tls_verify,
        authorities: args.ca.clone(),
    })
}

fn credentials(args: &Registry, image: &str) -> Result<Credentials> {
    if let Some(creds) = &args.creds {
        let Some((user, password)) = creds.split_once(':') else {
            bail!(
                "--creds wants USER:PASSWORD; to keep the password out of the process list, use --username with --password-stdin"
            );
        };
        return Ok(Credentials::Password(user.to_owned(), password.to_owned()));
    }
    if let Some(user) = &args.username {
        let mut password = String::new();
        std::io::stdin()
            .take(LONGEST)
            .read_to_string(&mut password)
            .context("reading the password")?;
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        return Ok(Credentials::Password(user.clone(), password));
    }
    for (path, required) in files(args) {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let config = DockerConfig::parse(&bytes).with_context(|| path.display().to_string())?;
        if let Some(found) = config.credentials(image) {
            return Ok(found);
        }
        if let Some(helper) = config.helper(image) {
            eprintln!(
                "keelson: {} leaves the credentials for {image} to docker-credential-{helper}, which is not run here; use \
                 --creds or --authfile",
                path.display()
            );
        }
    }
    Ok(Credentials::Anonymous)
}

/// Files that may have credentials, and whether they must be there.
fn files(args: &Registry) -> Vec<(PathBuf, bool)> {
    if let Some(path) = &args.authfile {
        return vec![(path.clone(), true)];
    }
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = variable("REGISTRY_AUTH_FILE") {
        return vec![(path, true)];
    }
    let podman = variable("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from("/run/containers/0/auth.json"),
        |runtime| runtime.join("containers/auth.json"),
    );
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    [
        Some(podman),
        docker.map(|directory| directory.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .map(|path| (path, false))
    .collect()
}
