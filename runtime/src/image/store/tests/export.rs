//! What is exported is what was imported.

use super::*;

fn exported(place: &Place, names: &[&str], form: Archive) -> PathBuf {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let path = place.path("exported.tar");
    place
        .store
        .export(&names, form, fs::File::create(&path).unwrap())
        .unwrap();
    path
}

#[test]
fn an_oci_archive_keeps_every_digest() {
    for pack in [plain, gzip, zstd] {
        let place = Place::new();
        let layout = place.layout();
        layout.index(&json!([layout.image(&[&base(), &top(), &base()], pack)]));
        let image = place.store.import(&layout.0, "example.com/shell:1").unwrap();
        let path = exported(&place, &["example.com/shell:1"], Archive::Oci);
        let once = fs::read(&path).unwrap();
        assert_eq!(
            fs::read(exported(&place, &[&image.id[7..]], Archive::Oci)).unwrap(),
            once
        );
        let other = place.other_store();
        let again = other.import(&path, "").unwrap();
        assert_eq!(
            (&again.id, &again.digests, &again.tags),
            (&image.id, &image.digests, &image.tags)
        );
        let manifest = |store: &ImageStore| store.inspect(&image.id).unwrap().unwrap().manifest;
        assert_eq!(manifest(&other), manifest(&place.store));
    }
}

#[test]
fn a_docker_archive_keeps_the_image_id() {
    for pack in [plain, gzip, zstd] {
        let place = Place::new();
        let layout = place.layout();
        layout.index(&json!([layout.image(&[&base(), &top()], pack)]));
        let image = place.store.import(&layout.0, "shell:1").unwrap();
        place.store.tag("shell:1", "shell:2").unwrap();
        let path = exported(&place, &["shell:1", "shell:2"], Archive::Docker);
        let again = place.other_store().import(&path, "").unwrap();
        assert_eq!((&again.id, again.tags.len()), (&image.id, 2));
        assert_eq!(fs::read(again.layers[1].join("etc/motd")).unwrap(), b"hello");
    }
}

#[test]
fn several_images_share_their_layers_in_one_archive() {
    let place = Place::new();
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base()], gzip)]));
    place.store.import(&layout.0, "one").unwrap();
    layout.index(&json!([layout.image(&[&base(), &top()], gzip)]));
    place.store.import(&layout.0, "two").unwrap();
    for (form, layers) in [(Archive::Oci, 6), (Archive::Docker, 2)] {
        let path = exported(&place, &["one", "two"], form);
        let mut archive = tar::Archive::new(fs::File::open(&path).unwrap());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .filter(|name| {
                if form == Archive::Oci {
                    name.len() > 60
                } else {
                    name.rsplit_once('.').is_some_and(|(_, end)| end == "tar")
                }
            })
            .collect();
        assert_eq!(names.len(), layers, "{names:?}");
        let other = place.other_store();
        assert_eq!(other.import(&path, "one").unwrap().layers.len(), 1);
        assert_eq!(other.import(&path, "two").unwrap().layers.len(), 2);
        let error = other.import(&path, "three").unwrap_err().to_string();
        assert!(error.contains("choose one of"), "{error}");
        fs::remove_dir_all(other.root).unwrap();
    }
}

#[test]
fn an_image_without_a_name_is_exported_by_its_id() {
    let place = Place::new();
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base()], gzip)]));
    let image = place.store.import(&layout.0, "shell").unwrap();
    layout.index(&json!([layout.image(&[&top()], gzip)]));
    place.store.import(&layout.0, "shell").unwrap();
    for form in [Archive::Oci, Archive::Docker] {
        let path = exported(&place, &[&image.id], form);
        assert_eq!(place.other_store().import(&path, "found").unwrap().id, image.id);
    }
    let absent = place
        .store
        .export(&["absent".into()], Archive::Oci, std::io::sink());
    assert!(matches!(absent, Err(Error::NotFound(_))));
}
