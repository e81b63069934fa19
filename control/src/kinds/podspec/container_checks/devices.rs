//! Volumes that a container sees as devices (`ValidateVolumeDevices`).

use std::collections::{HashMap, HashSet};
use std::fmt::Arguments;

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{items, text};

/// Complaints about `volumeDevices` of a container in a pod with these volumes, which are those that nothing is wrong with.
pub(super) fn check(
    errors: &mut Vec<FieldError>,
    volumes: &HashMap<&str, &Value>,
    container: &Value,
    path: Arguments<'_>,
) {
    let devices = items(container, "/volumeDevices");
    if devices.is_empty() {
        return;
    }
    let mounted = |field: &str| -> HashSet<&str> {
        let mounts = items(container, "/volumeMounts").iter();
        mounts.map(|mount| text(mount, field)).collect()
    };
    let (names, paths) = (mounted("/name"), mounted("/mountPath"));
    let (mut seen, mut places) = (HashSet::new(), HashSet::new());
    for (index, device) in devices.iter().enumerate() {
        let (name, place) = (text(device, "/name"), text(device, "/devicePath"));
        let (at_name, at_place) = (
            format!("{path}.volumeDevices[{index}].name"),
            format!("{path}.volumeDevices[{index}].devicePath"),
        );
        if name.is_empty() {
            errors.push(FieldError::required(at_name.as_str(), ""));
        }
        if !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::invalid(at_name.as_str(), name, "must be unique"));
        }
        match volumes.get(name) {
            None => errors.push(FieldError::not_found(at_name.as_str(), name)),
            Some(volume) if volume["persistentVolumeClaim"].is_null() && volume["ephemeral"].is_null() => {
                let detail =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(FieldError::invalid(at_name.as_str(), name, detail));
            }
            Some(_) => {}
        }
        if place.is_empty() {
            errors.push(FieldError::required(at_place.as_str(), ""));
        }
        if places.contains(place) {
            errors.push(FieldError::invalid(at_place.as_str(), place, "must be unique"));
        }
        if place.split('/').any(|part| part == "..") {
            let detail = "can not contain backsteps ('..')";
            errors.push(FieldError::invalid(at_place.as_str(), place, detail));
        } else {
            places.insert(place);
        }
        if !name.is_empty() && names.contains(name) {
            let detail = "must not already exist in volumeMounts";
            errors.push(FieldError::invalid(at_name, name, detail));
        }
        if !place.is_empty() && paths.contains(place) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.push(FieldError::invalid(at_place, place, detail));
        }
    }
}
