//! Reading queries and writing answers.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

use super::zone::{Reply, Zone};
use crate::service::Cluster;

/// The smallest answer that every client takes over UDP (RFC 1035).
const PLAIN_UDP: u16 = 512;
/// The largest that we send over UDP: no path of a pod fragments it (DNS flag day 2020).
const LARGEST_UDP: u16 = 1232;
/// How many aliases are followed within the zone.
const MAX_ALIASES: usize = 8;

/// A query that can be answered or forwarded.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Id of the client.
    pub(super) id: u16,
    /// What is asked, in the client's spelling.
    pub(super) query: Query,
    recursion_desired: bool,
    /// Present when the client speaks EDNS.
    edns: bool,
    /// Largest answer over UDP.
    udp_limit: usize,
}

/// What to do about a received message.
#[derive(Debug, Clone)]
pub(super) enum Received {
    /// Nothing: not a query, or no message at all.
    Ignore,
    /// Send this.
    Refuse(Vec<u8>),
    /// Answer this.
    Question(Question),
}

/// Reads a message from a client.
pub(super) fn read(bytes: &[u8]) -> Received {
    let Some(&[a, b, flags, _]) = bytes.first_chunk() else {
        return Received::Ignore;
    };
    // Never answer answers: two servers could go on for ever.
    if bytes.len() < 12 || flags & 0x80 != 0 {
        return Received::Ignore;
    }
    let id = u16::from_be_bytes([a, b]);
    let Ok(message) = Message::from_vec(bytes) else {
        return refuse(id, OpCode::Query, None, ResponseCode::FormErr);
    };
    let op_code = message.metadata.op_code;
    if op_code != OpCode::Query {
        return refuse(id, op_code, None, ResponseCode::NotImp);
    }
    let [query] = message.queries.as_slice() else {
        return refuse(id, op_code, None, ResponseCode::FormErr);
    };
    if message.edns.as_ref().is_some_and(|e| e.version() != 0) {
        return refuse(id, op_code, Some(query), ResponseCode::BADVERS);
    }
    if query.query_class != DNSClass::IN {
        return refuse(id, op_code, Some(query), ResponseCode::Refused);
    }
    // Transfers are not for pods, and "any" is only good for amplification (RFC 8482).
    if matches!(
        query.query_type,
        RecordType::AXFR | RecordType::IXFR | RecordType::ANY
    ) {
        return refuse(id, op_code, Some(query), ResponseCode::NotImp);
    }
    let offered = message.edns.as_ref().map_or(PLAIN_UDP, Edns::max_payload);
    Received::Question(Question {
        id,
        query: query.clone(),
        recursion_desired: message.metadata.recursion_desired,
        edns: message.edns.is_some(),
        udp_limit: usize::from(offered.clamp(PLAIN_UDP, LARGEST_UDP)),
    })
}

fn refuse(id: u16, op_code: OpCode, query: Option<&Query>, code: ResponseCode) -> Received {
    let mut message = Message::new(id, MessageType::Response, op_code);
    message.queries.extend(query.cloned());
    message.metadata.response_code = code;
    if code == ResponseCode::BADVERS {
        // The code does not fit in the header: its upper bits go here.
        let mut edns = Edns::new();
        edns.set_rcode_high((u16::from(code) >> 4) as u8);
        message.edns = Some(edns);
    }
    message.to_vec().map_or(Received::Ignore, Received::Refuse)
}

/// An answer in the making.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Complete.
    Ready(Message),
    /// The records found so far lead to a name of somebody else's.
    Ask(Message, Name),
    /// Somebody else's name altogether.
    Forward,
}

/// Answers from the zone.
pub(super) fn answer(question: &Question, zone: &Zone, cluster: &Cluster) -> Answer {
    let mut message = question.response(ResponseCode::NoError);
    message.metadata.authoritative = true;
    let mut name = question.query.name.clone();
    let kind = question.query.query_type;
    for _ in 0..MAX_ALIASES {
        match zone.answer(cluster, &name, kind) {
            Reply::Found { answers, additionals } => {
                message.answers.extend(answers);
                message.additionals.extend(additionals);
                return Answer::Ready(message);
            }
            Reply::Alias(record, target) => {
                message.answers.push(*record);
                if kind == RecordType::CNAME {
                    return Answer::Ready(message);
                }
                name = target;
            }
            // The code speaks of the last name of a chain (RFC 2308).
            denial @ (Reply::NoData | Reply::NoName) => {
                if denial == Reply::NoName {
                    message.metadata.response_code = ResponseCode::NXDomain;
                }
                message.authorities.push(zone.authority());
                return Answer::Ready(message);
            }
            Reply::Elsewhere if message.answers.is_empty() => return Answer::Forward,
            Reply::Elsewhere => return Answer::Ask(message, name),
            Reply::NotYet => return Answer::Ready(question.response(ResponseCode::ServFail)),
        }
    }
    Answer::Ready(question.response(ResponseCode::ServFail))
}

impl Question {
    /// An empty response with a code.
    pub(super) fn response(&self, code: ResponseCode) -> Message {
        let mut message = Message::new(self.id, MessageType::Response, OpCode::Query);
        message.queries = vec![self.query.clone()];
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        if self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST_UDP);
            message.edns = Some(edns);
        }
        message
    }

    /// A query to an upstream resolver for the same type.
    pub(super) fn upstream(&self, id: u16, name: &Name) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.queries = vec![Query::query(name.clone(), self.query.query_type)];
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        message.edns = Some(edns);
        message.to_vec().ok()
    }

    /// What an upstream resolver said, as the answer to this question: `prefix` are the aliases that led there.
    pub(super) fn relay(&self, upstream: Message, prefix: &[Record]) -> Message {
        let mut message = self.response(upstream.metadata.response_code);
        message.metadata.truncation = upstream.metadata.truncation;
        message.answers = prefix.to_vec();
        message.answers.extend(upstream.answers);
        message.authorities = upstream.authorities;
        message.additionals = upstream.additionals;
        message
    }

    /// The bytes of an answer; over UDP as many records as fit, and the flag that says that there are more.
    pub(super) fn encode(&self, mut message: Message, udp: bool) -> Option<Vec<u8>> {
        let limit = if udp {
            self.udp_limit
        } else {
            usize::from(u16::MAX)
        };
        loop {
            let bytes = message.to_vec().ok()?;
            if bytes.len() <= limit {
                return Some(bytes);
            }
            // Records that merely help go first, and do not count as truncation (RFC 2181, 9).
            if !message.additionals.is_empty() {
                message.additionals.clear();
                continue;
            }
            message.metadata.truncation = true;
            if message.authorities.pop().is_none() {
                let keep = message.answers.len() * limit / bytes.len();
                if message.answers.is_empty() {
                    return None;
                }
                message.answers.truncate(keep.min(message.answers.len() - 1));
            }
        }
    }
}

/// Reads what an upstream resolver sent; `None` unless it answers `query`, which we sent under `id`.
pub(super) fn read_upstream(bytes: &[u8], id: u16, name: &Name, kind: RecordType) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let about = |q: &Query| q.query_type == kind && q.query_class == DNSClass::IN && q.name == *name;
    let fits = message.metadata.id == id
        && message.metadata.message_type == MessageType::Response
        && matches!(message.queries.as_slice(), [q] if about(q));
    fits.then_some(message)
}

#[cfg(test)]
mod tests;
