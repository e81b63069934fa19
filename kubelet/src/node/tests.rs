use k8s_openapi::jiff::Timestamp;

use super::facts::{Facts, Pressure, go_arch, meminfo, os_image};
use super::status::{self, Health};

fn facts() -> Facts {
    Facts {
        cpus: 2,
        memory: 1 << 30,
        storage: 1000 << 20,
        hugepages: [("2Mi".to_owned(), 0)].into(),
        architecture: "amd64".into(),
        ..Facts::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn host_files() {
    assert_eq!(
        meminfo("MemFree: 1 kB\nMemTotal:       24676 kB\n", "MemTotal"),
        Some(24676 * 1024)
    );
    assert_eq!(meminfo("MemTotalX: 1 kB\n", "MemTotal"), None);
    assert_eq!(os_image("ID=debian\nPRETTY_NAME=\"Debian 13\"\n"), "Debian 13");
    assert_eq!(go_arch("x86_64"), "amd64");
}

#[test]
fn allocatable_keeps_a_reserve() {
    let amounts = status::allocatable_millis(&facts());
    assert_eq!(amounts["cpu"], 2000);
    assert_eq!(amounts["memory"], ((1 << 30) - (100 << 20)) * 1000);
    assert_eq!(amounts["hugepages-2Mi"], 0);
}

#[test]
fn conditions_in_upstreams_words() {
    let good = status::conditions(
        &Health {
            listening: true,
            ..Health::default()
        },
        &[],
        at(1),
    );
    let ready = good.iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!(ready.reason.as_deref(), Some("KubeletReady"));
    assert_eq!(ready.message.as_deref(), Some("kubelet is posting ready status"));
    assert_eq!(
        status::transition_events(&[], &good),
        [
            "NodeHasSufficientMemory",
            "NodeHasNoDiskPressure",
            "NodeHasSufficientPID",
            "NodeReady"
        ]
    );
    let bad = Health {
        listening: true,
        network_problem: Some("netd is away".into()),
        pressure: Pressure {
            memory: true,
            disk: false,
        },
        limits_problem: Some("no cpu".into()),
    };
    let later = status::conditions(&bad, &good, at(9));
    assert_eq!(
        status::transition_events(&good, &later),
        ["NodeHasInsufficientMemory", "NodeNotReady"]
    );
    let disk = later.iter().find(|c| c.type_ == "DiskPressure").unwrap();
    assert_eq!(
        disk.last_transition_time.as_ref().unwrap().0,
        at(1),
        "unchanged conditions keep their time"
    );
    assert!(
        later
            .iter()
            .any(|c| c.type_ == "LimitsNotEnforced" && c.status == "True")
    );
}
