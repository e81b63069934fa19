//! Block I/O: weights and throttles.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::Setting;

/// `io.weight` (1 to 10000) for cgroup v1's weight (10 to 1000).
fn weight(v1: u16) -> u64 {
    1 + (u64::from(v1).clamp(10, 1000) - 10) * 9999 / 990
}

/// The BFQ scheduler takes cgroup v1's weights as they are, in a file of its own.
fn weighted(device: &str, v1: u16) -> Setting {
    Setting {
        preferred: Some(("io.bfq.weight".to_owned(), format!("{device}{v1}"))),
        ..Setting::new("io.weight", format!("{device}{}", weight(v1)))
    }
}

pub(super) fn settings(io: &LinuxBlockIo, all: &mut Vec<Setting>) {
    all.extend(io.weight().filter(|w| *w != 0).map(|w| weighted("", w)));
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight().filter(|w| *w != 0) {
            all.push(weighted(
                &format!("{}:{} ", device.major(), device.minor()),
                weight,
            ));
        }
    }
    let mut throttle = |key: &str, devices: &Option<Vec<LinuxThrottleDevice>>| {
        for device in devices.iter().flatten() {
            let rate = match device.rate() {
                0 => "max".to_owned(),
                n => n.to_string(),
            };
            all.push(Setting::new(
                "io.max",
                format!("{}:{} {key}={rate}", device.major(), device.minor()),
            ));
        }
    };
    throttle("rbps", io.throttle_read_bps_device());
    throttle("wbps", io.throttle_write_bps_device());
    throttle("riops", io.throttle_read_iops_device());
    throttle("wiops", io.throttle_write_iops_device());
}
