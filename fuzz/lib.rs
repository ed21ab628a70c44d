//! What the targets share: the record type of every kind, and what must hold of any value.

use std::sync::LazyLock;

use quorate::wire::{Codec, Kind, Record};
use serde::Deserialize;

/// A codec that writes Confluent's framing, each kind under its place in [`Kind::ALL`].
pub static CONFLUENT: LazyLock<Codec> =
    LazyLock::new(|| Codec::confluent(Kind::ALL.iter().copied().zip(0..)));

/// A codec that writes single-object framing.
pub static SINGLE_OBJECT: LazyLock<Codec> = LazyLock::new(Codec::single_object);

/// Does the same for the record type of every kind.
#[macro_export]
macro_rules! for_kind {
    ($kind:expr, $run:ident($($argument:expr),*)) => {{
        use quorate::wire::Kind;
        use quorate_core::records;
        match $kind {
            Kind::Proposal => $run::<records::Proposal>($($argument),*),
            Kind::Response => $run::<records::Response<'_>>($($argument),*),
            Kind::Control => $run::<records::Control>($($argument),*),
            Kind::Decision => $run::<records::Decision>($($argument),*),
            Kind::Result => $run::<records::input::Result>($($argument),*),
            Kind::Agent => $run::<records::Agent>($($argument),*),
            Kind::Policy => $run::<records::Policy>($($argument),*),
            Kind::SchemaEntry => $run::<records::SchemaEntry>($($argument),*),
            Kind::Round => $run::<records::Round>($($argument),*),
            Kind::Outcome => $run::<records::Outcome>($($argument),*),
            Kind::DecisionPackage => $run::<records::DecisionPackage>($($argument),*),
            Kind::TrustUpdate => $run::<records::TrustUpdate>($($argument),*),
            Kind::TrustScore => $run::<records::TrustScore>($($argument),*),
            Kind::DeadLetter => $run::<records::DeadLetter>($($argument),*),
            Kind::Claim => $run::<records::Claim>($($argument),*),
        }
    }};
}

/// What decodes can be encoded, no longer than it was; that decodes again, to the same bytes.
pub fn round_trip(kind: Kind, codec: &Codec, value: &[u8]) {
    let Some(once) = for_kind!(kind, re_encode(codec, value)) else {
        return;
    };
    assert!(once.len() <= value.len(), "longer than it was");
    let again = for_kind!(kind, re_encode(codec, &once));
    assert_eq!(Some(once), again, "not canonical");
}

fn re_encode<'a, T>(codec: &Codec, value: &'a [u8]) -> Option<Vec<u8>>
where
    T: Record + Deserialize<'a>,
{
    let (record, _) = codec.decode::<T>(value).ok()?;
    Some(codec.encode(&record).expect("what decodes can be encoded"))
}
