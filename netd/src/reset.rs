//! Removing every trace of a cluster from this host's network.

use crate::nft::{self, Family};
use crate::{Config, Error, link, settings};

/// Removes every interface, route, table and file that a daemon of this configuration made. Idempotent; goes on
/// after an error and returns all of them. Forwarding of packets stays enabled: others may rely on it.
pub async fn reset(config: &Config) -> Result<(), Vec<Error>> {
    // A malformed id could name somebody else's interface.
    settings::check_id(&config.id).map_err(|e| vec![e])?;
    let config = config.clone();
    match tokio::task::spawn_blocking(move || remove_all(&config)).await {
        Ok(errors) if errors.is_empty() => Ok(()),
        Ok(errors) => Err(errors),
        Err(error) => Err(vec![Error::Io {
            what: "reset".into(),
            source: error.into(),
        }]),
    }
}

fn remove_all(config: &Config) -> Vec<Error> {
    let mut errors: Vec<Error> = Vec::new();
    // Interfaces before tables: a pod's link without its rules would let the pod forge addresses.
    match link::owned_links(&config.id) {
        Ok(names) => {
            for name in names {
                errors.extend(link::remove(&name).err().map(|e| Error::Network(Box::new(e))));
            }
        }
        Err(error) => errors.push(Error::Network(Box::new(error))),
    }
    let ours = [nft::pods_table(&config.id), nft::services_table(&config.id)];
    for family in Family::ALL {
        match nft::tables(family) {
            Ok(tables) => {
                for table in tables.iter().filter(|t| ours.contains(t)) {
                    errors.extend(
                        nft::delete_table(table, family)
                            .err()
                            .map(|e| Error::Network(Box::new(e))),
                    );
                }
            }
            Err(error) => errors.push(Error::Network(Box::new(error))),
        }
    }
    errors.extend(remove_file(&config.socket, |p| std::fs::remove_file(p)));
    errors.extend(remove_file(&config.state_dir, |p| std::fs::remove_dir_all(p)));
    errors
}

fn remove_file(path: &std::path::Path, remove: fn(&std::path::Path) -> std::io::Result<()>) -> Option<Error> {
    match remove(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Some(Error::Io {
            what: format!("remove {}", path.display()),
            source,
        }),
        _ => None,
    }
}
