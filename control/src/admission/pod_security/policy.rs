//! Which standard a namespace demands: by its labels, or by the cluster's defaults where it has none.
//!
//! Source: `k8s.io/pod-security-admission/api`.

use std::fmt::{self, Display, Formatter};

/// One of the standards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

/// A standard as of a version of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub level: Level,
    /// Minor version; [`LATEST`] if none is pinned.
    pub minor: u32,
}

/// The version of what is not pinned.
pub const LATEST: u32 = u32::MAX;

/// The standards of the three modes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policies {
    pub enforce: Policy,
    pub audit: Policy,
    pub warn: Policy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            level: Level::default(),
            minor: LATEST,
        }
    }
}

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.minor {
            LATEST => write!(f, "{level}:latest"),
            minor => write!(f, "{level}:v1.{minor}"),
        }
    }
}

impl Policy {
    /// A level by its name.
    pub fn level(text: &str) -> Result<Level, &'static str> {
        match text {
            "privileged" => Ok(Level::Privileged),
            "baseline" => Ok(Level::Baseline),
            "restricted" => Ok(Level::Restricted),
            _ => Err("must be one of privileged, baseline, restricted"),
        }
    }

    /// The minor version of `latest` or `v1.x`.
    pub fn version(text: &str) -> Result<u32, &'static str> {
        let minor = text.strip_prefix("v1.").filter(|minor| {
            // No sign, and no zeros in front.
            minor.bytes().all(|digit| digit.is_ascii_digit()) && (*minor == "0" || !minor.starts_with('0'))
        });
        match (text, minor.and_then(|minor| minor.parse().ok())) {
            ("latest", _) => Ok(LATEST),
            (_, Some(minor)) => Ok(minor),
            _ => Err("must be \"latest\" or \"v1.x\""),
        }
    }
}

impl Policies {
    /// What the labels demand (`label` looks one up without its prefix). What is not understood counts as the strictest
    /// where it would enforce, and as nothing elsewhere.
    pub fn of<'a>(label: impl Fn(&str) -> Option<&'a str>, defaults: &Self) -> Self {
        let read = |mode: &str, default: Policy, mistaken: Level| Policy {
            level: label(mode).map_or(default.level, |text| Policy::level(text).unwrap_or(mistaken)),
            minor: label(&format!("{mode}-version"))
                .map_or(default.minor, |text| Policy::version(text).unwrap_or(LATEST)),
        };
        let mut policies = Self {
            enforce: read("enforce", defaults.enforce, Level::Restricted),
            audit: read("audit", defaults.audit, Level::Privileged),
            warn: read("warn", defaults.warn, Level::Privileged),
        };
        // Who asks for enforcement is warned of as much, if nothing else is said.
        if label("warn").is_none()
            && label("enforce").is_some()
            && policies.enforce.level > policies.warn.level
        {
            policies.warn.level = policies.enforce.level;
            if label("warn-version").is_none() {
                policies.warn.minor = policies.enforce.minor;
            }
        }
        policies
    }

    /// Whether nothing is forbidden.
    pub fn is_privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn]
            .iter()
            .all(|policy| policy.level == Level::Privileged)
    }

    /// Whether both mean the same: of what forbids nothing, the version does not matter.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let same = |one: Policy, other: Policy| {
            one == other || (one.level == Level::Privileged && other.level == Level::Privileged)
        };
        same(self.enforce, other.enforce) && same(self.audit, other.audit) && same(self.warn, other.warn)
    }
}
