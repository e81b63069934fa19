//! `status.images` of the node: what the scheduler and `kubectl describe node` read, within upstream's bounds.

use k8s_openapi::api::core::v1::ContainerImage;
use keelson_runtime::image::Image;

/// Most images that a node's status names (upstream `--node-status-max-images`).
const IMAGES: usize = 50;
/// Most names of one image (upstream `MaxNamesPerImageInNodeStatus`).
const NAMES: usize = 5;

/// The largest images, largest first.
pub fn image_list(mut images: Vec<Image>) -> Vec<ContainerImage> {
    // Of one size always in one order: a status that only changes places would be sent again and again.
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let listed = images.into_iter().take(IMAGES).map(|image| ContainerImage {
        names: Some(image.digests.into_iter().chain(image.tags).take(NAMES).collect()),
        size_bytes: Some(image.size as i64),
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::default_trait_access,
        reason = "the configuration's type is of a crate that the kubelet does not name"
    )]
    #[test]
    fn the_largest_with_their_first_names() {
        let image = |number: u64| Image {
            id: format!("sha256:{number}"),
            tags: (0..9).map(|tag| format!("registry/app:{tag}")).collect(),
            digests: vec![format!("registry/app@sha256:{number}")],
            size: number / 2,
            config: Default::default(),
            layers: Vec::new(),
        };
        let listed = image_list((0..120).map(image).collect());
        assert_eq!(listed.len(), 50);
        assert_eq!(listed[0].size_bytes, Some(59));
        let names = listed[0].names.as_deref().unwrap();
        assert_eq!(names.len(), 5);
        assert_eq!(names[..2], ["registry/app@sha256:118", "registry/app:0"]);
        assert_eq!(image_list((0..120).rev().map(image).collect()), listed);
    }
}
