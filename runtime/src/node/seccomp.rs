//! Compiled seccomp filters, each made once per process.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{ContainerSpec, Error, Seccomp};
use crate::launch::SeccompFilter;
use crate::plan::{capability_set, default_filter, profile_filter};

static CACHE: OnceLock<Mutex<HashMap<u64, SeccompFilter>>> = OnceLock::new();

/// The filter of a container. A privileged container has none, whatever it asks for (as upstream).
pub(super) fn filter(spec: &ContainerSpec) -> Result<Option<SeccompFilter>, Error> {
    if spec.privileged {
        return Ok(None);
    }
    match &spec.seccomp {
        Seccomp::Unconfined => Ok(None),
        Seccomp::RuntimeDefault => {
            let capabilities = capability_set(&spec.cap_add, &spec.cap_drop, false)?;
            let mut cache = CACHE
                .get_or_init(Mutex::default)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(filter) = cache.get(&capabilities) {
                return Ok(Some(filter.clone()));
            }
            let filter = default_filter(capabilities)?;
            cache.insert(capabilities, filter.clone());
            Ok(Some(filter))
        }
        Seccomp::Localhost(path) => {
            let shown = path.display();
            let text = std::fs::read(path).map_err(Error::io(format!("reading seccomp profile {shown}")))?;
            let profile = serde_json::from_slice(&text)
                .map_err(|e| Error::Invalid(format!("seccomp profile {shown}: {e}")))?;
            let filter = profile_filter(&profile)?;
            if filter.listener.is_some() {
                let why = format!("seccomp profile {shown}: a pod cannot have a listener");
                return Err(Error::Invalid(why));
            }
            Ok(Some(filter))
        }
    }
}
