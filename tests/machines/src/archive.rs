//! Writes cpio archives as the kernel unpacks them (Documentation/driver-api/early-userspace/buffer-format.rst, "newc").
//! Archives may follow one another, so a kernel's modules are packed once and the init program is put behind them.

use std::io::{self, Write};

/// One member of an archive.
#[derive(Debug, Clone, Copy)]
pub enum Member<'a> {
    /// A directory, mode 755.
    Directory(&'a str),
    /// A program, mode 755.
    Program(&'a str, &'a [u8]),
    /// A character device with its major and minor number, mode 600.
    Character(&'a str, u32, u32),
}

/// Writes an archive of the members, with its end mark.
pub fn write(members: &[Member], to: &mut impl Write) -> io::Result<()> {
    for (index, member) in members.iter().enumerate() {
        let inode = index as u32 + 1;
        match *member {
            Member::Directory(name) => entry(to, inode, 0o040_755, (0, 0), name, &[])?,
            Member::Program(name, bytes) => entry(to, inode, 0o100_755, (0, 0), name, bytes)?,
            Member::Character(name, major, minor) => entry(to, inode, 0o020_600, (major, minor), name, &[])?,
        }
    }
    entry(to, 0, 0, (0, 0), "TRAILER!!!", &[])
}

fn entry(
    to: &mut impl Write,
    inode: u32,
    mode: u32,
    device: (u32, u32),
    name: &str,
    data: &[u8],
) -> io::Result<()> {
    let fields = [
        inode,
        mode,
        0,
        0,
        1,
        0,
        data.len() as u32,
        0,
        0,
        device.0,
        device.1,
        name.len() as u32 + 1,
        0,
    ];
    let mut bytes = b"070701".to_vec();
    for field in fields {
        write!(bytes, "{field:08x}")?;
    }
    bytes.extend(name.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    to.write_all(&bytes)?;
    to.write_all(data)?;
    to.write_all(&[0; 3][..data.len().next_multiple_of(4) - data.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_aligned_and_ended() {
        let mut bytes = Vec::new();
        let members = [
            Member::Directory("dev"),
            Member::Character("dev/null", 1, 3),
            Member::Program("init", b"12345"),
        ];
        write(&members, &mut bytes).unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<_> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|at| at % 4 == 0));
        // c_mode, c_rdevmajor and c_rdevminor of the device; c_filesize of the program.
        assert_eq!(&text[starts[1] + 14..starts[1] + 22], "00002180");
        assert_eq!(&text[starts[1] + 78..starts[1] + 94], "0000000100000003");
        assert_eq!(&text[starts[2] + 54..starts[2] + 62], "00000005");
        assert!(text[starts[3]..].contains("TRAILER!!!"));
    }
}
