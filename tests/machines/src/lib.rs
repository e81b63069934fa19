//! Virtual machines for tests: what the host cannot show (cgroup v2 limits, other kernels, power loss, a cut link) is shown
//! in a QEMU machine with a Debian kernel, booted in about two seconds even without hardware virtualization.
//!
//! [`Lab`] holds what machines boot from (made by `rootfs/vm/build`). A [`Machine`] is booted from a [`Setup`], runs
//! scripts, hands out files, and ends when dropped. [`Switch`] is an Ethernet segment between machines, in this process:
//! the host's network is not touched. [`programs`] builds test programs of the workspace to put inside.
//!
//! Inside, `machine-init` is the first process; it and [`Machine`] speak the frames of [`wire`] over a virtio port.

pub mod archive;
mod console;
mod disk;
mod error;
mod lab;
mod machine;
pub mod programs;
mod qemu;
mod setup;
pub mod switch;
pub mod wire;
mod work;

pub use disk::Disk;
pub use error::Error;
pub use lab::{Accelerator, Kernel, Lab};
pub use machine::{Machine, Run};
pub use setup::Setup;
pub use switch::{Port, Switch};
