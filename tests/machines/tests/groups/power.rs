//! The power fails while objects and images are written; what was acknowledged is there afterwards.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use keelson_machines::{Disk, Kernel, Lab};

use crate::cluster::{Cluster, setup};
use crate::{DEFAULT, Test};

pub const TESTS: &[Test] = &[("power::cut_while_writing", DEFAULT, cut_while_writing)];

const DATA: &str = "/disk0/keelson";
const CONFIGMAPS: &str = "https://127.0.0.1:6443/api/v1/namespaces/default/configmaps";

/// A curl configuration that creates objects over one connection, and says each one that was acknowledged at once.
fn requests(count: u32) -> String {
    let mut text = String::new();
    for n in 0..count {
        let padding = "x".repeat((n as usize * 37) % 3000);
        let _ = write!(
            text,
            "url = \"{CONFIGMAPS}\"\ncacert = /run/certificate-authority\ncert = /run/client-certificate\n\
             key = /run/client-key\nheader = \"Content-Type: application/json\"\noutput = /dev/null\n\
             data = \"{{\\\"metadata\\\":{{\\\"name\\\":\\\"object-{n}\\\"}},\\\"data\\\":{{\\\"x\\\":\\\"{padding}\\\"}}}}\"\n\
             write-out = \"%{{stderr}}object-{n} %{{http_code}}\\n\"\nsilent\nnext\n"
        );
    }
    text
}

/// The words before ` 201` and after `imported `: what was acknowledged.
fn acknowledged(output: &str) -> (Vec<&str>, Vec<&str>) {
    // The last line may have been cut.
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = || whole.lines();
    (
        lines().filter_map(|line| line.strip_suffix(" 201")).collect(),
        lines()
            .filter_map(|line| line.strip_prefix("imported "))
            .collect(),
    )
}

fn cut_while_writing(lab: &Lab, kernel: Kernel) -> Result<()> {
    let disk = Disk::new(1024)?;
    let setup = setup(kernel)?.disk(&disk).text(requests(5000), "/opt/requests");
    let mut cluster = Cluster::start(lab, &setup, DATA)?;
    let prelude = cluster.prelude();
    cluster.machine.start(&format!(
        "{prelude} api GET /version >/dev/null
        {{ n=0; while keelson image import /opt/busybox.tar --tag copy:$n --data-dir {DATA} >/dev/null; do echo imported copy:$n; n=$((n + 1)); done }} &
        # curl writes its lines byte by byte, between the others'.
        curl -K /opt/requests 2>&1 | sed -u ''; echo '(all requests made)'; wait"
    ))?;
    let mut output = cluster.machine.wait_for("object-100 ", Duration::from_mins(2))?;
    if !output.contains("imported copy:1\n") {
        output += &cluster
            .machine
            .wait_for("imported copy:1\n", Duration::from_mins(2))?;
    }
    output += &cluster.machine.cut();
    let (objects, images) = acknowledged(&output);
    ensure!(objects.len() >= 100 && images.len() >= 2, "{output}");
    ensure!(!output.contains("all requests made"), "the power failed too late");

    let mut cluster = Cluster::start(lab, &setup, DATA)?;
    let names = cluster.script(&format!(
        "api GET {} | tr , '\\n' | sed -n 's/^.*\"name\":\"\\(object-[0-9]*\\)\".*$/\\1/p'",
        CONFIGMAPS.trim_start_matches("https://127.0.0.1:6443")
    ))?;
    let names: std::collections::BTreeSet<_> = names.lines().collect();
    let lost: Vec<_> = objects.iter().filter(|name| !names.contains(**name)).collect();
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let listed = cluster.script(&format!("keelson image ls --data-dir {DATA}"))?;
    for image in &images {
        // The table's columns are repository and tag, or one reference.
        let tag = image.trim_start_matches("copy:");
        ensure!(
            listed
                .lines()
                .any(|line| line.contains("copy") && line.split([' ', ':']).any(|word| word == tag)),
            "{image} is not in {listed}"
        );
    }
    eprintln!(
        "power on {}: {} objects and {} images were acknowledged, none lost; {} objects after the restart",
        cluster.machine.release(),
        objects.len(),
        images.len(),
        names.len()
    );
    // An image from before the failure still runs.
    cluster.script("api POST /api/v1/namespaces/default/pods '{\"metadata\":{\"name\":\"after\"},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"copy:0\",\"imagePullPolicy\":\"Never\",\"command\":[\"sleep\",\"1000\"]}]}}' >/dev/null
        until api GET /api/v1/namespaces/default/pods/after | grep -q '\"phase\":\"Running\"'; do
            n=$((${n:-0} + 1)); [ $n -lt 200 ] || exit 1
            sleep 0.3
        done")?;
    Ok(())
}
