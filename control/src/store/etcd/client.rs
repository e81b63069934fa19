//! Talking to etcd: one connection at a time, to another server when it fails.
//!
//! The difference that matters is whether a request that failed may have been carried out. One that was never sent is
//! tried on the next server, and so is one that only reads; of any other the caller learns [`Failure::Unknown`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use super::Servers;
use super::failure::{Failed, Failure, Fault, chain, classify, fault, no_answer, not_ready};
use super::proto::{
    CompactionRequest, CompactionResponse, LeaseGrantRequest, LeaseGrantResponse, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, WatchResponse,
};

/// How long a connection may take to be made, and TLS on it as long again.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a request may take, on all servers together, usually. etcd itself gives up after seven seconds.
const REQUEST: Duration = Duration::from_secs(10);
/// How long one of several servers may take to answer a [glance](Client::glance) before another one is asked.
const HUNG: Duration = Duration::from_secs(3);
/// Between tries of a request that no server took.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a silent connection is asked whether it lives. etcd does not allow it more often than every 5 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The client.
#[derive(Debug)]
pub struct Client {
    endpoints: Vec<Endpoint>,
    state: Mutex<State>,
    /// How long a request may take.
    pub limit: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Which endpoint comes next, or is in use.
    at: usize,
    connection: Option<Connection>,
}

/// A connection to one of the servers. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Connection {
    channel: Channel,
    broken: Arc<watch::Sender<bool>>,
}

impl Connection {
    /// Resolves when a request has found it broken: what still waits for it waits in vain.
    pub async fn broken(&self) {
        // The sender is in self.
        drop(self.broken.subscribe().wait_for(|broken| *broken).await);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.broken, &other.broken)
    }
}

/// Whether a request may be carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Yes,
    /// And it is answered at once by a server that is well.
    Soon,
    No,
}

impl Client {
    /// Reads certificates; connects later.
    pub fn new(servers: &Servers) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let mut tls = ClientTlsConfig::new().timeout(CONNECT);
        if let Some(path) = &servers.ca_file {
            tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
        }
        match (&servers.cert_file, &servers.key_file) {
            (Some(certificate), Some(key)) => {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            (None, None) => {}
            _ => return Err("a certificate for etcd needs its key, and a key its certificate".to_owned()),
        }
        if servers.urls.is_empty() {
            return Err("no etcd server is named".to_owned());
        }
        let endpoints = servers.urls.iter().map(|url| {
            let wrong = |error: tonic::transport::Error| {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                format!(
                    "etcd server {url:?}: {}",
                    source.unwrap_or_else(|| error.to_string())
                )
            };
            let endpoint = Endpoint::from_shared(url.clone())
                .map_err(wrong)?
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE / 2)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20);
            match endpoint.uri().scheme_str() {
                Some("https") => endpoint.tls_config(tls.clone()).map_err(wrong),
                Some("http") => Ok(endpoint),
                _ => Err(format!(
                    "etcd server {url:?}: a URL with http or https is expected"
                )),
            }
        });
        Ok(Self {
            endpoints: endpoints.collect::<Result<_, _>>()?,
            state: Mutex::default(),
            limit: REQUEST,
        })
    }

    /// The connection, made if there is none: each server is tried once, until the deadline.
    async fn connection(&self, deadline: Instant) -> Result<Connection, Failure> {
        let made = timeout_at(deadline, self.connect()).await;
        let made = made.unwrap_or_else(|_| Err("no server takes a connection".to_owned()));
        made.map_err(Failure::NotSent)
    }

    async fn connect(&self) -> Result<Connection, String> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        let mut reasons = Vec::new();
        for _ in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[state.at];
            // Also the end of what has no limit of its own: asking for the address of a name.
            match timeout(2 * CONNECT, endpoint.connect()).await {
                Ok(Ok(channel)) => {
                    let broken = Arc::new(watch::Sender::new(false));
                    let connection = Connection { channel, broken };
                    state.connection = Some(connection.clone());
                    tracing::debug!(server = %endpoint.uri(), "connected to etcd");
                    return Ok(connection);
                }
                Ok(Err(error)) => reasons.push(format!("{}: {}", endpoint.uri(), chain(&error))),
                Err(_) => reasons.push(format!("{}: no connection in time", endpoint.uri())),
            }
            // Whoever comes next, or after this was given up, begins with another one.
            state.at = (state.at + 1) % self.endpoints.len();
        }
        Err(reasons.join("; "))
    }

    /// Gives up a connection; the next request goes to another server. The only server there is keeps its connection for
    /// as long as it answers.
    pub async fn give_up(&self, connection: &Connection, fault: Fault) {
        if fault == Fault::Unwell && self.endpoints.len() == 1 {
            return;
        }
        let mut state = self.state.lock().await;
        if state
            .connection
            .as_ref()
            .is_some_and(|current| current.is(connection))
        {
            state.connection = None;
            state.at = (state.at + 1) % self.endpoints.len();
        }
        drop(state);
        if fault == Fault::Broken {
            connection.broken.send_replace(true);
        }
    }

    /// Whether requests go to another server than the one of this connection.
    pub async fn has_left(&self, connection: &Connection) -> bool {
        let state = self.state.lock().await;
        state
            .connection
            .as_ref()
            .is_some_and(|current| !current.is(connection))
    }

    /// Reads keys. Without a revision the answer is linearizable.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        self.call("/etcdserverpb.KV/Range", request, Repeat::Yes).await
    }

    /// Reads a key or two, as [`Self::range`]: a server that does not answer soon hangs.
    pub async fn glance(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        self.call("/etcdserverpb.KV/Range", request, Repeat::Soon).await
    }

    /// Runs a transaction.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Failure> {
        self.call("/etcdserverpb.KV/Txn", request, Repeat::No).await
    }

    /// Forgets what was before a revision.
    pub async fn compact(&self, revision: i64) -> Result<CompactionResponse, Failure> {
        let request = CompactionRequest { revision };
        self.call("/etcdserverpb.KV/Compact", request, Repeat::No).await
    }

    /// Makes a lease of so many seconds, at least.
    pub async fn grant(&self, ttl: i64) -> Result<LeaseGrantResponse, Failure> {
        let request = LeaseGrantRequest { ttl };
        // One that was made and is not known of expires by itself.
        self.call("/etcdserverpb.Lease/LeaseGrant", request, Repeat::Yes)
            .await
    }

    /// Begins a watch; also tells which connection it is on.
    pub async fn watch(
        &self,
        create: WatchCreateRequest,
    ) -> Result<(Connection, Streaming<WatchResponse>), Failure> {
        let deadline = Instant::now() + self.limit;
        let connection = self.connection(deadline).await?;
        let first = WatchRequest { create: Some(create) };
        // The request stream stays open for as long as the watch is wanted.
        let requests = futures::StreamExt::chain(
            futures::stream::once(std::future::ready(first)),
            futures::stream::pending(),
        );
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let mut grpc = Grpc::new(connection.channel.clone()).max_decoding_message_size(usize::MAX);
        let begin = async {
            grpc.ready().await.map_err(|error| not_ready(&error))?;
            let codec = ProstCodec::<WatchRequest, WatchResponse>::new();
            grpc.streaming(with_leader(Request::new(requests)), path, codec)
                .await
                .map_err(|status| {
                    let fault = fault(&status);
                    (Failure::Unknown(status.message().to_owned()), Some(fault))
                })
        };
        let (failure, fault) = match timeout_at(deadline, begin).await {
            Ok(Ok(response)) => return Ok((connection, response.into_inner())),
            Ok(Err(failed)) => failed,
            Err(_) => no_answer(),
        };
        if let Some(fault) = fault {
            self.give_up(&connection, fault).await;
        }
        Err(failure)
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q, repeat: Repeat) -> Result<A, Failure>
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        let deadline = Instant::now() + self.limit;
        loop {
            let failure = match self.connection(deadline).await {
                Err(failure) => failure,
                Ok(connection) => {
                    let attempt = attempt(connection.channel.clone(), path, request.clone());
                    let patience = if repeat == Repeat::Soon && self.endpoints.len() > 1 {
                        deadline.min(Instant::now() + HUNG)
                    } else {
                        deadline
                    };
                    let (failure, fault) = match timeout_at(patience, attempt).await {
                        Ok(Ok(answer)) => return Ok(answer),
                        Ok(Err(failed)) => failed,
                        Err(_) => no_answer(),
                    };
                    if let Some(fault) = fault {
                        self.give_up(&connection, fault).await;
                    }
                    failure
                }
            };
            let again = match failure {
                Failure::NotSent(_) => true,
                Failure::Refused(..) => false,
                Failure::Unknown(_) => repeat != Repeat::No,
            };
            if !again || Instant::now() + PAUSE >= deadline {
                return Err(failure);
            }
            // Waits for a server to come back or a leader to be elected, of which nothing tells us.
            sleep(PAUSE).await;
        }
    }
}

/// One request on one connection.
async fn attempt<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A, Failed>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| not_ready(&error))?;
    let codec = ProstCodec::<Q, A>::new();
    match grpc
        .unary(
            with_leader(Request::new(request)),
            PathAndQuery::from_static(path),
            codec,
        )
        .await
    {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(classify(&status)),
    }
}

/// A server without a leader, which is one that is cut off from the others, is to say so instead of letting us wait.
fn with_leader<T>(mut request: Request<T>) -> Request<T> {
    request
        .metadata_mut()
        .insert("hasleader", MetadataValue::from_static("true"));
    request
}
