//! Bytes on the wire and on disk, as literals.

use super::*;
use crate::pool::codec::DecodeError;
use crate::pool::message::{Nonce, Reason};

/// A Renewed of r to a, byte by byte.
const RENEWED: &[u8] = &[
    2, 0, // from r, to a
    0, 0, 0, 0, 0, 0, 0, 3, // incarnation
    0, 0, 0, 0, 0, 0, 0, 9, // boots
    1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, // seen: a's, boot 4
    0, 0, 0, 0, 0, 0, 0, 0, // report: priority, four flags, nothing of a database
    0, 0, 0, 0, 0, 0, 0, 0, 0, // no word of a pause
    7, // Renewed
    0, 0, 0, 0, 0, 0, 0, 5, 0, // epoch 5.a
    0, 0, 0, 2, // version
    0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0, // nonce: boot 4, count 256
];

fn renewed() -> Envelope {
    Envelope {
        from: NodeId::R,
        to: NodeId::A,
        incarnation: Incarnation(3),
        boots: 9,
        seen: Some((Incarnation(1), 4)),
        report: Report {
            healthy: false,
            ..report(NodeId::R)
        },
        body: Body::Renewed {
            epoch: epoch(5, NodeId::A),
            version: 2,
            nonce: Nonce {
                boots: 4,
                count: 256,
            },
        },
    }
}

#[test]
fn renewed_is_encoded_as_these_bytes() {
    assert_eq!(renewed().encode(), RENEWED);
}

#[test]
fn these_bytes_are_decoded_as_renewed() {
    assert_eq!(Envelope::decode(RENEWED), Ok(renewed()));
}

#[test]
fn every_shorter_prefix_is_refused() {
    for end in 0..RENEWED.len() {
        assert_eq!(Envelope::decode(&RENEWED[..end]), Err(DecodeError::Short));
    }
}

#[test]
fn a_byte_too_many_is_refused() {
    let mut bytes = RENEWED.to_vec();
    bytes.push(0);
    assert_eq!(Envelope::decode(&bytes), Err(DecodeError::Long));
}

#[test]
fn a_tag_that_names_nothing_is_refused() {
    for (at, what) in [
        (0, "a fourth party"),
        (18, "a third truth"),
        (52, "a tenth body"),
    ] {
        let mut bytes = RENEWED.to_vec();
        bytes[at] = 9;
        assert_eq!(Envelope::decode(&bytes), Err(DecodeError::Tag), "{what}");
    }
}

#[test]
fn every_body_survives_the_way_there_and_back() {
    let record = reign_of_a(3, both());
    let nonce = Nonce { boots: 1, count: 2 };
    let bodies = [
        Body::Hello { answer: true },
        Body::Claim {
            epoch: epoch(6, NodeId::B),
            record: Some(record),
            effective: true,
            copy: COPY_B,
            force: false,
        },
        Body::Deny {
            epoch: epoch(6, NodeId::B),
            promised: record.epoch,
            record: None,
            retry_after: Duration::from_millis(7),
            reason: Reason::Granted,
        },
        Body::Promise {
            epoch: epoch(6, NodeId::B),
            record: Some(record),
            effective: None,
        },
        Body::Accept { record, nonce },
        Body::Accepted {
            epoch: record.epoch,
            version: 3,
            nonce,
        },
        Body::Renew {
            record,
            effective: false,
            nonce,
        },
        Body::Release {
            epoch: record.epoch,
            position: Some(Position {
                timeline: 2,
                lsn: 99,
            }),
        },
    ];
    for body in bodies {
        let envelope = Envelope { body, ..renewed() };
        let bytes = envelope.encode();
        assert!(bytes.len() <= 400);
        assert_eq!(Envelope::decode(&bytes), Ok(envelope));
    }
}

#[test]
fn durable_state_survives_the_disk() {
    let state = durable(NodeId::B, reign_of_a(1, both()));
    assert_eq!(Durable::decode(&state.encode()), Ok(state));
    let blank = Durable::blank(Incarnation(8));
    assert_eq!(
        blank.encode(),
        [
            0, 0, 0, 0, 0, 0, 0, 8, // incarnation
            0, 0, 0, 0, 0, 0, 0, 0, // boots
            0, 0, 0, 0, 0, 0, 0, 0, 0, // promised: zero
            0, 0, 0, 0, 0, 0, 0, 0, // reserved
            0, 0, // no record, none effective
            0, 0, 0, 0, 0, 0, 0, 0, 0, // released: zero
            0, 0, 0, 0, 0, 0, 0, 0, 0, // no word of a pause
        ]
    );
}
