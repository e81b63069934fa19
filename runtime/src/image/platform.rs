//! What an image runs on (OCI image spec, image-index.md#image-index-property-descriptions), in Go's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// Operating system, processor and its variant: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, ...
    pub architecture: String,
    /// `v7`, `v8`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// This machine.
    pub fn host() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: go_name(std::env::consts::ARCH).to_owned(),
            variant: None,
        }
    }

    /// How well an image for `offered` runs here: 0 is best, `None` not at all. A lower variant of the same processor
    /// will do, the nearest one best; no variant stands for the architecture's first one.
    pub(super) fn rank(&self, offered: &Self) -> Option<u32> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        let (own, other) = (self.level(), offered.level());
        own.checked_sub(other)
    }

    /// The number of the variant.
    fn level(&self) -> u32 {
        let default = match self.architecture.as_str() {
            "arm64" => 8,
            "arm" => 7,
            _ => 1,
        };
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty());
        variant.map_or(default, |variant| {
            // Of a variant that is no number we know only that we have not got it.
            variant.trim_start_matches('v').parse().unwrap_or(u32::MAX)
        })
    }
}

fn go_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i386" | "i686" => "386",
        "armhf" => "arm",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Strangers' words, for messages: no more than fits into one.
        write!(f, "{:.40}/{:.40}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant:.40}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Invalid(format!("{text:.100?} is no platform such as linux/arm64/v8"));
        let word = |part: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
            part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(fits)
        };
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        if !parts.iter().all(|part| word(part)) {
            return Err(bad());
        }
        let (os, architecture, variant) = match parts[..] {
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(bad()),
        };
        Ok(Self {
            os: os.to_owned(),
            architecture: go_name(architecture).to_owned(),
            variant: variant.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_where() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        for (own, offered, rank) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/amd64/v1", Some(0)),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/amd64", "linux/amd64/strange", None),
        ] {
            assert_eq!(platform(own).rank(&platform(offered)), rank, "{offered} on {own}");
        }
        assert_eq!(platform("x86_64"), platform("linux/amd64"));
        assert_eq!(platform("linux/aarch64/v8").to_string(), "linux/arm64/v8");
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/am d64", "linux/../x"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
