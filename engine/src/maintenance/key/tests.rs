use std::{cell::Cell, sync::Arc};

use larder_sdk::{ObjectKey, Time};

use super::*;
use crate::{
    clock::FixedClock,
    crypto::recovery_key,
    error::EngineErrorKind,
    repository::{CreateOptions, create},
    store::{
        Store,
        faulty::{Fault, at_every_call},
        memory::MemoryStore,
    },
};

const CHEAP: KdfCost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };

fn clock() -> FixedClock {
    FixedClock::new(Time::from_seconds(77))
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn key<'run>(password: &'run Secret, label: &'run str) -> NewKey<'run> {
    NewKey { password, recovery: false, label, host: "here", cost: CHEAP }
}

fn made() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let shared: Arc<dyn Store> = store.clone();
    create(&shared, &secret("first"), Time::from_seconds(1), CreateOptions { cost: CHEAP }).unwrap();
    store
}

fn open(store: &Arc<MemoryStore>, password: &str) -> Result<Repository> {
    let shared: Arc<dyn Store> = store.clone();
    Repository::open(shared, &secret(password))
}

#[test]
fn added_slots_open_and_removed_ones_do_not() {
    let store = made();
    let first = open(&store, "first").unwrap();
    let second = add_key(&first, &key(&secret("second"), " of the night shift "), &clock()).unwrap();
    let opened = open(&store, "second").unwrap();
    assert_eq!((opened.slot_in_use(), opened.id()), (second, first.id()));
    let note = find_slot(&opened, &second.to_string()[..6]).unwrap().note.unwrap();
    assert_eq!((note.label.as_str(), note.host.as_str()), ("of the night shift", "here"));
    assert_eq!((note.made, note.recovery), (Time::from_seconds(77), false));

    remove_key(&opened, first.slot_in_use()).unwrap();
    assert_eq!(open(&store, "first").unwrap_err().kind(), EngineErrorKind::WrongPassword);
    let error = remove_key(&opened, second).unwrap_err();
    assert!(error.hint().unwrap().contains("only one"), "{error:?}");
    open(&store, "second").unwrap();
}

#[test]
fn a_recovery_key_opens_like_a_password_and_tells_typing_errors() {
    let store = made();
    let repository = open(&store, "first").unwrap();
    let recovery = recovery_key().unwrap();
    let id = add_key(&repository, &NewKey { recovery: true, ..key(&recovery, "") }, &clock()).unwrap();
    let typed = recovery.expose().to_lowercase().replace('-', " ");
    let opened = open(&store, &typed).unwrap();
    assert_eq!(opened.slot_in_use(), id);
    let mut wrong = recovery.expose().to_owned();
    let last = if wrong.pop() == Some('7') { '8' } else { '7' };
    wrong.push(last);
    let message = |password: &str| open(&store, password).unwrap_err().full_message();
    assert!(message(&wrong).contains("typing error in it"));
    assert!(message(recovery_key().unwrap().expose()).contains("no typing error"));
    assert!(!message("second").contains("recovery"));

    // It stays when a password is changed with it, and may name whose.
    let error = change_password(&opened, id, &key(&secret("second"), ""), &clock()).unwrap_err();
    assert!(error.hint().unwrap().contains("--slot"), "{error:?}");
    change_password(&opened, repository.slot_in_use(), &key(&secret("second"), ""), &clock()).unwrap();
    open(&store, "second").unwrap();
    open(&store, recovery.expose()).unwrap();
    assert!(open(&store, "first").is_err());
}

#[test]
fn a_slot_of_which_one_copy_is_left_opens_and_is_mended() {
    let store = made();
    let repository = open(&store, "first").unwrap();
    let id = repository.slot_in_use();
    for (name, other) in
        [(format!("keys/{id}"), format!("keys/{id}.copy")), (format!("keys/{id}.copy"), format!("keys/{id}"))]
    {
        let (name, other) = (ObjectKey::new(name).unwrap(), ObjectKey::new(other).unwrap());
        let good = store.objects()[&other].clone();
        for at in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[at] ^= 0x10;
            store.objects().insert(name.clone(), bytes.into());
            // Every bit of a copy is covered: by the note's seal, or by the digest in it.
            let slot = repository.slot(id).unwrap();
            assert!(!slot.is_whole(), "byte {at} of {name}");
        }
        open(&store, "first").unwrap();
        store.objects().remove(&name);
        open(&store, "first").unwrap();
        let slot = repository.slot(id).unwrap();
        assert_eq!(repository.mend_slot(&slot).unwrap(), std::slice::from_ref(&name));
        assert_eq!(store.objects()[&name], good);
    }
}

/// A store from which another machine removes a slot while ours removes one.
struct Meanwhile(Arc<MemoryStore>, ObjectName);
impl Store for Meanwhile {
    fn capabilities(&self) -> larder_sdk::Capabilities {
        self.0.capabilities()
    }
    fn put(&self, key: &ObjectKey, data: bytes::Bytes) -> larder_sdk::Result<()> {
        self.0.put(key, data)
    }
    fn put_if_absent(&self, key: &ObjectKey, data: bytes::Bytes) -> larder_sdk::Result<()> {
        self.0.put_if_absent(key, data)
    }
    fn get(&self, key: &ObjectKey) -> larder_sdk::Result<bytes::Bytes> {
        self.0.get(key)
    }
    fn get_range(&self, key: &ObjectKey, range: std::ops::Range<u64>) -> larder_sdk::Result<bytes::Bytes> {
        self.0.get_range(key, range)
    }
    fn head(&self, key: &ObjectKey) -> larder_sdk::Result<larder_sdk::ObjectInfo> {
        self.0.head(key)
    }
    fn list_all(&self, folder: &str) -> larder_sdk::Result<Vec<(ObjectKey, larder_sdk::ObjectInfo)>> {
        self.0.list_all(folder)
    }
    fn delete(&self, key: &ObjectKey) -> larder_sdk::Result<()> {
        for name in [format!("keys/{}", self.1), format!("keys/{}.copy", self.1)] {
            self.0.delete(&ObjectKey::new(name)?)?;
        }
        self.0.delete(key)
    }
}

#[test]
fn two_machines_that_remove_each_others_slot_lock_nobody_out() {
    let store = made();
    let first = open(&store, "first").unwrap();
    add_key(&first, &key(&secret("second"), ""), &clock()).unwrap();
    let second = open(&store, "second").unwrap();
    let meanwhile: Arc<dyn Store> = Arc::new(Meanwhile(Arc::clone(&store), first.slot_in_use()));
    let racing = Repository::open(meanwhile, &secret("first")).unwrap();
    remove_key(&racing, second.slot_in_use()).unwrap();
    open(&store, "first").unwrap();
}

#[test]
fn whatever_call_fails_somebody_can_open_it() {
    let calls = at_every_call(
        &Fault::ALL,
        || {
            let store = made();
            (Arc::clone(&store), store)
        },
        |_, store| {
            let Ok(repository) = Repository::open(Arc::clone(store), &secret("first")) else { return };
            let old = repository.slot_in_use();
            drop(change_password(&repository, old, &key(&secret("second"), ""), &clock()));
        },
        |store, what| {
            let opened = [open(store, "first"), open(store, "second")];
            assert!(opened.iter().any(Result::is_ok), "{what}: {opened:?}");
            if what == "no fault" {
                assert!(opened[0].is_err() && opened[1].is_ok());
            }
            for repository in opened.into_iter().flatten() {
                assert_eq!(repository.config().created, Time::from_seconds(1), "{what}");
            }
        },
    );
    assert!(calls > 10, "{calls}");
}

#[test]
fn whatever_call_fails_while_a_key_is_added_the_first_opens() {
    at_every_call(
        &Fault::ALL,
        || {
            let store = made();
            ((Arc::clone(&store), Cell::new(false)), store)
        },
        |(_, added), store| {
            let Ok(repository) = Repository::open(Arc::clone(store), &secret("first")) else { return };
            added.set(add_key(&repository, &key(&secret("second"), ""), &clock()).is_ok());
        },
        |(store, added), what| {
            assert!(open(store, "first").is_ok(), "{what}");
            // What is said to be there is there.
            assert!(!added.get() || open(store, "second").is_ok(), "{what}");
        },
    );
}
