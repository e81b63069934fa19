//! Attacks on the real program: from containers, their images, their neighbours and their callers. Every row of
//! `security.md` under "Container escape and runtime confusion" and "Images and volumes" has its file here; README.md
//! beside this file says which. Needs root.
//!
//! The attacks on the command line are made on crun as well (`peer` beside `keelson`), and a `control` shows for each
//! family that the attack works where nobody defends.

mod bundle;
#[path = "../node/busybox.rs"]
mod busybox;
mod payload;
mod runtimes;
#[path = "../node/support.rs"]
mod support;
mod witness;

mod cgroups;
mod descriptors;
mod directories;
mod disk;
mod executable;
mod host_paths;
mod image_paths;
mod images;
mod layers;
mod manifests;
mod masks_and_console;
mod mount_targets;
mod null_device;
mod oversized;
mod privileges;
mod procfs;
mod propagation;
mod signals_and_limits;
mod sockets;
mod sub_paths;
mod swaps;
mod users;
mod written_files;
