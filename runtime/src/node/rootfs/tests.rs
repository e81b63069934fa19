use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::{Child, Command, Stdio};

use super::*;

/// Layers on disk, lowest first, and a container's directory.
struct Place {
    directory: tempfile::TempDir,
    layers: Vec<PathBuf>,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            layers: Vec::new(),
        }
    }

    fn layer(&mut self, files: &[(&str, &str)]) -> PathBuf {
        let path = self.directory.path().join(format!("layer{}", self.layers.len()));
        std::fs::create_dir(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        self.layers.push(path.clone());
        path
    }

    fn stack(&self) -> Vec<&Path> {
        self.layers.iter().rev().map(PathBuf::as_path).collect()
    }

    /// A container's directory with what a mount needs.
    fn container(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.join("upper")).unwrap();
        std::fs::create_dir_all(path.join("work")).unwrap();
        path
    }
}

fn below(root: &OwnedFd, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", root.as_raw_fd()))
}

fn read(root: &OwnedFd, name: &str) -> String {
    std::fs::read_to_string(below(root, name)).unwrap()
}

/// Both ways to say which layers there are, and the options that they set.
#[test]
fn layers_in_one_option_stack_as_they_do_one_by_one() {
    let mut place = Place::new();
    place.layer(&[("both", "1"), ("lower", "1")]);
    place.layer(&[("both", "2"), ("higher", "2")]);
    std::fs::create_dir(place.layers[0].join("directory")).unwrap();
    std::fs::write(place.layers[0].join("large"), vec![1; 1 << 20]).unwrap();
    for one_by_one in [true, false] {
        let container = place.container(&format!("{one_by_one}"));
        let (upper, work) = (container.join("upper"), container.join("work"));
        let root = if one_by_one {
            match overlay::one_by_one(&place.stack(), &upper, &work) {
                Ok(root) => root,
                // Before Linux 6.5.
                Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => continue,
                Err(error) => panic!("{error}"),
            }
        } else {
            private::joined(&place.stack(), &container).unwrap()
        };
        assert_eq!(
            (read(&root, "both"), read(&root, "lower"), read(&root, "higher")),
            ("2".into(), "1".into(), "2".into())
        );
        // redirect_dir: a directory of the image can be renamed.
        std::fs::rename(below(&root, "directory"), below(&root, "renamed")).unwrap();
        // metacopy: a new mode does not copy the contents.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(below(&root, "large"), mode).unwrap();
        assert!(std::fs::metadata(upper.join("large")).unwrap().blocks() * 512 < 1 << 20);
        assert_eq!(read(&root, "large").len(), 1 << 20);
        assert!(upper.join("renamed").is_dir());
        assert!(
            std::fs::symlink_metadata(upper.join("directory"))
                .unwrap()
                .file_type()
                .is_char_device()
        );
        // volatile says so in the work directory.
        assert!(work.join("work/incompat/volatile").is_dir());
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(
        !mounts.contains(place.directory.path().to_str().unwrap()),
        "{mounts}"
    );
}

/// As many as an image may have, the way that kernels before 6.5 need, with paths as long as the store's.
#[test]
fn one_option_takes_127_layers() {
    let mut place = Place::new();
    for number in 0..127 {
        place.layer(&[(&number.to_string(), "x"), ("last", &number.to_string())]);
    }
    let container = place.container("container");
    let root = private::joined(&place.stack(), &container).unwrap();
    assert_eq!(std::fs::read_dir(below(&root, "")).unwrap().count(), 128);
    assert_eq!(read(&root, "last"), "126");
    let many: Vec<PathBuf> = (0..300).map(|n| format!("/proc/self/fd/{n}").into()).collect();
    let error = overlay::joined(&many, Path::new("u"), Path::new("w")).unwrap_err();
    assert!(error.to_string().contains("300 layers are too many"), "{error}");
}

#[test]
fn layers_with_long_paths() {
    let mut place = Place::new();
    let long = place.directory.path().join("l".repeat(200)).join("m".repeat(200));
    std::fs::create_dir_all(&long).unwrap();
    std::fs::write(long.join("file"), "deep").unwrap();
    place.layers.push(long);
    let container = place.container("container");
    for root in [
        mount(&place.layers, &container, None).unwrap(),
        private::joined(&place.stack(), &place.container("joined")).unwrap(),
    ] {
        assert_eq!(read(&root, "file"), "deep");
    }
}

/// A process in a user namespace of its own that maps 0.. to 100000..
struct Holder(Child);

impl Holder {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--user", "sh", "-c", "echo ready; cat >/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        for map in ["uid_map", "gid_map"] {
            let path = format!("/proc/{}/{map}", child.id());
            let mut file = File::options().write(true).open(path).unwrap();
            file.write_all(b"0 100000 65536").unwrap();
        }
        Self(child)
    }

    fn namespace(&self) -> File {
        File::open(format!("/proc/{}/ns/user", self.0.id())).unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn layers_show_the_ids_of_a_user_namespace() {
    let mut place = Place::new();
    let lower = place.layer(&[("roots", "r"), ("users", "u")]);
    place.layer(&[("higher", "h")]);
    std::os::unix::fs::chown(lower.join("users"), Some(1000), Some(1001)).unwrap();
    let holder = Holder::new();
    let namespace = holder.namespace();
    let container = place.directory.path().join("container");
    std::fs::create_dir(&container).unwrap();
    let mapping = IdMapping {
        namespace: namespace.as_fd(),
        root: (100_000, 100_000),
    };
    let root = mount(&place.layers, &container, Some(&mapping)).unwrap();
    let owner = |name: &str| {
        let metadata = std::fs::metadata(below(&root, name)).unwrap();
        (metadata.uid(), metadata.gid())
    };
    assert_eq!(owner(""), (100_000, 100_000));
    assert_eq!(owner("roots"), (100_000, 100_000));
    assert_eq!(owner("higher"), (100_000, 100_000));
    assert_eq!(owner("users"), (101_000, 101_001));
    // The container's root changes a file of the image: copied up with the ids it has outside.
    std::fs::write(below(&root, "roots"), "changed").unwrap();
    let copied = std::fs::metadata(container.join("upper/roots")).unwrap();
    assert_eq!((copied.uid(), copied.gid()), (100_000, 100_000));
    assert_eq!(read(&root, "roots"), "changed");
    let original = std::fs::metadata(lower.join("roots")).unwrap();
    assert_eq!((original.uid(), original.gid()), (0, 0), "the layer is as it was");
    // Nothing is left of the mounts that were needed on the way.
    assert_eq!(std::fs::read_dir(&container).unwrap().count(), 2);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(
        !mounts.contains(place.directory.path().to_str().unwrap()),
        "{mounts}"
    );
    // One layer more than fits into a value of 255 bytes works as well.
    for number in 0..40 {
        place.layer(&[(&format!("n{number}"), "x")]);
    }
    let many = mount(&place.layers, &place.container("many"), Some(&mapping)).unwrap();
    assert_eq!(read(&many, "n39"), "x");
}

#[test]
fn a_layer_that_went_is_named() {
    let place = Place::new();
    let container = place.container("container");
    let gone = place.directory.path().join("gone");
    let error = mount(&[gone], &container, None).unwrap_err().to_string();
    assert!(error.contains("gone"), "{error}");
    assert!(mount(&[], &container, None).is_err());
}
