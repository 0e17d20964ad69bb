//! A simulated store with its own clock, in which only one actor moves at a time. Which one, and what goes wrong, follows from a seed.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use larder_sdk::{Capabilities, Error, ErrorKind, ObjectInfo, ObjectKey, Result, Time};

use crate::{clock::Clock, store::Store};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// When the world begins, in seconds.
const BEGIN_SECONDS: i64 = 1_000_000_000;

/// Numbers that look random and follow from a seed (the generator `SplitMix64`).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// How rough the world is; 0 for what never happens.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    /// One request in so many goes wrong.
    pub(super) faults: u64,
    /// One request in so many is the last of its process.
    pub(super) crashes: u64,
    /// One request in so many is followed by a long sleep of its process.
    pub(super) sleeps: u64,
    /// One request in so many is followed by somebody else's, so that much can happen between two of one process.
    pub(super) switches: u64,
}

/// The store, the time, and whose turn it is.
pub(super) struct World {
    state: Mutex<State>,
    turns: Vec<Condvar>,
}

struct State {
    random: Random,
    now_ms: u64,
    objects: BTreeMap<ObjectKey, (Bytes, Time)>,
    /// Requests that take effect later than their answer.
    late: Vec<(u64, Change)>,
    actors: Vec<ActorState>,
    turn: usize,
    weather: Weather,
    /// Of every request, so that two runs of a seed can be compared.
    trace: u64,
    /// True if requests are printed.
    told: bool,
}

struct ActorState {
    alive: bool,
    wakes_ms: u64,
    crashed: bool,
}

#[derive(Clone)]
enum Change {
    Put(ObjectKey, Bytes),
    PutIfAbsent(ObjectKey, Bytes),
    Delete(ObjectKey),
}

impl Change {
    fn words(&self) -> String {
        match self {
            Self::Put(key, _) => format!("put {key}"),
            Self::PutIfAbsent(key, _) => format!("put if absent {key}"),
            Self::Delete(key) => format!("delete {key}"),
        }
    }
}

impl State {
    fn tell(&self, actor: usize, what: &str) {
        if self.told {
            println!("{:>10.1} s  {actor}      {what}", self.now_ms as f64 / 1000.0);
        }
    }

    fn time(&self) -> Time {
        Time {
            seconds: BEGIN_SECONDS + (self.now_ms / 1000).cast_signed(),
            nanos: (self.now_ms % 1000) as u32 * 1_000_000,
        }
    }

    fn apply(&mut self, change: Change) -> Result<()> {
        let now = self.time();
        match change {
            Change::Put(key, bytes) => {
                self.objects.insert(key, (bytes, now));
            }
            Change::PutIfAbsent(key, bytes) => {
                if self.objects.contains_key(&key) {
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("`{key}` is there already")));
                }
                self.objects.insert(key, (bytes, now));
            }
            Change::Delete(key) => {
                self.objects.remove(&key);
            }
        }
        Ok(())
    }

    fn apply_late(&mut self) {
        let now = self.now_ms;
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, change) in due {
            if self.told {
                println!("{:>10.1} s  late {}", self.now_ms as f64 / 1000.0, change.words());
            }
            // Whoever asked for it has its answer.
            drop(self.apply(change));
        }
    }

    /// Who moves next; if all sleep, time passes until one wakes.
    fn choose(&mut self) -> Option<usize> {
        let times = self.weather.switches;
        let now = self.now_ms;
        if self.actors.get(self.turn).is_some_and(|actor| actor.alive && actor.wakes_ms <= now)
            && !self.random.once_in(times)
        {
            return Some(self.turn);
        }
        loop {
            let ready: Vec<usize> = (0..self.actors.len())
                .filter(|actor| self.actors[*actor].alive && self.actors[*actor].wakes_ms <= self.now_ms)
                .collect();
            if !ready.is_empty() {
                let chosen = self.random.below(ready.len() as u64) as usize;
                return Some(ready[chosen]);
            }
            let alive = self.actors.iter().filter(|actor| actor.alive);
            self.now_ms = alive.map(|actor| actor.wakes_ms).min()?;
            self.apply_late();
        }
    }

    /// True once in so many times; more often where it is delicate.
    fn happens(&mut self, what: impl Fn(&Weather) -> u64, delicate: bool) -> bool {
        let times = what(&self.weather);
        times > 0 && self.random.once_in(if delicate { times.div_ceil(4) } else { times })
    }

    fn note(&mut self, actor: usize, what: &str, key: &str) {
        if self.told {
            println!("{:>10.1} s  {actor}  {what} {key}", self.now_ms as f64 / 1000.0);
        }
        for byte in what.bytes().chain(key.bytes()).chain([actor as u8]) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, actors: usize, weather: Weather) -> Arc<Self> {
        let actors: Vec<_> =
            (0..actors).map(|_| ActorState { alive: true, wakes_ms: 0, crashed: false }).collect();
        let turns = actors.iter().map(|_| Condvar::new()).collect();
        let state = State {
            random: Random::new(seed),
            now_ms: 0,
            objects: BTreeMap::new(),
            late: Vec::new(),
            actors,
            turn: usize::MAX,
            weather,
            trace: 0xcbf2_9ce4_8422_2325,
            told: std::env::var_os("LARDER_SIMULATION_TOLD").is_some(),
        };
        Arc::new(Self { state: Mutex::new(state), turns })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Gives somebody the first turn.
    pub(super) fn start(&self) {
        let mut state = self.state();
        self.pass_on(&mut state);
    }

    fn pass_on(&self, state: &mut State) {
        if let Some(next) = state.choose() {
            state.turn = next;
            self.turns[next].notify_one();
        }
    }

    /// Waits for this actor's first turn.
    pub(super) fn enter(&self, actor: usize) {
        let state = self.state();
        drop(self.turns[actor].wait_while(state, |state| state.turn != actor).unwrap());
    }

    /// This actor is through.
    pub(super) fn leave(&self, actor: usize) {
        let mut state = self.state();
        state.actors[actor].alive = false;
        self.pass_on(&mut state);
    }

    /// A process of this actor died, or ended: the next one begins afresh, after some time.
    pub(super) fn begin_process(&self, actor: usize) {
        let mut state = self.state();
        let longest = [MINUTE_MS, 10 * MINUTE_MS, 3 * HOUR_MS][state.random.below(3) as usize];
        let pause = state.random.below(longest);
        state.actors[actor].wakes_ms = state.now_ms + pause;
        drop(self.step(actor, state, false));
        self.state().actors[actor].crashed = false;
    }

    /// Lets time pass, and others move.
    fn step<'world>(
        &'world self,
        actor: usize,
        mut state: MutexGuard<'world, State>,
        delicate: bool,
    ) -> MutexGuard<'world, State> {
        state.now_ms += state.random.below(4000);
        if state.happens(|weather| weather.sleeps, delicate) {
            let long = if state.random.once_in(4) { 30 * HOUR_MS } else { 90 * MINUTE_MS };
            state.actors[actor].wakes_ms = state.now_ms + state.random.below(long);
        }
        state.apply_late();
        let next = state.choose().unwrap_or(actor);
        state.turn = next;
        if next != actor {
            self.turns[next].notify_one();
            state = self.turns[actor].wait_while(state, |state| state.turn != actor).unwrap();
        }
        state
    }

    pub(super) fn now(&self) -> Time {
        self.state().time()
    }

    /// From here on nothing goes wrong, what is on its way arrives, and `hours` pass.
    pub(super) fn calm(&self, hours: u64) {
        let mut state = self.state();
        state.weather = Weather { faults: 0, crashes: 0, sleeps: 0, switches: 1 };
        state.now_ms += HOUR_MS;
        state.apply_late();
        state.now_ms += hours * HOUR_MS;
        for actor in &mut state.actors {
            *actor = ActorState { alive: true, wakes_ms: 0, crashed: false };
        }
        state.turn = 0;
        // One actor alone: the others are through.
        for actor in state.actors.iter_mut().skip(1) {
            actor.alive = false;
        }
    }

    pub(super) fn trace(&self) -> u64 {
        self.state().trace
    }

    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        self.state().objects.keys().cloned().collect()
    }
}

/// The world as one actor has it: its store and its clock.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) world: Arc<World>,
    pub(super) number: usize,
    /// How far its clock is ahead, in seconds.
    pub(super) skew: i64,
}

fn gone() -> Error {
    Error::new(ErrorKind::Cancelled, "the process has died")
}

fn lost(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what}: the connection broke"))
}

impl Actor {
    /// Takes a turn for a request.
    fn turn(&self, what: &str, key: &str, delicate: bool) -> Result<MutexGuard<'_, State>> {
        let state = self.world.state();
        if state.actors[self.number].crashed {
            return Err(gone());
        }
        let mut state = self.world.step(self.number, state, delicate);
        state.note(self.number, what, key);
        Ok(state)
    }

    fn crashes(&self, state: &mut State) -> bool {
        let times = state.weather.crashes;
        if times > 0 && state.random.once_in(times) {
            state.actors[self.number].crashed = true;
        }
        state.actors[self.number].crashed
    }

    fn change(&self, what: &str, key: &ObjectKey, change: Change) -> Result<()> {
        let delicate = is_delicate(key.as_str());
        let mut state = self.turn(what, key.as_str(), delicate)?;
        if self.crashes(&mut state) {
            let fate = state.random.below(3);
            state.tell(self.number, ["dies, done", "dies, comes late", "dies, lost"][fate as usize]);
            match fate {
                0 => drop(state.apply(change)),
                1 => late(&mut state, change),
                _ => {}
            }
            return Err(gone());
        }
        if !state.happens(|weather| weather.faults, delicate) {
            return state.apply(change);
        }
        let fate = if delicate && state.random.once_in(3) { 1 } else { state.random.below(4) };
        state.tell(self.number, ["done, answer lost", "comes late", "doubled", "lost"][fate as usize]);
        match fate {
            // Its answer is lost.
            0 => drop(state.apply(change)),
            // It takes effect when nobody waits for it any more.
            1 => late(&mut state, change),
            // It takes effect twice.
            2 if matches!(change, Change::Put(..)) => {
                late(&mut state, change.clone());
                return state.apply(change);
            }
            // It never arrives.
            _ => {}
        }
        Err(lost(what))
    }

    fn look<T>(&self, what: &str, key: &str, look: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        let mut state = self.turn(what, key, false)?;
        // A process that dies while it reads leaves what one leaves that dies before its next change.
        if state.happens(|weather| weather.faults * 10, false) {
            return Err(lost(what));
        }
        look(&state)
    }
}

/// Where order matters most, more goes wrong.
fn is_delicate(key: &str) -> bool {
    ["live/", "snapshots/", "index/"].iter().any(|folder| key.starts_with(folder))
}

fn late(state: &mut State, change: Change) {
    let at = state.now_ms + state.random.below(HOUR_MS);
    state.late.push((at, change));
}

fn found<'state>(state: &'state State, key: &ObjectKey) -> Result<&'state (Bytes, Time)> {
    state.objects.get(key).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("`{key}` is not there")))
}

impl Store for Actor {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: "simulation".to_owned(),
            put_if_absent: true,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: 1,
        }
    }
    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.change("put", key, Change::Put(key.clone(), data))
    }
    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.change("put if absent", key, Change::PutIfAbsent(key.clone(), data))
    }
    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.look("get", key.as_str(), |state| found(state, key).map(|(bytes, _)| bytes.clone()))
    }
    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        self.look("get range", key.as_str(), |state| {
            let (bytes, _) = found(state, key)?;
            if range.end > bytes.len() as u64 {
                return Err(Error::new(ErrorKind::CorruptItem, format!("`{key}` is too short")));
            }
            Ok(bytes.slice(range.start as usize..range.end as usize))
        })
    }
    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.look("head", key.as_str(), |state| {
            let (bytes, modified) = found(state, key)?;
            Ok(ObjectInfo { size: bytes.len() as u64, modified: Some(*modified) })
        })
    }
    /// A listing of many pages is no picture of one moment: its second half may be taken later.
    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        let prefix = format!("{folder}/");
        let list = |state: &State| -> Vec<(ObjectKey, ObjectInfo)> {
            let info = |bytes: &Bytes, modified: Time| ObjectInfo {
                size: bytes.len() as u64,
                modified: Some(modified),
            };
            state
                .objects
                .iter()
                .filter(|(key, _)| key.as_str().starts_with(&prefix))
                .map(|(key, (bytes, modified))| (key.clone(), info(bytes, *modified)))
                .collect()
        };
        let mut first = self.look("list", folder, |state| Ok(list(state)))?;
        let half = {
            let mut state = self.world.state();
            let cut = state.random.below(3 * first.len() as u64 + 1) as usize;
            first.get(cut).map(|(key, _)| key.clone())
        };
        let Some(half) = half else { return Ok(first) };
        first.retain(|(key, _)| *key < half);
        let second = self.look("list on", folder, |state| Ok(list(state)))?;
        first.extend(second.into_iter().filter(|(key, _)| *key >= half));
        Ok(first)
    }
    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.change("delete", key, Change::Delete(key.clone()))
    }
}

impl Clock for Actor {
    fn now(&self) -> Time {
        let now = self.world.now();
        Time { seconds: now.seconds + self.skew, ..now }
    }
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.world.state().now_ms)
    }
}
