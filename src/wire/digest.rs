//! Digests of what we write: SHA-256 over a datum, framing not included.

use quorate_core::ids::Digest;
use quorate_core::records::Policy;
use serde_avro_fast::ser::SerializerConfig;
use sha2::{Digest as _, Sha256};

use super::{Datum, Error};

/// The digest of bytes.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The digest of a record, or of a part that has one of its own: over its Avro datum by the
/// built-in schema.
///
/// # Errors
/// [`Error::Malformed`] if the record does not fit its schema, which none of ours does.
pub fn digest_of<T: Datum>(record: &T) -> Result<Digest, Error> {
    Ok(sha256(&datum(record, Vec::new())?))
}

/// Appends a record's datum by the built-in schema.
pub(super) fn datum<T: Datum>(record: &T, into: Vec<u8>) -> Result<Vec<u8>, Error> {
    let mut config = SerializerConfig::new(&T::shape().avro);
    serde_avro_fast::to_datum(record, into, &mut config).map_err(Error::malformed)
}

/// The digest of a policy: over its datum with 32 zero bytes where the digest is.
///
/// # Errors
/// As [`digest_of`].
pub fn policy_digest(policy: &Policy) -> Result<Digest, Error> {
    let mut bare = policy.clone();
    bare.digest = Digest::default();
    digest_of(&bare)
}

/// Gives a policy its digest.
///
/// # Errors
/// As [`digest_of`]; the policy is then as it was.
pub fn seal_policy(policy: &mut Policy) -> Result<(), Error> {
    policy.digest = policy_digest(policy)?;
    Ok(())
}
