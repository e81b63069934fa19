//! Compiled seccomp filters, each made once per process.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{ContainerSpec, Error, Seccomp};
use crate::plan::{capability_set, default_filter, profile_filters};

static CACHE: OnceLock<Mutex<HashMap<u64, Vec<u64>>>> = OnceLock::new();

/// The filters of a container. A privileged container has none, whatever it asks for (as upstream).
pub(super) fn filters(spec: &ContainerSpec) -> Result<Vec<Vec<u64>>, Error> {
    if spec.privileged {
        return Ok(Vec::new());
    }
    match &spec.seccomp {
        Seccomp::Unconfined => Ok(Vec::new()),
        Seccomp::RuntimeDefault => {
            let capabilities = capability_set(&spec.cap_add, &spec.cap_drop, false)?;
            let mut cache = CACHE
                .get_or_init(Mutex::default)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(filter) = cache.get(&capabilities) {
                return Ok(vec![filter.clone()]);
            }
            let filter = default_filter(capabilities)?;
            cache.insert(capabilities, filter.clone());
            Ok(vec![filter])
        }
        Seccomp::Localhost(path) => {
            let shown = path.display();
            let text = std::fs::read(path).map_err(Error::io(format!("reading seccomp profile {shown}")))?;
            let profile = serde_json::from_slice(&text)
                .map_err(|e| Error::Invalid(format!("seccomp profile {shown}: {e}")))?;
            Ok(profile_filters(&profile)?)
        }
    }
}
