//! `keelson snapshot status`, in the columns and names of `etcdctl snapshot status`.

use std::fmt::Write;

use anyhow::{Context, Result};
use keelson_control::store::snapshot::{self, Summary};
use serde_json::json;

use super::args::Status;
use crate::args::Output;
use crate::commands::output::print;

/// Checks the whole file, and shows what is in it.
pub fn run(args: &Status) -> Result<()> {
    let file = std::fs::File::open(&args.file).with_context(|| format!("opening {}", args.file.display()))?;
    let summary =
        snapshot::verify(std::io::BufReader::new(file)).with_context(|| args.file.display().to_string())?;
    print(&match args.output {
        Output::Table => table(&summary),
        Output::Json => {
            let report = json!({
                "hash": summary.hash(),
                "revision": summary.revision,
                "totalKey": summary.objects,
                "totalSize": summary.bytes,
            });
            format!("{report}\n")
        }
    });
    Ok(())
}

fn table(summary: &Summary) -> String {
    let cells = [
        ("HASH", format!("{:08x}", summary.hash())),
        ("REVISION", summary.revision.to_string()),
        ("TOTAL KEYS", summary.objects.to_string()),
        ("TOTAL SIZE", size(summary.bytes)),
    ];
    let mut line = String::from("+");
    let mut head = String::from("|");
    let mut row = String::from("|");
    for (name, value) in cells {
        let width = name.len().max(value.len());
        line.push_str(&"-".repeat(width + 2));
        line.push('+');
        // Writing into a String cannot fail.
        let _ = write!(head, " {name:^width$} |");
        let _ = write!(row, " {value:>width$} |");
    }
    format!("{line}\n{head}\n{line}\n{row}\n{line}\n")
}

/// A size in decimal units, as etcdctl writes it: `2.1 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else if value < 9.95 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_columns_are_those_of_etcdctl() {
        let sizes = [0, 999, 1000, 2_100_000, 25_000, 20_480, 999_600, 123_456_789_000];
        let texts = [
            "0 B", "999 B", "1.0 kB", "2.1 MB", "25 kB", "20 kB", "1.0 MB", "123 GB",
        ];
        assert_eq!(sizes.map(size), texts);
        let mut sha256 = [0; 32];
        sha256[..4].copy_from_slice(&[0xfe, 0x01, 0xcf, 0x57]);
        let summary = Summary {
            sha256,
            revision: 10,
            taken: 0,
            objects: 7,
            bytes: 2_100_000,
        };
        let expected = "\
+----------+----------+------------+------------+
|   HASH   | REVISION | TOTAL KEYS | TOTAL SIZE |
+----------+----------+------------+------------+
| fe01cf57 |       10 |          7 |     2.1 MB |
+----------+----------+------------+------------+
";
        assert_eq!(table(&summary), expected);
    }
}
