//! QEMU's command line. The settings are those that hold up under software emulation; see the comments.

use std::path::{Path, PathBuf};

use crate::{Accelerator, Setup};

/// What a command line needs beside the setup.
#[derive(Debug)]
pub(crate) struct Parts {
    pub accelerator: Accelerator,
    /// QEMU's major version.
    pub version: u32,
    pub vmlinux: PathBuf,
    pub initrd: PathBuf,
    pub root: PathBuf,
    pub layer: PathBuf,
    /// Socket of the agent's virtio port.
    pub agent: PathBuf,
    /// Ports on the host's loopback, one for each forwarded port.
    pub host_ports: Vec<u16>,
}

/// Kernel parameters: nothing that waits, checks itself or mitigates; a failure ends the machine at once.
const APPEND: &str = "console=ttyS0 quiet panic=-1 oops=panic psi=1 tsc=reliable no_timer_check mitigations=off apparmor=0 \
    audit=0 nowatchdog cryptomgr.notests rcupdate.rcu_expedited=1 8250.nr_uarts=1 i8042.noaux random.trust_cpu=on nokaslr";

/// Arguments of `qemu-system-x86_64`.
pub(crate) fn arguments(setup: &Setup, parts: &Parts) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |words: &[&str]| all.extend(words.iter().map(|word| (*word).to_owned()));
    add(&[
        "-machine",
        "pc",
        "-smp",
        "2",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
    ]);
    match parts.accelerator {
        Accelerator::Kvm => add(&["-accel", "kvm", "-cpu", "host"]),
        // One thread: with two, guests crash when their kernel patches its own code.
        Accelerator::Emulation => add(&["-accel", "tcg,thread=single", "-cpu", cpu(parts.version)]),
    }
    add(&["-m", &setup.memory.to_string(), "-serial", "stdio"]);
    add(&["-kernel", &text(&parts.vmlinux), "-initrd", &text(&parts.initrd)]);
    add(&["-append", &format!("{APPEND}{}", setup.append)]);
    for file in [&parts.root, &parts.layer] {
        add(&[
            "-drive",
            &format!("file={},if=virtio,format=raw,readonly=on", text(file)),
        ]);
    }
    for disk in &setup.disks {
        // The guest's flushes reach the host's page cache and no further: it is the machine's power that fails, not ours.
        add(&[
            "-drive",
            &format!("file={},if=virtio,format=raw,cache=unsafe", text(disk)),
        ]);
    }
    add(&["-device", "virtio-serial-pci"]);
    add(&[
        "-chardev",
        &format!("socket,id=agent,path={},server=off", text(&parts.agent)),
    ]);
    add(&["-device", "virtserialport,chardev=agent,name=keelson.agent"]);
    for (n, (port, _)) in setup.links.iter().enumerate() {
        let path = text(port.path());
        add(&[
            "-netdev",
            &format!("stream,id=link{n},server=off,addr.type=unix,addr.path={path}"),
        ]);
        add(&[
            "-device",
            &format!(
                "virtio-net-pci,netdev=link{n},mac={},romfile=",
                mac(port.number())
            ),
        ]);
    }
    if !setup.forwards.is_empty() {
        let mut user = "user,id=host,restrict=on".to_owned();
        for (guest, host) in setup.forwards.iter().zip(&parts.host_ports) {
            user.extend([
                ",hostfwd=tcp:127.0.0.1:",
                &host.to_string(),
                "-:",
                &guest.to_string(),
            ]);
        }
        add(&["-netdev", &user, "-device", "virtio-net-pci,netdev=host,romfile="]);
    }
    all
}

/// Version 7 has no 16-byte compare and exchange that holds under emulation; 5-level page tables are slow in all.
fn cpu(version: u32) -> &'static str {
    if version < 10 {
        "max,-cx16,-la57"
    } else {
        "max,-la57"
    }
}

/// Address of a switch's port: a locally administered one in QEMU's range.
fn mac(port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    format!("52:54:00:6b:{high:02x}:{low:02x}")
}

/// A path in QEMU's options, where a comma is written twice.
fn text(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernel;

    fn parts(accelerator: Accelerator, version: u32) -> Parts {
        Parts {
            accelerator,
            version,
            vmlinux: "/i/vmlinux".into(),
            initrd: "/i/initrd".into(),
            root: "/i/root.erofs".into(),
            layer: "/w/a,b/layer.erofs".into(),
            agent: "/w/agent".into(),
            host_ports: vec![40_001],
        }
    }

    fn line(setup: &Setup, parts: &Parts) -> String {
        arguments(setup, parts).join(" ")
    }

    #[test]
    fn emulation_and_virtualization() {
        let setup = Setup::new(Kernel::Linux6_1);
        let old = line(&setup, &parts(Accelerator::Emulation, 7));
        assert!(
            old.contains("-accel tcg,thread=single -cpu max,-cx16,-la57"),
            "{old}"
        );
        let new = line(&setup, &parts(Accelerator::Emulation, 10));
        assert!(new.contains("-cpu max,-la57"), "{new}");
        let kvm = line(&setup, &parts(Accelerator::Kvm, 7));
        assert!(
            kvm.contains("-accel kvm -cpu host") && !kvm.contains("tcg"),
            "{kvm}"
        );
        assert!(
            !kvm.contains("-netdev") && kvm.contains("a,,b/layer.erofs"),
            "{kvm}"
        );
    }

    #[test]
    fn forwards_stay_on_loopback() {
        let setup = Setup::new(Kernel::Linux6_12)
            .forward(6443)
            .memory(256)
            .append("hugepages=4");
        let line = line(&setup, &parts(Accelerator::Emulation, 7));
        assert!(
            line.contains("restrict=on,hostfwd=tcp:127.0.0.1:40001-:6443"),
            "{line}"
        );
        assert!(line.contains("-m 256") && line.contains(" hugepages=4"), "{line}");
    }

    #[test]
    fn ports_have_addresses_of_their_own() {
        assert_eq!(mac(0x0102), "52:54:00:6b:01:02");
        assert_ne!(mac(1), mac(256));
    }
}
