//! One view on the four kinds of volume whose content the kubelet writes.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, SecretProjection, Volume, VolumeProjection,
};

/// The sources of such a volume.
#[derive(Debug, Clone)]
pub(super) struct Projected {
    /// In order; later ones win.
    pub list: Vec<VolumeProjection>,
    /// Mode of files that name none.
    pub default_mode: u32,
    /// Kept in memory: it may hold secrets.
    pub in_memory: bool,
}

/// The default of `defaultMode`.
const DEFAULT_MODE: i32 = 0o644;

/// `None` for other kinds of volume.
pub(super) fn sources(volume: &Volume) -> Option<Projected> {
    let (list, mode, in_memory) = if let Some(map) = &volume.config_map {
        let source = ConfigMapProjection {
            name: map.name.clone(),
            items: map.items.clone(),
            optional: map.optional,
        };
        (
            vec![VolumeProjection {
                config_map: Some(source),
                ..Default::default()
            }],
            map.default_mode,
            false,
        )
    } else if let Some(secret) = &volume.secret {
        let source = SecretProjection {
            name: secret.secret_name.clone().unwrap_or_default(),
            items: secret.items.clone(),
            optional: secret.optional,
        };
        (
            vec![VolumeProjection {
                secret: Some(source),
                ..Default::default()
            }],
            secret.default_mode,
            true,
        )
    } else if let Some(downward) = &volume.downward_api {
        let source = DownwardAPIProjection {
            items: downward.items.clone(),
        };
        (
            vec![VolumeProjection {
                downward_api: Some(source),
                ..Default::default()
            }],
            downward.default_mode,
            false,
        )
    } else if let Some(projected) = &volume.projected {
        (
            projected.sources.clone().unwrap_or_default(),
            projected.default_mode,
            true,
        )
    } else {
        return None;
    };
    Some(Projected {
        list,
        default_mode: mode.unwrap_or(DEFAULT_MODE) as u32,
        in_memory,
    })
}
