//! Listening for queries over UDP and TCP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::Zone;
use super::forward::{InFlight, Upstreams};
use super::message::{Answer, Question, Received, answer, read};
use super::resolv;
use crate::cidr::Cidr;
use crate::service::Cluster;

/// TCP connections at a time.
const MAX_CONNECTIONS: usize = 128;
/// How long a TCP client may be silent.
const IDLE: Duration = Duration::from_secs(10);

/// Who may ask: pods and the node itself. An open resolver would answer strangers' forged questions.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Pods of the cluster.
    pub(crate) cluster_cidrs: Vec<Cidr>,
    /// Pods of this node, when known.
    pub(crate) pod_cidrs: watch::Receiver<Vec<Cidr>>,
}

impl Access {
    fn allows(&self, client: IpAddr, ourselves: IpAddr) -> bool {
        let client = client.to_canonical();
        client.is_loopback()
            || client == ourselves
            || self.cluster_cidrs.iter().any(|c| c.contains(client))
            || self.pod_cidrs.borrow().iter().any(|c| c.contains(client))
            || is_local(client)
    }
}

/// Whether the node has this address. Asked for rare clients only: programs of the node that chose their source.
fn is_local(ip: IpAddr) -> bool {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return false;
    };
    interfaces.filter_map(|i| i.address).any(|address| {
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let v6 = address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
        v4.or(v6) == Some(ip)
    })
}

/// Cluster DNS on its address.
#[derive(Debug)]
pub(crate) struct Server {
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    resolv_conf: PathBuf,
    servers: watch::Sender<Vec<SocketAddr>>,
    context: Arc<Context>,
}

#[derive(Debug)]
struct Context {
    zone: Zone,
    ip: IpAddr,
    cluster: Arc<RwLock<Cluster>>,
    upstreams: Upstreams,
    access: Access,
    in_flight: InFlight,
}

impl Server {
    /// Binds port 53 of `ip`, which the node must have already.
    pub(crate) async fn bind(
        ip: IpAddr,
        zone: Zone,
        cluster: Arc<RwLock<Cluster>>,
        resolv_conf: PathBuf,
        access: Access,
    ) -> io::Result<Self> {
        let servers = watch::Sender::new(Vec::new());
        let upstreams = Upstreams::new(servers.subscribe())?;
        Ok(Self {
            udp: Arc::new(UdpSocket::bind((ip, 53)).await?),
            tcp: TcpListener::bind((ip, 53)).await?,
            resolv_conf,
            servers,
            context: Arc::new(Context {
                zone,
                ip,
                cluster,
                upstreams,
                access,
                in_flight: InFlight::default(),
            }),
        })
    }

    /// Serves for ever; everything ends when this future is dropped.
    pub(crate) async fn run(self) {
        let ip = self.context.ip;
        tokio::join!(
            resolv::follow(&self.resolv_conf, ip, &self.servers),
            serve_udp(self.udp, Arc::clone(&self.context)),
            serve_tcp(self.tcp, self.context),
        );
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, context: Arc<Context>) {
    let mut forwarded = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        while forwarded.try_join_next().is_some() {}
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error for an earlier answer; nothing else comes here.
                debug!(%error, "DNS receive");
                continue;
            }
        };
        match context.first(&buffer[..length], client.ip()) {
            First::Nothing => {}
            First::Send(bytes) => send(&socket, &bytes, client).await,
            First::Encode(question, message) => {
                if let Some(bytes) = question.encode(message, true) {
                    send(&socket, &bytes, client).await;
                }
            }
            First::Ask(question, begun) => {
                let (socket, context) = (Arc::clone(&socket), Arc::clone(&context));
                forwarded.spawn(async move {
                    let message = context.ask(&question, begun, client.ip()).await;
                    if let Some(bytes) = question.encode(message, true) {
                        send(&socket, &bytes, client).await;
                    }
                });
            }
        }
    }
}

async fn send(socket: &UdpSocket, bytes: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(bytes, client).await {
        debug!(%client, %error, "DNS send");
    }
}

async fn serve_tcp(listener: TcpListener, context: Arc<Context>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return; // never closed
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, client)) => {
                let context = Arc::clone(&context);
                connections.spawn(async move {
                    if let Err(error) = connection(stream, client.ip(), &context).await {
                        debug!(%client, %error, "DNS connection");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "DNS accept");
                // Out of descriptors or memory: give the kernel time to get some back.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(mut stream: TcpStream, client: IpAddr, context: &Context) -> io::Result<()> {
    loop {
        let read = async {
            let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut buffer).await?;
            io::Result::Ok(buffer)
        };
        let Ok(buffer) = tokio::time::timeout(IDLE, read).await? else {
            return Ok(()); // the client is done
        };
        let answer = match context.first(&buffer, client) {
            First::Nothing => None,
            First::Send(bytes) => Some(bytes),
            First::Encode(question, message) => question.encode(message, false),
            First::Ask(question, begun) => {
                question.encode(context.ask(&question, begun, client).await, false)
            }
        };
        let Some(answer) = answer else {
            return Ok(());
        };
        let mut framed = u16::try_from(answer.len())
            .map_err(io::Error::other)?
            .to_be_bytes()
            .to_vec();
        framed.extend(answer);
        tokio::time::timeout(IDLE, stream.write_all(&framed)).await??;
    }
}

/// What can be said at once.
enum First {
    Nothing,
    Send(Vec<u8>),
    Encode(Question, Message),
    /// Others must be asked; with what is known so far, and about which name when not the question's own.
    Ask(Question, Option<(Message, hickory_proto::rr::Name)>),
}

impl Context {
    fn first(&self, bytes: &[u8], client: IpAddr) -> First {
        if !self.access.allows(client, self.ip) {
            // Not even a refusal: the sender's address may be forged.
            return First::Nothing;
        }
        let question = match read(bytes) {
            Received::Ignore => return First::Nothing,
            Received::Refuse(bytes) => return First::Send(bytes),
            Received::Question(question) => question,
        };
        let cluster = self.cluster.read().unwrap_or_else(PoisonError::into_inner);
        match answer(&question, &self.zone, &cluster) {
            Answer::Ready(message) => First::Encode(question, message),
            Answer::Ask(message, name) => First::Ask(question, Some((message, name))),
            Answer::Forward => First::Ask(question, None),
        }
    }

    async fn ask(
        &self,
        question: &Question,
        begun: Option<(Message, hickory_proto::rr::Name)>,
        client: IpAddr,
    ) -> Message {
        let failure = || question.response(ResponseCode::ServFail);
        let Some(_ticket) = self.in_flight.enter(client) else {
            return failure();
        };
        let (prefix, name) = match begun {
            Some((message, name)) => (message.answers, name),
            None => (Vec::new(), question.query.name.clone()),
        };
        match self.upstreams.ask(question, &name).await {
            Some(message) => question.relay(message, &prefix),
            None => failure(),
        }
    }
}
