//! What is fuzzed, and how.

use larder_sdk::codec::{self, ENVELOPE_BYTES, Record};

/// Puts around mutated bytes what a decoder would otherwise refuse at once.
type Dress = Box<dyn Fn(&[u8]) -> Vec<u8>>;
/// True if the bytes decoded.
type Decode = Box<dyn Fn(&[u8]) -> bool>;

/// One decoder.
pub(crate) struct Target {
    /// What it decodes.
    pub(crate) name: &'static str,
    /// Valid bytes, which mutations begin with.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Puts around changed bytes what must fit them: a length, a seal.
    pub(crate) dress: Dress,
    /// Decodes; true if the bytes were accepted. Panics if something accepted does not come back.
    pub(crate) decode: Decode,
    /// One round in so many is tried: what takes long is tried less often.
    pub(crate) every: u64,
}

impl Target {
    /// A decoder of bytes that stand alone.
    pub(crate) fn plain(
        name: &'static str,
        seeds: Vec<Vec<u8>>,
        decode: impl Fn(&[u8]) -> bool + 'static,
    ) -> Self {
        Self { name, seeds, dress: Box::new(<[u8]>::to_vec), decode: Box::new(decode), every: 1 }
    }

    /// The same, of which one round in so many is tried.
    pub(crate) fn every(self, rounds: u64) -> Self {
        Self { every: rounds, ..self }
    }

    /// A record in its envelope, of which the struct is changed.
    pub(crate) fn record<R: Record + 'static>(name: &'static str, samples: &[R]) -> Self {
        Self {
            name,
            seeds: samples.iter().map(|sample| body(&codec::encode(sample).unwrap())).collect(),
            dress: Box::new(|body| envelope(R::KIND, R::VERSION, body)),
            decode: Box::new(comes_back::<R>),
            every: 1,
        }
    }
}

/// What stands in an envelope.
pub(crate) fn body(record: &[u8]) -> Vec<u8> {
    record[ENVELOPE_BYTES..].to_vec()
}

/// An envelope around a struct.
pub(crate) fn envelope(kind: u16, version: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&kind.to_le_bytes()[..], &version.to_le_bytes(), &length.to_le_bytes(), body].concat()
}

/// Decodes a record and sees whether it comes back. Compared as bytes: not every record can be compared, and a NaN is not equal to itself.
pub(crate) fn comes_back<R: Record>(bytes: &[u8]) -> bool {
    let Ok(record) = codec::decode::<R>(bytes) else { return false };
    let once = codec::encode(&record).unwrap();
    let again = codec::encode(&codec::decode::<R>(&once).unwrap()).unwrap();
    assert_eq!(once, again);
    true
}
