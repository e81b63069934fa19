//! A control plane alone, to try with kubectl by hand: `cargo run -p keelson-control --example serve -- DIR [PORT [ETCD]]`.
//! With the URL of an etcd it stores there, and leaves controllers and scheduler to whoever holds their Leases: upstream's
//! own, say.
//!
//! What upstream's own scripts expect of addresses can be had by environment: `SERVICE_CIDR` is the range of Services
//! (an IPv4 range that ends with a zero), and `CLUSTER_CIDR` that of pods, empty for nodes without one.
//!
//! Ends with Ctrl-C. The kubeconfig is `DIR/admin.kubeconfig`; the directory is left as it is, so that a second run
//! goes on with the same cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use keelson_control::store::Servers;
use keelson_control::{Config, Error, pki};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let port: u16 = arguments.next().unwrap_or_else(|| "16443".to_owned()).parse()?;
    let etcd = arguments.next();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let services = std::env::var("SERVICE_CIDR").unwrap_or_else(|_| "10.43.0.0/16".to_owned());
    let pods = std::env::var("CLUSTER_CIDR").unwrap_or_else(|_| "10.42.0.0/16".to_owned());
    let (first, _) = services.split_once('/').ok_or("SERVICE_CIDR is no range")?;
    let dns = u32::from(first.parse::<Ipv4Addr>()?) + 10;
    let config = Config {
        data_dir: dir.join("control"),
        pki_dir: dir.join("pki"),
        listen: address,
        advertise: address,
        service_cidrs: vec![services],
        cluster_cidrs: Some(pods).filter(|range| !range.is_empty()).into_iter().collect(),
        dns_ip: IpAddr::V4(Ipv4Addr::from(dns)),
        cluster_domain: "cluster.local".to_owned(),
        node_ports: (30000, 32767),
        etcd: etcd.map(|url| Servers::new(vec![url])),
        encryption: keelson_control::encryption::Settings::default(),
        admission_control_config_file: None,
        dials_loopback: false,
    };
    let request = pki::Request {
        api_sans: Vec::new(),
        service_cidrs: config.service_cidrs.clone(),
        cluster_domain: config.cluster_domain.clone(),
        node_name: "node".to_owned(),
        node_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    pki::ensure(&config.pki_dir, &request)?;
    let kubeconfig = dir.join("admin.kubeconfig");
    let url = format!("https://{address}");
    pki::write_kubeconfig(&kubeconfig, &url, &config.pki_dir, "admin", "kubernetes-admin")?;
    println!("export KUBECONFIG={}", kubeconfig.display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let run = keelson_control::run(config, async {
        // Without signals there is no orderly end, which the store survives.
        let _ = tokio::signal::ctrl_c().await;
    });
    runtime.block_on(run).map_err(|error: Error| error.into())
}
