//! Signals by name.

use super::PlanError;

/// Number of a signal by name (`SIGTERM`, `TERM`, `15`, `RTMIN+3`).
pub fn signal_number(name: &str) -> Result<i32, PlanError> {
    let invalid = || PlanError(format!("unknown signal {name:?}"));
    if let Ok(number) = name.parse::<i32>() {
        return if (1..=64).contains(&number) {
            Ok(number)
        } else {
            Err(invalid())
        };
    }
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    for (base, first) in [("RTMIN", 34), ("RTMAX", 64)] {
        if let Some(rest) = bare.strip_prefix(base) {
            let offset = if rest.is_empty() {
                0
            } else {
                rest.parse().map_err(|_| invalid())?
            };
            let number: i32 = first + offset;
            return if (34..=64).contains(&number) {
                Ok(number)
            } else {
                Err(invalid())
            };
        }
    }
    let signal: nix::sys::signal::Signal = format!("SIG{bare}").parse().map_err(|_| invalid())?;
    Ok(signal as i32)
}
