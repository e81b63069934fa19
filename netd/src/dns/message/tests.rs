use std::net::IpAddr;

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::A;
use proptest::prelude::*;

use super::*;
use crate::service::{Key, Service};

fn zone() -> Zone {
    Zone::new("cluster.local", vec![], IpAddr::from([10, 43, 0, 10])).unwrap()
}

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn question(bytes: &[u8]) -> Question {
    match read(bytes) {
        Received::Question(question) => question,
        other => panic!("{other:?}"),
    }
}

fn code(received: Received) -> ResponseCode {
    match received {
        Received::Refuse(bytes) => Message::from_vec(&bytes).unwrap().metadata.response_code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn denials_carry_the_authority() {
    let cluster = Cluster::known();
    let bytes = query("nosuch.default.svc.cluster.local.", RecordType::A);
    let Answer::Ready(message) = answer(&question(&bytes), &zone(), &cluster) else {
        panic!()
    };
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert!(message.metadata.authoritative && message.metadata.recursion_available);
    assert_eq!(message.authorities[0].record_type(), RecordType::SOA);
    assert_eq!(message.id, 77);
    assert!(matches!(
        answer(
            &question(&query("example.org.", RecordType::A)),
            &zone(),
            &cluster
        ),
        Answer::Forward
    ));
}

#[test]
fn aliases_are_followed_but_not_for_ever() {
    let mut cluster = Cluster::known();
    let mut alias = |name: &str, target: &str| {
        let service = Service {
            external_name: Some(target.into()),
            ..Service::default()
        };
        cluster.set_service(Key::new("d", name), Some(service))
    };
    alias("a", "b.d.svc.cluster.local");
    alias("b", "example.org");
    alias("loop", "loop.d.svc.cluster.local");
    let ask = |name: &str| answer(&question(&query(name, RecordType::A)), &zone(), &cluster);
    let Answer::Ask(message, target) = ask("a.d.svc.cluster.local.") else {
        panic!()
    };
    assert_eq!(
        (message.answers.len(), target.to_string()),
        (2, "example.org.".to_owned())
    );
    let Answer::Ready(message) = ask("loop.d.svc.cluster.local.") else {
        panic!()
    };
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn strange_queries_are_refused() {
    assert!(matches!(read(b""), Received::Ignore));
    assert!(matches!(read(&[0; 11]), Received::Ignore));
    let mut bytes = query("a.", RecordType::A);
    bytes[2] |= 0x80;
    assert!(matches!(read(&bytes), Received::Ignore), "an answer");
    assert_eq!(
        code(read(&query("a.", RecordType::A)[..14])),
        ResponseCode::FormErr
    );
    assert_eq!(code(read(&query("a.", RecordType::ANY))), ResponseCode::NotImp);
    assert_eq!(code(read(&query("a.", RecordType::AXFR))), ResponseCode::NotImp);
    let mut none = Message::new(1, MessageType::Query, OpCode::Query);
    assert_eq!(code(read(&none.to_vec().unwrap())), ResponseCode::FormErr);
    none.metadata.op_code = OpCode::Status;
    assert_eq!(code(read(&none.to_vec().unwrap())), ResponseCode::NotImp);
    let mut chaos = Query::query(Name::from_ascii("version.bind.").unwrap(), RecordType::TXT);
    chaos.set_query_class(DNSClass::CH);
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.add_query(chaos);
    assert_eq!(code(read(&message.to_vec().unwrap())), ResponseCode::Refused);
    let mut edns = Edns::new();
    edns.set_version(1);
    let mut message = Message::from_vec(&query("a.", RecordType::A)).unwrap();
    message.set_edns(edns);
    let Received::Refuse(answer) = read(&message.to_vec().unwrap()) else {
        panic!()
    };
    assert_eq!(
        Message::from_vec(&answer).unwrap().edns.unwrap().rcode_high(),
        1,
        "BADVERS is 16"
    );
}

#[test]
fn long_answers_are_cut_over_udp_only() {
    let bytes = query("many.example.", RecordType::A);
    let question = question(&bytes);
    let mut message = question.response(ResponseCode::NoError);
    let name = question.query.name.clone();
    for i in 0..200_u8 {
        message.add_answer(Record::from_rdata(name.clone(), 5, RData::A(A::new(10, 0, 0, i))));
    }
    let cut = question.encode(message.clone(), true).unwrap();
    assert!(cut.len() <= 512);
    let cut = Message::from_vec(&cut).unwrap();
    assert!(cut.metadata.truncation && cut.answers.len() > 10);
    let whole = Message::from_vec(&question.encode(message, false).unwrap()).unwrap();
    assert!(!whole.metadata.truncation && whole.answers.len() == 200);
}

#[test]
fn only_the_answer_to_our_question_counts() {
    let name = Name::from_ascii("example.org.").unwrap();
    let mut reply = Message::from_vec(&query("example.org.", RecordType::A)).unwrap();
    let read = |m: &Message, id| read_upstream(&m.to_vec().unwrap(), id, &name, RecordType::A);
    assert!(read(&reply, 77).is_none(), "a query");
    reply.metadata.message_type = MessageType::Response;
    assert!(read(&reply, 77).is_some());
    assert!(read(&reply, 78).is_none(), "another id");
    let other = Name::from_ascii("example.net.").unwrap();
    assert!(read_upstream(&reply.to_vec().unwrap(), 77, &other, RecordType::A).is_none());
    assert!(read_upstream(&reply.to_vec().unwrap(), 77, &name, RecordType::AAAA).is_none());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let cluster = Cluster::known();
        if let Received::Question(question) = read(&bytes) {
            let _ = answer(&question, &zone(), &cluster);
        }
        let _ = read_upstream(&bytes, 1, &Name::root(), RecordType::A);
    }

    /// A valid query with some bytes changed comes closer to the parser's corners than noise does.
    #[test]
    fn no_damaged_query_panics(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: prop::sample::Index,
    ) {
        let mut bytes = query("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Received::Question(question) = read(&bytes) {
            let cluster = Cluster::known();
            if let Answer::Ready(message) = answer(&question, &zone(), &cluster) {
                prop_assert!(question.encode(message, true).is_none_or(|b| b.len() <= 1232));
            }
        }
    }
}
