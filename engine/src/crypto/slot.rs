//! A key slot: the bundle of keys, wrapped under a key derived from a password.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use larder_sdk::{Error, ErrorKind, Result, Secret, codec};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Keys, recovery::canonical};
use crate::hash::{ObjectName, fill_random};

/// Most memory a slot may ask for, in KiB: refused before it is taken.
const KDF_MEMORY_KIB_MAX: u32 = 1 << 20;
/// Most passes a slot may ask for.
const KDF_PASSES_MAX: u32 = 16;
/// Most lanes a slot may ask for.
const KDF_LANES_MAX: u32 = 64;

/// What deriving a key costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for KdfCost {
    /// RFC 9106's second recommended choice. The lanes are worked on at once, so that a start waits half as long on two cores.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

/// Keys wrapped under a password. A recovery key is a password that may be written in more than one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeySlot {
    cost: KdfCost,
    salt: [u8; 32],
    nonce: [u8; 12],
    sealed: Vec<u8>,
}

impl KeySlot {
    /// Wraps keys under a password.
    pub fn wrap(keys: &Keys, password: &Secret, id: ObjectName, cost: KdfCost) -> Result<Self> {
        let mut slot = Self { cost, salt: [0; 32], nonce: [0; 12], sealed: Vec::new() };
        fill_random(&mut slot.salt)?;
        fill_random(&mut slot.nonce)?;
        let mut bundle = Zeroizing::new(codec::encode_plain(keys)?);
        let key = slot.derive(password)?;
        let nonce = Nonce::assume_unique_for_key(slot.nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(&id.0), &mut bundle)
            .map_err(|_| Error::bug("the keys could not be sealed"))?;
        slot.sealed = bundle.to_vec();
        slot.sealed.extend_from_slice(tag.as_ref());
        Ok(slot)
    }

    /// Takes the keys out. `None` if the password is another one (or the slot's bytes were altered: the two look alike).
    pub fn unwrap(&self, password: &Secret, id: ObjectName) -> Result<Option<Keys>> {
        let key = self.derive(password)?;
        let mut bundle = Zeroizing::new(self.sealed.clone());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        match key.open_in_place(nonce, Aad::from(&id.0), &mut bundle) {
            Ok(plain) => codec::decode_plain(plain).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn derive(&self, password: &Secret) -> Result<LessSafeKey> {
        let KdfCost { memory_kib, passes, lanes } = self.cost;
        if memory_kib > KDF_MEMORY_KIB_MAX || passes > KDF_PASSES_MAX || lanes > KDF_LANES_MAX {
            return Err(Error::new(
                ErrorKind::CorruptItem,
                format!(
                    "a key slot asks for {memory_kib} KiB, {passes} passes and {lanes} lanes, more than is allowed"
                ),
            ));
        }
        let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|error| {
            Error::new(ErrorKind::CorruptItem, format!("a key slot's parameters are impossible: {error}"))
        })?;
        let mut derived = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(canonical(password).expose().as_bytes(), &self.salt, &mut derived[..])
            .map_err(|error| Error::bug(format!("no key could be derived from the password: {error}")))?;
        UnboundKey::new(&AES_256_GCM, &derived[..])
            .map(LessSafeKey::new)
            .map_err(|_| Error::bug("a derived key has the wrong length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: KdfCost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn only_the_password_opens_a_slot() {
        let keys = Keys::generate().unwrap();
        let id = ObjectName::random().unwrap();
        let slot = KeySlot::wrap(&keys, &Secret::new("right"), id, CHEAP).unwrap();
        let opened = slot.unwrap(&Secret::new("right"), id).unwrap().unwrap();
        assert_eq!(codec::encode_plain(&opened).unwrap(), codec::encode_plain(&keys).unwrap());
        assert!(slot.unwrap(&Secret::new("wrong"), id).unwrap().is_none());
        assert!(slot.unwrap(&Secret::new("right"), ObjectName([7; 16])).unwrap().is_none());
    }

    #[test]
    fn an_exorbitant_slot_is_refused_before_it_runs() {
        let keys = Keys::generate().unwrap();
        let id = ObjectName([1; 16]);
        let mut slot = KeySlot::wrap(&keys, &Secret::new("x"), id, CHEAP).unwrap();
        slot.cost.memory_kib = 2 << 20;
        assert_eq!(slot.unwrap(&Secret::new("x"), id).unwrap_err().kind(), ErrorKind::CorruptItem);
    }
}
